//! What costs a client of HTTP/2 nothing and us something has a budget: the connection that uses it up is ended, memory
//! stays where it was, and others are served.

use std::time::Duration;

use crate::{
    bench::configuration,
    support::{
        gateway::Gateway,
        http2::{
            CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, Raw,
            SETTINGS, WINDOW_UPDATE, block, frame,
        },
        upstream::{Answer, Upstream},
        wait,
    },
};

const PATIENCE: Duration = Duration::from_secs(30);
/// RFC 9113 section 7.
const ENHANCE_YOUR_CALM: u32 = 0xb;
const MIB: u64 = 1024;

struct Attacked {
    gateway: Gateway,
    upstream: Upstream,
    before: u64,
}

impl Attacked {
    async fn start() -> Self {
        let upstream = Upstream::counting(|_| Answer::new(200, &[], vec![b'x'; 256 << 10]));
        let address = upstream.address;
        let gateway = Gateway::start(|places| {
            configuration(places, address).listener("http2", "true").text()
        });
        let client = Client::plain(gateway.address()).await;
        for _ in 0..20 {
            assert_eq!(client.get("http://a.test/open/warm").await.unwrap().status, 200);
        }
        gateway.reset_peak();
        let before = gateway.resident_kib();
        Self { gateway, upstream, before }
    }

    /// Floods a new connection with what `make` gives, and tells how much of it was sent and how it ended.
    async fn flood(&self, most: u32, make: impl FnMut(u32) -> Vec<u8>) -> (u32, Option<u32>) {
        Raw::open(self.gateway.address(), b"").await.flood(most, PATIENCE, make).await
    }

    /// Others are served, and memory has not grown.
    async fn is_well(&self) {
        let client = Client::plain(self.gateway.address()).await;
        assert_eq!(client.get("http://a.test/open/after").await.unwrap().status, 200);
        let grown = self.gateway.peak_kib().saturating_sub(self.before);
        println!("peak grew by {grown} KiB");
        assert!(grown < 32 * MIB, "peak grew by {grown} KiB");
    }

    async fn counted(&self, reason: &str) {
        let line = format!("portcullis_http2_connections_ended_total{{reason=\"{reason}\"}}");
        wait::until("the end is counted", async || {
            self.gateway.operator().get("/metrics").await.text().contains(&line).then_some(())
        })
        .await;
    }
}

/// Client streams have odd numbers.
fn stream(count: u32) -> u32 {
    count * 2 + 1
}

// requirement: 23
// limit: 6
#[tokio::test]
async fn rapid_reset() {
    let attacked = Attacked::start().await;
    let block = block("GET", "/open/x", &[]);
    let (sent, reason) = attacked
        .flood(1_000_000, |count| {
            let mut out = frame(HEADERS, END_HEADERS | END_STREAM, stream(count), &block);
            out.extend(frame(RST_STREAM, 0, stream(count), &[0, 0, 0, 8]));
            out
        })
        .await;
    assert!(sent < 1_000_000 && reason == Some(ENHANCE_YOUR_CALM), "{sent} {reason:?}");
    attacked.counted("resets").await;
    // What was begun is given up: the budget bounds what the upstream ever saw.
    assert!(attacked.upstream.count() <= 20 + 200, "{}", attacked.upstream.count());
    attacked.is_well().await;
}

// requirement: 23
// limit: 6
#[tokio::test]
async fn streams_that_we_are_made_to_reset() {
    let attacked = Attacked::start().await;
    let block = block("POST", "/open/x", &[]);
    for fault in [
        // A window that overflows, an update of nothing, data behind the end.
        frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        frame(DATA, 0, 0, b"x"),
    ] {
        let behind_the_end = fault[3] == DATA;
        let (sent, _) = attacked
            .flood(1_000_000, |count| {
                let flags = if behind_the_end { END_HEADERS | END_STREAM } else { END_HEADERS };
                let mut out = frame(HEADERS, flags, stream(count), &block);
                let mut fault = fault.clone();
                fault[5..9].copy_from_slice(&stream(count).to_be_bytes());
                out.extend(fault);
                out
            })
            .await;
        assert!(sent < 1_000_000);
    }
    attacked.is_well().await;
}

