//! `https` upstreams: proven by name and authority, and shown our certificate where they ask for one.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::support::{
    conf::{self, Conf, Table, quoted},
    gateway::Gateway,
    tls::{Authority, replace},
    wait, wire,
};

/// A server of HTTP/1 or HTTP/2 over TLS. It answers 200 and tells which name it was asked for.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(tcp).await else { return };
                    count.fetch_add(1, SeqCst);
                    let (_, session) = stream.get_ref();
                    let name = session.server_name().unwrap_or("none").to_owned();
                    if session.alpn_protocol() == Some(b"h2") {
                        answer_http2(stream, name).await;
                    } else {
                        answer_http1(stream, name).await;
                    }
                });
            }
        });
        Self { address, connections }
    }
}

async fn answer_http1(
    mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    name: String,
) {
    let mut seen = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(count) if count > 0 => seen.extend_from_slice(&piece[..count]),
            _ => return,
        }
        if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            let length = name.len();
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.flush().await;
        }
    }
}

async fn answer_http2(
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    name: String,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut reply))) = connection.accept().await {
        let text = format!("{name} {}", request.uri());
        let mut sender = reply.send_response(http::Response::new(()), false).unwrap();
        sender.send_data(text.into(), true).unwrap();
    }
}

fn upstream(name: &str, address: SocketAddr) -> Table {
    Table::new("upstream", name)
        .with("backends", format!("[\"https://localhost:{}\"]", address.port()))
}

// requirement: 40
#[tokio::test]
async fn an_upstream_is_proven_by_name_and_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let own = authority.client("gateway", "spiffe://test/gateway");
    let good =
        Server::start(authority.acceptor(&authority.server(&["localhost"]), &[], false)).await;
    let named =
        Server::start(authority.acceptor(&authority.server(&["inner.test"]), &[], false)).await;
    let asking =
        Server::start(authority.acceptor(&authority.server(&["localhost"]), &[], true)).await;
    let new =
        Server::start(authority.acceptor(&authority.server(&["localhost"]), &["h2"], false)).await;
    let gateway = Gateway::start(|places| {
        let ca = authority.write(&places.dir, "ca.pem");
        let foreign = other.write(&places.dir, "other.pem");
        let (cert, key) = own.write(&places.dir, "own");
        let mut conf = Conf::new(places);
        for (name, table) in [
            (
                "good",
                upstream("good", good.address)
                    .with("tls", format!("{{ ca = {ca:?} }}"))
                    .with("health", r#"{ path = "/health", interval = "200ms" }"#),
            ),
            ("system", upstream("system", good.address)),
            (
                "foreign",
                upstream("foreign", good.address).with("tls", format!("{{ ca = {foreign:?} }}")),
            ),
            (
                "misnamed",
                upstream("misnamed", named.address).with("tls", format!("{{ ca = {ca:?} }}")),
            ),
            (
                "named",
                upstream("named", named.address)
                    .with("tls", format!("{{ ca = {ca:?}, server_name = \"inner.test\" }}")),
            ),
            (
                "unasked",
                upstream("unasked", asking.address).with("tls", format!("{{ ca = {ca:?} }}")),
            ),
            (
                "asked",
                upstream("asked", asking.address)
                    .with("tls", format!("{{ ca = {ca:?}, cert = {cert:?}, key = {key:?} }}")),
            ),
            (
                "new",
                upstream("new", new.address)
                    .with("protocol", quoted("h2"))
                    .with("tls", format!("{{ ca = {ca:?} }}"))
                    .with("health", r#"{ path = "/health", interval = "200ms" }"#),
            ),
        ] {
            let path = format!("/{name}/**");
            conf = conf.table(table).route(conf::open(name, &path, name));
        }
        conf.text()
    });
    for (name, status, body) in [
        ("good", 200, "localhost"),
        ("system", 502, ""),
        ("foreign", 502, ""),
        ("misnamed", 502, ""),
        ("named", 200, "inner.test"),
        ("unasked", 502, ""),
        ("asked", 200, "localhost"),
        ("new", 200, "localhost https://a.test/new/x"),
        ("good", 200, "localhost"),
        ("new", 200, "localhost https://a.test/new/x"),
    ] {
        let request = format!("GET /{name}/x HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let reply = wire::exchange(gateway.address(), request).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        if status == 200 {
            assert_eq!(reply.text(), body, "{name}");
        }
    }
    assert_eq!(asking.connections.load(SeqCst), 1);
    for name in ["good", "new"] {
        let line = format!(
            "portcullis_upstream_backend_healthy{{backend=\"localhost:{}\",upstream=\"{name}\"}} 1",
            if name == "good" { good.address.port() } else { new.address.port() }
        );
        wait::until("it is healthy by its own checks", async || {
            gateway.operator().get("/metrics").await.text().contains(&line).then_some(())
        })
        .await;
    }
}

/// A reload that changes no word takes new authorities and a new certificate of ours, and refuses files that are none.
// requirement: 40
#[tokio::test]
async fn a_reload_takes_what_the_files_of_an_upstream_hold_now() {
    let (old, new) = (Authority::new(), Authority::new());
    let asking = Server::start(new.acceptor(&new.server(&["localhost"]), &[], true)).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = old.write(folder.path(), "ca.pem");
    let (cert, key) = old.client("gateway", "spiffe://test/gateway").write(folder.path(), "own");
    let gateway = Gateway::start(|places| {
        let tls = format!("{{ ca = {ca:?}, cert = {cert:?}, key = {key:?} }}");
        Conf::new(places)
            .table(upstream("main", asking.address).with("tls", tls))
            .route(conf::open("open", "/open/**", "main"))
            .text()
    });
    let status = async || {
        let request = "GET /open/x HTTP/1.1\r\nHost: a.test\r\n\r\n";
        wire::exchange(gateway.address(), request).await.status
    };
    assert_eq!(status().await, 502, "signed by somebody we do not know yet");
    replace(&ca, &new.pem());
    gateway.cli_ok(&["reload"]);
    assert_eq!(status().await, 502, "the server does not know us yet");
    new.client("gateway", "spiffe://test/gateway").write(folder.path(), "own");
    gateway.cli_ok(&["reload"]);
    assert_eq!(status().await, 200);
    let connections = asking.connections.load(SeqCst);
    gateway.cli_ok(&["reload"]);
    assert_eq!(status().await, 200);
    assert_eq!(asking.connections.load(SeqCst), connections, "nothing changed, so all goes on");
    replace(&ca, "no certificate");
    assert!(!gateway.cli(&["reload"]).status.success());
    assert_eq!(status().await, 200);
}
