//! gRPC: calls pass with their trailers, and refusals are told in the words of gRPC.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::TcpListener;

use crate::support::{
    conf::{self, Conf, quoted, upstream},
    gateway::Gateway,
    http2::{Client, Reply},
    operate, ports, wait,
};

/// A server of gRPC over HTTP/2 without TLS: echoes the messages of a call, and puts what it was asked into its head.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(tcp).await else { return };
                    while let Some(Ok((request, reply))) = connection.accept().await {
                        tokio::spawn(echo(request, reply));
                    }
                });
            }
        });
        Self { address, connections }
    }
}

async fn echo(request: Request<h2::RecvStream>, mut reply: h2::server::SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    let of = |name: &str| head.headers.get(name).cloned().unwrap_or(HeaderValue::from_static(""));
    let answer = Response::builder()
        .header("content-type", "application/grpc")
        .header("x-uri", head.uri.to_string())
        .header("x-te", of("te"))
        .header("x-subject", of("x-auth-subject"))
        .body(())
        .unwrap();
    // A message may be sent back before the next one comes.
    let mut sender = reply.send_response(answer, false).unwrap();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        if sender.send_data(piece, false).is_err() {
            return;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("x-checksum", HeaderValue::from_static("abc"));
    let _ = sender.send_trailers(trailers);
}

fn routes(conf: Conf, server: SocketAddr) -> Conf {
    let dead = ports::free_address();
    conf.listener("http2", "true")
        .table(upstream("calls", &[server]).with("protocol", quoted("h2")))
        .table(upstream("dead", &[dead]).with("protocol", quoted("h2")))
        .limit("few", r#"["client"]"#, r#"["1/h"]"#)
        .route(conf::open("open", "/open.Service/**", "calls"))
        .route(conf::closed("closed", "/closed.Service/**", "calls"))
        .route(
            conf::closed("writers", "/writers.Service/**", "calls")
                .with("authz", r#"{ scopes = { "*" = "WRITE" } }"#),
        )
        .route(conf::open("few", "/few.Service/**", "calls").with("limits", r#"["few"]"#))
        .route(conf::open("dead", "/dead.Service/**", "dead"))
}

fn call(path: &str) -> http::request::Builder {
    Request::post(format!("http://a.test{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
}

async fn made(client: &Client, call: http::request::Builder) -> Reply {
    client.send(call.body(()).unwrap(), b"\0\0\0\0\x05hello").await.unwrap()
}

#[tokio::test]
async fn a_call_passes_with_its_trailers() {
    let server = Server::start().await;
    let gateway = Gateway::start(|places| routes(Conf::new(places), server.address).text());
    let client = Client::plain(gateway.address()).await;
    for _ in 0..10 {
        let reply = made(&client, call("/open.Service/Say")).await;
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"\0\0\0\0\x05hello"[..]));
        let trailers = reply.trailers.as_ref().expect("trailers");
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers["x-checksum"], "abc");
        assert_eq!(reply.header("x-te"), Some("trailers"));
        assert_eq!(reply.header("x-uri"), Some("http://a.test/open.Service/Say"));
    }
    assert_eq!(server.connections.load(SeqCst), 1, "calls share a connection");
}

#[tokio::test]
async fn messages_flow_both_ways_while_a_call_runs() {
    let server = Server::start().await;
    let gateway = Gateway::start(|places| routes(Conf::new(places), server.address).text());
    let client = Client::plain(gateway.address()).await;
    let request = call("/open.Service/Chat").body(()).unwrap();
    let (reply, mut sender) = client.requests.clone().send_request(request, false).unwrap();
    sender.send_data(Bytes::from_static(b"one"), false).unwrap();
    let mut answers = reply.await.unwrap().into_body();
    for (answer, next) in [("one", "two"), ("two", "three"), ("three", "")] {
        assert_eq!(answers.data().await.unwrap().unwrap(), answer);
        sender.send_data(Bytes::from_static(next.as_bytes()), next.is_empty()).unwrap();
    }
    assert!(answers.data().await.is_none());
    assert_eq!(answers.trailers().await.unwrap().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_refusal_is_a_head_with_the_status_of_grpc() {
    let server = Server::start().await;
    let gateway = Gateway::start(|places| routes(Conf::new(places), server.address).text());
    operate::add_admin(&gateway);
    let key = operate::admin_key(&gateway, &["READ"]);
    let client = Client::plain(gateway.address()).await;
    assert_eq!(made(&client, call("/few.Service/Say")).await.status, 200);
    for (path, status, http) in [
        ("/closed.Service/Say", "16", 401),
        ("/writers.Service/Say", "7", 403),
        ("/few.Service/Say", "8", 429),
        ("/dead.Service/Say", "14", 502),
        ("/nowhere.Service/Say", "12", 404),
    ] {
        let call = call(path);
        let call = if status == "16" { call } else { call.header("x-api-key", &key) };
        let reply = made(&client, call).await;
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{path}");
        assert_eq!(reply.header("grpc-status"), Some(status), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/grpc"), "{path}");
        assert!(reply.header("content-length").is_none() && reply.trailers.is_none(), "{path}");
        wait::until("the access line tells the refusal", async || {
            let lines = gateway.log();
            lines.iter().find(|line| line["path"] == path && line["status"] == http).map(|_| ())
        })
        .await;
    }
    let plain = Request::get("http://a.test/closed.Service/Say").body(()).unwrap();
    assert_eq!(
        client.send(plain, b"").await.unwrap().status,
        401,
        "what is no call is told as ever"
    );
}
