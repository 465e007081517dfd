//! What one client may take, from outside on raw sockets: times, sizes and numbers, each with its metric.

use std::{
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{
    conf::{self, Conf},
    gateway::Gateway,
    operate,
    tmws::fresh_address,
    upstream::{Answer, Step, Upstream},
    wait::PATIENCE,
    wire,
};

const SHORT: &str = "limits = { head_timeout = \"400ms\", idle_timeout = \"500ms\", \
    body_grace = \"400ms\", body_rate = \"1KiB\", write_timeout = \"500ms\", \
    request_line = \"1KiB\", header = \"1KiB\", headers = \"4KiB\", header_count = 20, \
    cookies = \"512B\", bearer_token = \"256B\", api_key = \"64B\", body = \"2KiB\", \
    requests_per_connection = 3, connections_per_address = 8 }";

struct World {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

fn start(limits: Option<&str>) -> World {
    let upstream = Upstream::with(|request| {
        if request.target().contains("/huge") {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n";
            return Answer::steps(vec![Step::Send(head.into()), Step::Fill(64 << 20)]);
        }
        Answer::ok()
    });
    let address = upstream.address;
    let gateway = Gateway::start(|places| {
        let conf = Conf::new(places);
        let conf = limits.map_or(conf.clone(), |limits| conf.server(limits));
        conf.upstream("main", &[address])
            .route(conf::open("open", "/open/**", "main"))
            .route(conf::closed("closed", "/closed/**", "main"))
            .text()
    });
    operate::add_admin(&gateway);
    let key = operate::admin_key(&gateway, &["FULL"]);
    World { gateway, upstream, key }
}

/// Everything small and short.
fn short() -> &'static World {
    static SHARED: OnceLock<World> = OnceLock::new();
    SHARED.get_or_init(|| start(Some(SHORT)))
}

/// A connection from an address of its own.
async fn connect(to: SocketAddr) -> TcpStream {
    connect_from(to, fresh_address()).await
}

async fn connect_from(to: SocketAddr, from: IpAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    let tcp = socket.connect(to).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

/// All that comes until the gateway closes, and how long that took.
async fn to_the_end(tcp: &mut TcpStream, since: Instant) -> (String, Duration) {
    let mut all = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut all)).await.expect("it closes");
    (String::from_utf8_lossy(&all).into_owned(), since.elapsed())
}

/// Sends a byte every `pace` until the gateway closes; how long that took.
async fn trickle(tcp: TcpStream, pace: Duration, bytes: usize) -> Duration {
    let began = Instant::now();
    let (mut read, mut write) = tcp.into_split();
    let sending = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(pace);
        loop {
            ticks.tick().await;
            if write.write_all(&vec![b'a'; bytes]).await.is_err() {
                return;
            }
        }
    });
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE * 2, read.read_to_end(&mut rest)).await;
    let took = began.elapsed();
    sending.abort();
    end.expect("it closes").ok();
    took
}

async fn ended(gateway: &Gateway, limit: &str) -> u64 {
    count(gateway, &format!("portcullis_connections_cut_total{{limit=\"{limit}\"}} ")).await
}

async fn count(gateway: &Gateway, line: &str) -> u64 {
    let page = gateway.operator().get("/metrics").await.expect(200).text();
    let found = page.lines().find_map(|found| found.strip_prefix(line)?.parse().ok());
    found.unwrap_or_else(|| panic!("no {line} in {page}"))
}

#[track_caller]
fn assert_between(took: Duration, from: u64, to: u64) {
    let (from, to) = (Duration::from_millis(from), Duration::from_millis(to));
    assert!(took >= from && took < to, "{took:?}, not {from:?} to {to:?}");
}

