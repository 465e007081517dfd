//! `[server.limits]` with HTTP/2: of the connection what is said once for it, of each request the rest.

use std::time::{Duration, Instant};

use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    bench::configuration,
    support::{
        gateway::Gateway,
        http2::{
            Client, END_HEADERS, END_STREAM, HEADERS, PREFACE, Raw, SETTINGS, WINDOW_UPDATE, block,
            frame,
        },
        upstream::{Answer, Upstream},
        wait, wire,
    },
};

const PATIENCE: Duration = Duration::from_secs(15);

fn start(upstream: &Upstream, limits: &str) -> Gateway {
    Gateway::start(|places| {
        configuration(places, upstream.address)
            .listener("http2", "true")
            .server(&format!("limits = {{ {limits} }}"))
            .text()
    })
}

fn url(path: &str) -> String {
    format!("http://a.test{path}")
}

async fn figure(gateway: &Gateway, name: &str) -> u64 {
    let page = gateway.operator().get("/metrics").await.text();
    let found = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in {page}"))
}

async fn cut(gateway: &Gateway, limit: &str) -> u64 {
    figure(gateway, &format!("portcullis_connections_cut_total{{limit=\"{limit}\"}}")).await
}

#[tokio::test]
async fn a_connection_brings_so_many_requests_and_no_more() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "requests_per_connection = 3");
    let client = Client::plain(gateway.address()).await;
    for _ in 0..3 {
        assert_eq!(client.get(&url("/open/x")).await.unwrap().status, 200);
    }
    assert_eq!(cut(&gateway, "requests_per_connection").await, 1);
    wait::until("it takes no more", async || client.get(&url("/open/x")).await.err()).await;
    assert_eq!(cut(&gateway, "requests_per_connection").await, 1);
}

#[tokio::test]
async fn without_a_request_it_ends_after_the_idle_time() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "idle_timeout = \"500ms\"");
    let mut raw = Raw::open(gateway.address(), b"").await;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block("GET", "/open/x", &[]));
    raw.stream.write_all(&request).await.unwrap();
    let (began, mut rest) = (Instant::now(), Vec::new());
    let read = tokio::time::timeout(PATIENCE, raw.stream.read_to_end(&mut rest)).await;
    read.expect("it closes").unwrap();
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    assert_eq!((upstream.count(), cut(&gateway, "idle_timeout").await), (1, 1));
}

