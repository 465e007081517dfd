//! Upstreams that are down, slow or broken; several backends; health.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    conf::{self, Conf},
    gateway::Gateway,
    ports,
    upstream::{Answer, Recorded, Step, Upstream},
    wait,
    wire::{self, Reply},
};

async fn ask(gateway: &Gateway, method: &str, path: &str) -> Reply {
    let host = gateway.address();
    let text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
    wire::exchange(host, text).await
}

#[track_caller]
fn assert_shape(reply: &Reply, status: u16, text: &str) {
    crate::support::tmws::assert_error(reply, status, text);
}

fn before(handler: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> (Gateway, Upstream) {
    let upstream = Upstream::with(handler);
    let address = upstream.address;
    let gateway = Gateway::start(|places| {
        Conf::new(places)
            .upstream("main", &[address])
            .route(
                conf::open("open", "/open/**", "main")
                    .with("timeouts", r#"{ first_byte = "1s", between_bytes = "1s" }"#),
            )
            .text()
    });
    (gateway, upstream)
}

#[tokio::test]
async fn nobody_listening_is_502_at_once() {
    let dead = ports::free_address();
    let gateway = Gateway::start(|places| {
        Conf::new(places)
            .upstream("main", &[dead])
            .route(conf::open("open", "/open/**", "main"))
            .text()
    });
    for _ in 0..5 {
        let reply =
            wait::within("a refusal", Duration::from_secs(5), ask(&gateway, "GET", "/open/x"));
        assert_shape(&reply.await, 502, "Bad Gateway");
    }
}

// limit: 9
#[tokio::test]
async fn an_upstream_has_two_seconds_to_take_a_connection() {
    // A queue that is full: the system answers nobody else.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut held = Vec::new();
    let patience = Duration::from_millis(300);
    while let Ok(Ok(tcp)) =
        tokio::time::timeout(patience, tokio::net::TcpStream::connect(address)).await
    {
        held.push(tcp);
    }
    let gateway = Gateway::start(|places| {
        let pool = conf::upstream("main", &[address]).with("retries", "0");
        Conf::new(places).table(pool).route(conf::open("open", "/open/**", "main")).text()
    });
    let began = std::time::Instant::now();
    let reply = ask(&gateway, "GET", "/open/x").await;
    assert!([502, 504].contains(&reply.status), "{}", reply.status);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(10), "{took:?}");
}

// limit: 9
#[tokio::test]
async fn a_slow_upstream_is_504_and_not_asked_again() {
    let (gateway, upstream) = before(|_| Answer::ok().after(Duration::from_secs(30)));
    for method in ["GET", "POST"] {
        let reply = ask(&gateway, method, "/open/slow").await;
        assert_shape(&reply, 504, "Gateway Timeout");
    }
    assert_eq!(upstream.count(), 2);
}

// requirement: 24
#[tokio::test]
async fn an_upstream_that_breaks_off_before_its_head_is_502_and_a_post_is_never_doubled() {
    let (gateway, upstream) = before(|request| {
        let part = b"HTTP/1.1 200 OK\r\nContent-Le".to_vec();
        match request.target().as_str() {
            "/open/close" => Answer::steps(vec![Step::Close]),
            "/open/reset" => Answer::steps(vec![Step::Reset]),
            "/open/part" => Answer::steps(vec![Step::Send(part), Step::Close]),
            _ => Answer::steps(vec![Step::Send(b"nonsense\r\n\r\n".to_vec()), Step::Close]),
        }
    });
    for path in ["/open/close", "/open/reset", "/open/part", "/open/nonsense"] {
        upstream.forget();
        assert_shape(&ask(&gateway, "POST", path).await, 502, "Bad Gateway");
        assert_eq!(upstream.count(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_post_on_a_kept_connection_that_dies_is_not_doubled() {
    // The first request of a connection is answered and the connection kept; the second is read and then dropped.
    let counts = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&counts);
    let (gateway, upstream) = before(move |request| {
        if request.target() == "/open/warm" {
            return Answer::ok();
        }
        own.fetch_add(1, Ordering::SeqCst);
        Answer::steps(vec![Step::Close])
    });
    for round in 1..=10 {
        assert_eq!(ask(&gateway, "GET", "/open/warm").await.status, 200);
        let reply = ask(&gateway, "POST", "/open/cold").await;
        assert_shape(&reply, 502, "Bad Gateway");
        assert_eq!(counts.load(Ordering::SeqCst), round, "each POST is seen once");
    }
    assert!(upstream.count() >= 20);
}

// requirement: 24
#[tokio::test]
async fn a_body_cut_by_the_upstream_is_a_visible_break() {
    let (gateway, _upstream) = before(|request| {
        let head = |length: &str| format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n").into_bytes();
        let sized = Step::Send(head("Content-Length: 1000"));
        let chunked = Step::Send(head("Transfer-Encoding: chunked"));
        let part = Step::Send(b"5\r\nhello\r\n".to_vec());
        match request.target().as_str() {
            "/open/sized-close" => {
                Answer::steps(vec![sized, Step::Send(b"part".to_vec()), Step::Close])
            }
            "/open/sized-reset" => {
                Answer::steps(vec![sized, Step::Send(b"part".to_vec()), Step::Reset])
            }
            "/open/chunked-close" => Answer::steps(vec![chunked, part, Step::Close]),
            "/open/chunked-reset" => Answer::steps(vec![chunked, part, Step::Reset]),
            "/open/chunked-garbage" => {
                Answer::steps(vec![chunked, part, Step::Send(b"zz\r\n".to_vec()), Step::Close])
            }
            "/open/stall" => Answer::steps(vec![
                sized,
                Step::Send(b"part".to_vec()),
                Step::Wait(Duration::from_secs(30)),
            ]),
            _ => Answer::ok(),
        }
    });
    for path in [
        "/open/sized-close",
        "/open/sized-reset",
        "/open/chunked-close",
        "/open/chunked-reset",
        "/open/chunked-garbage",
        "/open/stall",
    ] {
        let host = gateway.address();
        let mut wire = wire::connect(host).await;
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        if let Some(reply) = wire.try_reply(false).await {
            let told = reply.status == 502 || reply.status == 504;
            assert!(
                told || !reply.complete,
                "{path} looks whole: {} {:?}",
                reply.status,
                reply.text()
            );
        }
        // And the gateway is well.
        assert_eq!(ask(&gateway, "GET", "/open/fine").await.status, 200);
    }
}

// requirement: 24
#[tokio::test]
async fn an_answer_that_could_be_read_in_two_ways_is_502() {
    let (gateway, _upstream) = before(|request| {
        let head = match request.target().as_str() {
            "/open/two-lengths" => "Content-Length: 2\r\nContent-Length: 3\r\n",
            "/open/odd-length" => "Content-Length: 2x\r\n",
            _ => "Transfer-Encoding: xchunked\r\n",
        };
        Answer::steps(vec![
            Step::Send(format!("HTTP/1.1 200 OK\r\n{head}\r\nhi").into_bytes()),
            Step::Close,
        ])
    });
    for path in ["/open/two-lengths", "/open/odd-length"] {
        let reply = ask(&gateway, "GET", path).await;
        assert_eq!(reply.status, 502, "{path}: {}", reply.text());
    }
}

/// Whatever else comes over the connection of a malformed answer is nobody's.
// requirement: 24
#[tokio::test]
async fn the_connection_of_a_malformed_answer_is_not_used_again() {
    let (gateway, upstream) = before(|request| match request.target().as_str() {
        "/open/two-lengths" => {
            Answer::bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi")
        }
        "/open/odd-chunk" => {
            Answer::bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n")
        }
        "/open/surplus" => Answer::bytes(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
        ),
        _ => Answer::ok(),
    });
    for path in ["/open/two-lengths", "/open/odd-chunk", "/open/surplus"] {
        upstream.forget();
        ask(&gateway, "POST", path).await;
        let reply = ask(&gateway, "GET", "/open/next").await;
        assert_eq!((reply.status, reply.text().contains("forged")), (200, false), "{path}");
        let seen = upstream.seen();
        let [bad, next] = &seen[..] else { panic!("{path}: {} requests", seen.len()) };
        assert_ne!(bad.connection, next.connection, "{path}");
    }
}

#[tokio::test]
async fn requests_survive_one_dead_backend_of_three() {
    let (one, two) = (Upstream::start(), Upstream::start());
    let dead = ports::free_address();
    let backends = [one.address, dead, two.address];
    let gateway = Gateway::start(|places| {
        Conf::new(places)
            .upstream("main", &backends)
            .route(conf::open("open", "/open/**", "main"))
            .text()
    });
    for number in 0..30 {
        // A connection that was never made ran nothing: a POST may try the next one as well.
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(ask(&gateway, method, &format!("/open/{number}")).await.status, 200, "{number}");
    }
    assert_eq!(one.count() + two.count(), 30, "none doubled");
    assert!(one.count() >= 10 && two.count() >= 10, "round robin: {} {}", one.count(), two.count());
}

#[tokio::test]
async fn a_backend_that_dies_and_returns_is_left_out_meanwhile() {
    let one = Upstream::start();
    let address = ports::free_address();
    let two = Upstream::at(address, true, |_| Answer::ok());
    let backends = [one.address, address];
    let gateway = Gateway::start(|places| {
        let upstream = conf::upstream("main", &backends)
            .with("ejection", r#"{ failures = 1, duration = "1s" }"#);
        Conf::new(places).table(upstream).route(conf::open("open", "/open/**", "main")).text()
    });
    for number in 0..10 {
        assert_eq!(ask(&gateway, "GET", &format!("/open/{number}")).await.status, 200);
    }
    assert!(two.count() > 0);
    drop(two);
    for number in 0..20 {
        assert_eq!(ask(&gateway, "GET", &format!("/open/{number}")).await.status, 200, "{number}");
    }
    let two = Upstream::at(address, true, |_| Answer::ok());
    wait::until("the backend is used again", || async {
        assert_eq!(ask(&gateway, "GET", "/open/back").await.status, 200);
        (two.count() > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_says_it_is_ill_is_left_out_until_it_is_well() {
    let ill = Arc::new(AtomicBool::new(false));
    let own = Arc::clone(&ill);
    let one = Upstream::start();
    let two = Upstream::with(move |request| {
        let is_check = request.target() == "/health-of-upstream";
        if is_check && own.load(Ordering::SeqCst) {
            return Answer::json(503, "{}");
        }
        Answer::ok()
    });
    let backends = [one.address, two.address];
    let gateway = Gateway::start(|places| {
        let upstream = conf::upstream("main", &backends).with(
            "health",
            r#"{ path = "/health-of-upstream", interval = "100ms", timeout = "1s" }"#,
        );
        Conf::new(places).table(upstream).route(conf::open("open", "/open/**", "main")).text()
    });
    let share = || async {
        two.forget();
        for _ in 0..4 {
            assert_eq!(ask(&gateway, "GET", "/open/x").await.status, 200);
        }
        two.count()
    };
    wait::until("both serve", || async { (share().await > 0).then_some(()) }).await;
    ill.store(true, Ordering::SeqCst);
    wait::until("the ill one is left out", || async { (share().await == 0).then_some(()) }).await;
    ill.store(false, Ordering::SeqCst);
    wait::until("it serves again", || async { (share().await > 0).then_some(()) }).await;
}

#[tokio::test]
async fn a_unix_socket_serves_as_a_backend() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix").await;
        }
    });
    let backend = format!("[\"unix:{}\"]", path.display());
    // Starting the gateway blocks this thread: the listener above is served only while we await.
    let gateway = Gateway::start(|places| {
        Conf::new(places)
            .table(conf::upstream("main", &[]).with("backends", backend.clone()))
            .route(conf::open("open", "/open/**", "main"))
            .text()
    });
    let reply = ask(&gateway, "GET", "/open/x").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "unix"));
}

#[tokio::test]
async fn upstream_connections_are_kept() {
    let (gateway, upstream) = before(|_| Answer::ok());
    for _ in 0..20 {
        assert_eq!(ask(&gateway, "GET", "/open/x").await.status, 200);
    }
    assert!(upstream.connections() <= 4, "{} connections for 20 requests", upstream.connections());
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_request_along() {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let (gateway, upstream) = before(move |_| {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec();
        let rest = receiver.lock().unwrap().take().expect("asked once");
        Answer::steps(vec![Step::Send(head), Step::Driven(rest), Step::Close])
    });
    let host = gateway.address();
    let mut wire = wire::connect(host).await;
    wire.send(format!("GET /open/x HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    assert_eq!(wire.chunk_after_head().await, b"hello");
    drop(wire);
    // The upstream's writes start to fail once the gateway has closed the connection behind them.
    wait::until("the upstream notices", || async {
        (sender.send(b"5\r\nhello\r\n".to_vec()).is_err()).then_some(())
    })
    .await;
    assert_eq!(upstream.count(), 1);
}