// requirement: 23
// limit: 2
#[tokio::test]
async fn a_head_has_a_total_however_it_trickles_in() {
    let World { gateway, .. } = short();
    let before = ended(gateway, "head_timeout").await;
    let mut tcp = connect(gateway.address()).await;
    tcp.write_all(b"GET /open/slow HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
    assert_between(trickle(tcp, Duration::from_millis(50), 1).await, 350, 3_000);

    let began = Instant::now();
    let mut silent = connect(gateway.address()).await;
    let (said, took) = to_the_end(&mut silent, began).await;
    assert_eq!(said, "");
    assert_between(took, 350, 3_000);
    assert!(ended(gateway, "head_timeout").await >= before + 2);
}

// requirement: 23
// limit: 2
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let World { gateway, .. } = short();
    let before = ended(gateway, "idle_timeout").await;
    let mut tcp = connect(gateway.address()).await;
    tcp.write_all(b"GET /open/idle HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (said, took) = to_the_end(&mut tcp, Instant::now()).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert_between(took, 450, 4_000);
    assert!(ended(gateway, "idle_timeout").await > before);
}

// requirement: 23
// limit: 3
#[tokio::test]
async fn a_body_must_keep_a_rate() {
    let World { gateway, upstream, .. } = short();
    let before = ended(gateway, "body_rate").await;
    let mut tcp = connect(gateway.address()).await;
    tcp.write_all(b"POST /open/slow-body HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n")
        .await
        .unwrap();
    // 200 bytes a second.
    assert_between(trickle(tcp, Duration::from_millis(50), 10).await, 350, 4_000);
    assert!(ended(gateway, "body_rate").await > before);

    // Twice the rate, for longer than the grace.
    let mut tcp = connect(gateway.address()).await;
    tcp.write_all(b"POST /open/quick-body HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n")
        .await
        .unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..20 {
        ticks.tick().await;
        tcp.write_all(&[b'a'; 100]).await.unwrap();
    }
    let (said, _) = to_the_end(&mut tcp, Instant::now()).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let bodies = upstream.seen().into_iter().filter(|seen| seen.target().contains("-body"));
    let complete: Vec<_> = bodies.filter(|seen| seen.complete).map(|seen| seen.target()).collect();
    assert_eq!(complete, ["/open/quick-body"]);
}

// requirement: 23
// limit: 3
#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let World { gateway, .. } = short();
    let before = ended(gateway, "write_timeout").await;
    let mut tcp = connect(gateway.address()).await;
    tcp.write_all(b"GET /open/huge HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let end = Instant::now() + PATIENCE;
    while ended(gateway, "write_timeout").await == before {
        assert!(Instant::now() < end, "it is still held");
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    let _ = tcp.read_to_end(&mut all).await;
    assert!(all.len() < 64 << 20, "what fitted into the buffers, {}", all.len());
}

// requirement: 23
// limit: 1, 8
#[tokio::test]
async fn sizes_are_told_apart_and_nothing_is_forwarded() {
    let World { gateway, upstream, .. } = short();
    let line = |length: usize| {
        let rest = "GET /open/size- HTTP/1.1".len();
        format!("GET /open/size-{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - rest))
    };
    let fields = |text: &str| format!("GET /open/size HTTP/1.1\r\nHost: a\r\n{text}\r\n");
    let field = |length: usize| format!("X-A: {}\r\n", "a".repeat(length - 5));
    let refused = [
        (line(1_025), 414),
        (fields(&field(1_025)), 431),
        (fields(&field(1_000).repeat(5)), 431),
        (fields(&"X-A: a\r\n".repeat(20)), 431),
        (fields(&format!("Cookie: a={}\r\n", "a".repeat(250)).repeat(3)), 431),
        (fields("X-A: \x01\r\n"), 400),
    ];
    for (request, status) in refused {
        let mut tcp = connect(gateway.address()).await;
        tcp.write_all(request.as_bytes()).await.unwrap();
        let (said, _) = to_the_end(&mut tcp, Instant::now()).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {said}");
        assert!(said.to_ascii_lowercase().contains("connection: close"), "{said}");
        // Control bytes meet the library's own refusal, which has no words.
        assert!(status == 400 || said.contains("\"error\""), "{said}");
    }
    assert!(!upstream.seen().iter().any(|seen| seen.target().contains("size")));

    let passing = [
        line(1_024),
        fields(&field(1_024)),
        fields(&field(1_000).repeat(3)),
        fields(&"X-A: a\r\n".repeat(19)),
        fields(&format!("Cookie: a={}\r\n", "a".repeat(250)).repeat(2)),
    ];
    for request in passing {
        assert_eq!(wire::exchange(gateway.address(), &request).await.status, 200, "{request}");
    }
    for reason in ["request_line_too_long", "head_too_large"] {
        let line = format!("portcullis_refusals_total{{mount=\"api\",reason=\"{reason}\"}} ");
        assert!(count(gateway, &line).await > 0);
    }
}

// requirement: 23
// limit: 1
#[tokio::test]
async fn a_head_without_end_is_answered_before_it_ends() {
    let World { gateway, .. } = short();
    let before = ended(gateway, "headers").await;
    let mut tcp = connect(gateway.address()).await;
    tcp.write_all(b"GET /open/x HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
    let _ = tcp.write_all(&[b'a'; 14 << 10]).await;
    let (said, _) = to_the_end(&mut tcp, Instant::now()).await;
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    assert!(ended(gateway, "headers").await > before);
}

// requirement: 23
// limit: 1
#[tokio::test]
async fn a_request_line_without_end_is_414() {
    let World { gateway, .. } = short();
    for method in ["GET", "HEAD"] {
        let mut tcp = connect(gateway.address()).await;
        tcp.write_all(format!("{method} /open/").as_bytes()).await.unwrap();
        let _ = tcp.write_all(&[b'a'; 16 << 10]).await;
        let (said, _) = to_the_end(&mut tcp, Instant::now()).await;
        assert!(said.starts_with("HTTP/1.1 414 "), "{said}");
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let told: usize = length.unwrap().parse().unwrap();
        let wanted = if method == "HEAD" { 0 } else { told };
        assert_eq!(body.len(), wanted, "{said}");
        assert!(told > 0);
    }
}

// requirement: 23
// limit: 4
#[tokio::test]
async fn a_body_beyond_the_default_of_routes_is_413() {
    let World { gateway, .. } = short();
    for (length, status) in [(2_048, 200), (2_049, 413)] {
        let head =
            format!("POST /open/body HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let body = "a".repeat(length);
        assert_eq!(wire::exchange(gateway.address(), head + &body).await.status, status);
    }
}

// requirement: 23
// limit: 8
#[tokio::test]
async fn credentials_that_are_too_long_are_not_looked_at() {
    let World { gateway, key, .. } = short();
    assert!(key.len() > 64, "a good key, longer than this gateway takes");
    for field in
        [format!("X-API-Key: {key}"), format!("Authorization: Bearer {}", "a.".repeat(200))]
    {
        let request = format!("GET /closed/x HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        assert_eq!(wire::exchange(gateway.address(), request).await.status, 401, "{field}");
    }
    let metrics = gateway.operator().get("/metrics").await.expect(200).text();
    assert!(!metrics.contains("{kind=\"key\",result=\"miss\"} 1"), "no look-up was made");
}

// requirement: 23
// limit: 5
#[tokio::test]
async fn a_connection_has_its_share_of_requests() {
    let World { gateway, .. } = short();
    let before = ended(gateway, "requests_per_connection").await;
    let mut wire = wire::connect_from(gateway.address(), Some(fresh_address())).await.unwrap();
    for last in [false, false, true] {
        wire.send("GET /open/share HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("connection") == Some("close"), last);
    }
    assert!(wire.is_closed().await);
    assert!(ended(gateway, "requests_per_connection").await > before);
}

// requirement: 23
// limit: 7
#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let World { gateway, .. } = short();
    let line = "portcullis_connections_refused_total{reason=\"per_address\"} ";
    let before = count(gateway, line).await;
    let me = fresh_address();
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(connect_from(gateway.address(), me).await);
    }
    let mut one_more = connect_from(gateway.address(), me).await;
    let began = Instant::now();
    let (said, took) = to_the_end(&mut one_more, began).await;
    assert_eq!(said, "");
    assert!(took < Duration::from_millis(350), "at once: {took:?}");
    assert!(count(gateway, line).await > before);
    assert_eq!(
        wire::exchange(gateway.address(), "GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n").await.status,
        200,
        "another address is served"
    );
}

// requirement: 23
// limit: 7
#[tokio::test]
async fn connections_in_all_are_bounded_and_the_operator_gets_in() {
    let most = std::fs::read_to_string("/proc/self/limits").unwrap();
    let most = most.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let most: usize = most.split_whitespace().nth(1).unwrap().parse().unwrap_or(1 << 20);
    let reserve = format!("limits = {{ reserved_descriptors = {} }}", most - 6);
    for (limits, reason) in
        [("limits = { connections = 6 }", "total"), (reserve.as_str(), "descriptors")]
    {
        let world = start(Some(limits));
        let gateway = &world.gateway;
        let mut held = Vec::new();
        for _ in 0..6 {
            held.push(connect(gateway.address()).await);
        }
        let mut one_more = connect(gateway.address()).await;
        let (said, _) = to_the_end(&mut one_more, Instant::now()).await;
        assert_eq!(said, "", "{reason}");
        let line = format!("portcullis_connections_refused_total{{reason=\"{reason}\"}} ");
        assert!(count(gateway, &line).await > 0, "the operator is answered meanwhile");
        // Back to normal as soon as there is room.
        held.clear();
        let began = Instant::now();
        loop {
            let mut wire = wire::connect(gateway.address()).await;
            let _ = wire.try_send("GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
            match wire.try_reply(false).await {
                Some(reply) => break assert_eq!(reply.status, 200),
                None => assert!(began.elapsed() < Duration::from_secs(1), "{reason}"),
            }
        }
    }
}

// requirement: 23
// limit: 1, 2, 3, 4, 5, 6, 7, 8, 9, 11
#[tokio::test]
async fn the_defaults_hold_without_a_word_in_the_file() {
    let world = start(None);
    let gateway = &world.gateway;
    let to = gateway.address();
    let second = Duration::from_millis(500);
    let head = async {
        let mut tcp = connect(to).await;
        tcp.write_all(b"GET /open/slow HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
        trickle(tcp, second, 1).await
    };
    let body = async {
        let mut tcp = connect(to).await;
        let text = b"POST /open/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        tcp.write_all(text).await.unwrap();
        trickle(tcp, second, 10).await
    };
    let reading = async {
        let mut tcp = connect(to).await;
        tcp.write_all(b"GET /open/huge HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let began = Instant::now();
        while ended(gateway, "write_timeout").await == 0 {
            assert!(began.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(tcp);
        began.elapsed()
    };
    let (head, body, reading) = tokio::join!(head, body, reading);
    for took in [head, body, reading] {
        assert_between(took, 9_500, 15_000);
    }
    let shown = gateway.cli_ok(&["config", "show", "--effective"]);
    for line in [
        "request_line = \"8KiB\"",
        "header = \"8KiB\"",
        "headers = \"32KiB\"",
        "header_count = 100",
        "cookies = \"8KiB\"",
        "bearer_token = \"8KiB\"",
        "api_key = \"256B\"",
        "body = \"10MiB\"",
        "head_timeout = \"10s\"",
        "body_grace = \"10s\"",
        "body_rate = \"240B\"",
        "write_timeout = \"10s\"",
        "idle_timeout = \"1m\"",
        "requests_per_connection = 10000",
        "connections_per_address = 256",
        "failures_per_address = [\"600/min\"]",
        "streams = 100",
        "header_list = \"32KiB\"",
        "stream_window = \"64KiB\"",
        "connection_window = \"1MiB\"",
        "resets = 100",
        "connect = \"2s\"",
        "first_byte = \"30s\"",
        "between_bytes = \"30s\"",
        "max_requests = 1024",
    ] {
        assert!(shown.lines().any(|own| own.trim() == line), "{line} in {shown}");
    }
    let number = |key: &str| {
        let found = shown.lines().find_map(|line| line.trim().strip_prefix(key)?.parse().ok());
        found.unwrap_or_else(|| panic!("{key} in {shown}"))
    };
    // Of the hard limit, to which the process raises its own.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let most = most.split_whitespace().nth(1).unwrap().parse().unwrap_or(1_usize << 20);
    assert_eq!(number("connections = "), most * 9 / 10);
    let cores = std::thread::available_parallelism().unwrap().get();
    let permits: usize = number("permits = ");
    assert_eq!((permits, number("queue = ")), ((cores - 1).max(1), 1000));
    for (request, status) in [
        (format!("GET /open/{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9 << 10)), 414),
        (format!("GET /open/x HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(9 << 10)), 431),
        (format!("GET /open/x HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(100)), 431),
    ] {
        assert_eq!(wire::exchange(to, request).await.status, status);
    }
}