#[tokio::test]
async fn sizes_of_a_head_are_judged_per_request() {
    let upstream = Upstream::start();
    let limits =
        "request_line = \"1KiB\", header = \"1KiB\", header_count = 20, cookies = \"512B\"";
    let gateway = start(&upstream, limits);
    let client = Client::plain(gateway.address()).await;
    let long = "x".repeat(2000);
    let many = (0..30)
        .fold(Request::get(url("/open/x")), |request, at| request.header(format!("x-{at}"), "a"));
    for (request, status) in [
        (Request::get(url(&format!("/open/{long}"))), 414),
        (Request::get(url("/open/x")).header("x-long", &long), 431),
        (Request::get(url("/open/x")).header("cookie", format!("a={}", &long[..600])), 431),
        (many, 431),
        (Request::get(url("/open/x")), 200),
    ] {
        let reply = client.send(request.body(()).unwrap(), b"").await.unwrap();
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_slow_body_ends_its_stream_and_not_the_connection() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "body_grace = \"400ms\", body_rate = \"1KiB\"");
    let mut raw = Raw::open(gateway.address(), b"").await;
    let head = block("POST", "/open/slow", &[("content-length", "1000")]);
    raw.stream.write_all(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
    wait::until("the stream ends", async || (cut(&gateway, "body_rate").await == 1).then_some(()))
        .await;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 3, &block("GET", "/open/next", &[]));
    raw.stream.write_all(&request).await.unwrap();
    wait::until("the next one is served", async || {
        upstream.seen().iter().any(|seen| seen.target().contains("next")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_beside_an_unfinished_head_is_no_refused_head() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "head_timeout = \"400ms\"");
    let mut raw = Raw::open(gateway.address(), b"").await;
    let mut both = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block("GET", "/open/x", &[]));
    both.extend(frame(HEADERS, 0, 3, b"\x82"));
    raw.stream.write_all(&both).await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, raw.stream.read_to_end(&mut rest)).await;
    // With a reset or without.
    let _ = read.expect("it closes");
    assert!(rest.windows(11).any(|part| part == br#"{"ok":true}"#), "the answer was written");
    assert_eq!(cut(&gateway, "head_timeout").await, 1);
    assert_eq!(figure(&gateway, "portcullis_heads_refused_total").await, 0);
}

#[tokio::test]
async fn answers_that_are_not_taken_use_up_no_descriptors() {
    let upstream = Upstream::start();
    let most = std::fs::read_to_string("/proc/self/limits").unwrap();
    let most = most.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let most: usize = most.split_whitespace().nth(1).unwrap().parse().unwrap_or(1 << 20);
    let gateway = start(&upstream, &format!("reserved_descriptors = {}", most - 30));
    // Windows of nothing: SETTINGS_INITIAL_WINDOW_SIZE is 0.
    let mut raw = Raw::open(gateway.address(), &[0, 4, 0, 0, 0, 0]).await;
    let block = block("GET", "/nowhere", &[]);
    let all = (0..60).flat_map(|at| frame(HEADERS, END_HEADERS | END_STREAM, at * 2 + 1, &block));
    raw.stream.write_all(&all.collect::<Vec<_>>()).await.unwrap();
    wait::until("all wait for their client", async || {
        // As many as may pile up on one connection.
        (figure(&gateway, "portcullis_requests_in_flight").await >= 32).then_some(())
    })
    .await;
    let request = "GET /open/x HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(wire::exchange(gateway.address(), request).await.status, 200);
}

#[tokio::test]
async fn a_head_that_begins_with_the_connection_has_its_deadline() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "head_timeout = \"400ms\"");
    let mut hello = PREFACE.to_vec();
    hello.extend(frame(SETTINGS, 0, 0, b""));
    hello.extend(frame(HEADERS, 0, 1, b"\x82"));
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    let _ = read.expect("it closes");
    assert_eq!(cut(&gateway, "head_timeout").await, 1);
}

#[tokio::test]
async fn a_body_is_no_call_where_nobody_takes_calls() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "body_grace = \"400ms\", body_rate = \"1KiB\"");
    let mut raw = Raw::open(gateway.address(), b"").await;
    let head = block("POST", "/open/slow", &[("content-type", "application/grpc")]);
    raw.stream.write_all(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
    wait::until("the stream ends", async || (cut(&gateway, "body_rate").await == 1).then_some(()))
        .await;
}

#[tokio::test]
async fn a_client_that_takes_byte_by_byte_is_ended() {
    let upstream = Upstream::with(|_| Answer::new(200, &[], vec![b'x'; 64 << 10]));
    let gateway = start(&upstream, "write_timeout = \"800ms\", body_rate = \"1KiB\"");
    // SETTINGS_INITIAL_WINDOW_SIZE is 1.
    let mut raw = Raw::open(gateway.address(), &[0, 4, 0, 0, 0, 1]).await;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block("GET", "/open/x", &[]));
    raw.stream.write_all(&request).await.unwrap();
    let (mut reader, mut writer) = raw.stream.into_split();
    let taking = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let more = frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
            if writer.write_all(&more).await.is_err() {
                break;
            }
        }
    });
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut rest)).await;
    let _ = read.expect("it closes");
    taking.abort();
    let line = "portcullis_http2_connections_ended_total{reason=\"stalled\"}";
    assert_eq!(figure(&gateway, line).await, 1);
}
