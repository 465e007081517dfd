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

// requirement: 23
// limit: 5
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

// requirement: 23
// limit: 2
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

// requirement: 23
// limit: 1, 8
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

// requirement: 23
// limit: 3
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

// requirement: 23
// limit: 2
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

// requirement: 23
// limit: 3
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

/// The pairs of the first SETTINGS of a server, and by how much it opens the window of the connection at once.
async fn said_at_first(gateway: &Gateway) -> (Vec<(u16, u32)>, u32) {
    let mut raw = Raw::open(gateway.address(), b"").await;
    let (mut seen, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        let count = raw.stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "closed");
        seen.extend_from_slice(&piece[..count]);
        let (mut settings, mut opened, mut rest) = (None, None, &seen[..]);
        while let [0, 0, length, kind, flags, _, _, _, _, behind @ ..] = rest
            && let Some(payload) = behind.get(..usize::from(*length))
        {
            if *kind == SETTINGS && flags & 1 == 0 {
                let pair = |six: &[u8]| {
                    let value = u32::from_be_bytes([six[2], six[3], six[4], six[5]]);
                    (u16::from_be_bytes([six[0], six[1]]), value)
                };
                settings = Some(payload.chunks(6).map(pair).collect());
            } else if *kind == WINDOW_UPDATE {
                opened = Some(u32::from_be_bytes(payload.try_into().unwrap()));
            }
            rest = &behind[payload.len()..];
        }
        if let (Some(settings), Some(opened)) = (settings, opened) {
            return (settings, opened);
        }
    }
}

// requirement: 23
// limit: 6
#[tokio::test]
async fn a_connection_may_what_the_file_says_and_without_a_word_what_is_usual() {
    const STREAMS: u16 = 3;
    const WINDOW: u16 = 4;
    const HEADER_LIST: u16 = 6;
    // What every connection has before anything is said (RFC 9113 section 6.9.2).
    const FIRST_WINDOW: u32 = 65_535;
    let upstream = Upstream::start();
    let usual = start(&upstream, "");
    let own = Gateway::start(|places| {
        let sizes =
            "header_list = \"16KiB\"\nstream_window = \"128KiB\"\nconnection_window = \"2MiB\"";
        configuration(places, upstream.address)
            .listener("http2", "true")
            .section(&format!("[http2]\nstreams = 2\n{sizes}"))
            .text()
    });
    for (gateway, streams, window, list, connection) in
        [(&usual, 100, 64 << 10, 32 << 10, 1 << 20), (&own, 2, 128 << 10, 16 << 10, 2 << 20)]
    {
        let (settings, opened) = said_at_first(gateway).await;
        for pair in [(STREAMS, streams), (WINDOW, window), (HEADER_LIST, list)] {
            assert!(settings.contains(&pair), "{pair:?} in {settings:?}");
        }
        assert_eq!(opened, connection - FIRST_WINDOW);
    }
    // One stream more than that is reset, whatever the client was told.
    for (gateway, most) in [(&usual, 100), (&own, 2)] {
        let mut raw = Raw::open(gateway.address(), b"").await;
        let block = block("POST", "/open/held", &[]);
        let all = (0..=most).flat_map(|at| frame(HEADERS, END_HEADERS, at * 2 + 1, &block));
        raw.stream.write_all(&all.collect::<Vec<_>>()).await.unwrap();
        let refused = frame(0x3, 0, most * 2 + 1, &[0, 0, 0, 7]);
        let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
        while !seen.windows(refused.len()).any(|window| window == refused) {
            let read = tokio::time::timeout(PATIENCE, raw.stream.read(&mut piece)).await;
            let count = read.expect("it is reset").unwrap();
            assert!(count > 0, "closed");
            seen.extend_from_slice(&piece[..count]);
        }
    }
}

/// Behind the good-bye little is read, and not for long, whatever the client still sends and however long it stays.
// requirement: 23
// limit: 6
#[tokio::test]
async fn an_ended_connection_is_soon_gone_whatever_its_client_does() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| {
        configuration(places, upstream.address)
            .listener("http2", "true")
            .section("[http2]\ncontrol_frames = 100")
            .text()
    });
    for sends_on in [false, true] {
        let raw = Raw::open(gateway.address(), b"").await;
        let (mut reader, mut writer) = raw.stream.into_split();
        writer.write_all(&frame(0x6, 0, 0, &[0; 8]).repeat(200)).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut rest)).await;
        let _ = read.expect("the good-bye and the end");
        let began = Instant::now();
        let sending = tokio::spawn(async move {
            // As much as it takes; the buffers of the system hold some of it.
            while sends_on && writer.write_all(&[0; 16 << 10]).await.is_ok() {}
            writer
        });
        wait::until("it is gone", async || {
            (figure(&gateway, "portcullis_connections_open").await == 0).then_some(())
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        sending.abort();
    }
}
