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
    tls::Authority,
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