// requirement: 23
// limit: 6
#[tokio::test]
async fn requests_that_are_none() {
    let attacked = Attacked::start().await;
    let upper = block("GET", "/open/x", &[("X-Upper", "1")]);
    let connection = block("GET", "/open/x", &[("connection", "close")]);
    let dots = block("GET", "/open/../x", &[]);
    for (head, at_once) in [(upper, true), (connection, false), (dots, false)] {
        let make = |count| frame(HEADERS, END_HEADERS | END_STREAM, stream(count), &head);
        let (sent, reason) = attacked.flood(1_000_000, make).await;
        assert!(sent < 1_000_000, "{sent}");
        assert!(at_once || reason == Some(ENHANCE_YOUR_CALM), "{reason:?}");
    }
    attacked.is_well().await;
}

// requirement: 23
// limit: 6
#[tokio::test]
async fn frames_that_move_nothing() {
    let attacked = Attacked::start().await;
    let opened = frame(HEADERS, END_HEADERS, 1, &block("POST", "/open/x", &[]));
    for one in [
        frame(PING, 0, 0, &[0; 8]),
        frame(PING, 1, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, b""),
        frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]),
        frame(0x2, 0, 3, &[0, 0, 0, 0, 1]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(0xbe, 0, 0, b"unknown"),
    ] {
        let (sent, reason) = attacked.flood(1_000_000, |_| one.repeat(20)).await;
        assert!(sent < 1_000_000, "{one:?}");
        assert_eq!(reason, Some(ENHANCE_YOUR_CALM), "{one:?}");
    }
    let empty = frame(DATA, 0, 1, b"");
    let (sent, reason) = attacked
        .flood(1_000_000, |count| if count == 0 { opened.clone() } else { empty.repeat(20) })
        .await;
    assert!(sent < 1_000_000 && reason == Some(ENHANCE_YOUR_CALM), "{sent} {reason:?}");
    attacked.counted("frames").await;
    attacked.is_well().await;
}

// requirement: 23
// limit: 6
#[tokio::test]
async fn a_head_without_end() {
    let attacked = Attacked::start().await;
    for piece in [&b""[..], &[0x00, 1, b'x', 1, b'y'], &[0; 1000]] {
        let first = block("GET", "/open/x", &[]);
        let (sent, _) = attacked
            .flood(1_000_000, |count| match count {
                0 => frame(HEADERS, END_STREAM, 1, &first),
                _ => frame(CONTINUATION, 0, 1, piece).repeat(20),
            })
            .await;
        assert!(sent < 1_000_000);
    }
    attacked.is_well().await;
}

// requirement: 23
// limit: 6
#[tokio::test]
async fn a_small_block_that_means_a_large_list() {
    let attacked = Attacked::start().await;
    // The first request puts a long field into the table, the others name it thousands of times.
    let long = "x".repeat(3000);
    let mut first = block("GET", "/open/x", &[]);
    first.extend([0x40, 1, b'x', 127]);
    let rest = long.len() - 127;
    first.extend([u8::try_from(rest % 128).unwrap() | 0x80, u8::try_from(rest / 128).unwrap()]);
    first.extend(long.as_bytes());
    let mut bomb = block("GET", "/open/x", &[]);
    bomb.extend([0xbe; 15_000]);
    let (sent, reason) = attacked
        .flood(1_000_000, |count| {
            let block = if count == 0 { &first } else { &bomb };
            frame(HEADERS, END_HEADERS | END_STREAM, stream(count), block)
        })
        .await;
    assert!(sent < 1_000_000 && reason == Some(ENHANCE_YOUR_CALM), "{sent} {reason:?}");
    attacked.is_well().await;
}

// requirement: 23
// limit: 6
#[tokio::test]
async fn windows_that_stay_shut() {
    let attacked = Attacked::start().await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 0: nothing of any answer may be sent.
    let raw = Raw::open(attacked.gateway.address(), &[0, 4, 0, 0, 0, 0]).await;
    let block = block("GET", "/open/x", &[]);
    let mut all = Vec::new();
    for count in 0..100 {
        all.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream(count), &block));
    }
    let (_, reason) = raw.flood(1, PATIENCE, |_| all.clone()).await;
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM));
    attacked.counted("stalled").await;
    attacked.is_well().await;
}
