//! Attacks that only HTTP/2 has: each connection is ended within its budget, again and again, beside honest traffic.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    World, attacking,
    honest::{self, Figures, Load},
    support::http2::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, Raw, SETTINGS,
        WINDOW_UPDATE, block, frame,
    },
    wanted,
};

/// By then a connection must be gone. Frames are bounded by their number, which takes moments; who takes nothing is
/// waited for like any slow client.
const GONE: Duration = Duration::from_secs(15);
/// Growth of the gateway.
const MOST_KIB: u64 = 32 << 10;
/// Connections a second: one after the other, and not more, for the machine is the attacker's as well.
const PAUSE: Duration = Duration::from_millis(20);
/// More pieces than any budget allows.
const MANY: u32 = 1_000_000;

/// What one connection sends, piece by piece.
struct Attack {
    name: &'static str,
    settings: &'static [u8],
    make: fn(u32) -> Vec<u8>,
    /// Pieces that are sent at most.
    pieces: u32,
}

static ATTACKS: [Attack; 8] = [
    Attack { name: "rapid reset", settings: b"", make: rapid_reset, pieces: MANY },
    Attack { name: "made you reset", settings: b"", make: made_you_reset, pieces: MANY },
    Attack { name: "continuation", settings: b"", make: continuation, pieces: MANY },
    Attack { name: "ping", settings: b"", make: ping, pieces: MANY },
    Attack { name: "settings", settings: b"", make: settings, pieces: MANY },
    Attack { name: "empty data", settings: b"", make: empty_data, pieces: MANY },
    Attack { name: "hpack bomb", settings: b"", make: hpack_bomb, pieces: MANY },
    // SETTINGS_INITIAL_WINDOW_SIZE is 0: nothing of any answer may be sent.
    Attack { name: "zero window", settings: &[0, 4, 0, 0, 0, 0], make: large_answers, pieces: 1 },
];

/// Client streams have odd numbers.
fn stream(count: u32) -> u32 {
    count * 2 + 1
}

fn rapid_reset(count: u32) -> Vec<u8> {
    let block = block("GET", "/open/x", &[]);
    let mut out = frame(HEADERS, END_HEADERS | END_STREAM, stream(count), &block);
    out.extend(frame(RST_STREAM, 0, stream(count), &[0, 0, 0, 8]));
    out
}

/// A window that overflows.
fn made_you_reset(count: u32) -> Vec<u8> {
    let mut out = frame(HEADERS, END_HEADERS, stream(count), &block("POST", "/open/x", &[]));
    out.extend(frame(WINDOW_UPDATE, 0, stream(count), &[0x7f, 0xff, 0xff, 0xff]));
    out
}

fn continuation(count: u32) -> Vec<u8> {
    match count {
        0 => frame(HEADERS, END_STREAM, 1, &block("GET", "/open/x", &[])),
        _ => frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y']).repeat(20),
    }
}

fn ping(_: u32) -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8]).repeat(20)
}

fn settings(_: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]).repeat(20)
}

fn empty_data(count: u32) -> Vec<u8> {
    match count {
        0 => frame(HEADERS, END_HEADERS, 1, &block("POST", "/open/x", &[])),
        _ => frame(DATA, 0, 1, b"").repeat(20),
    }
}

/// The first request puts a long field into the table, the others name it thousands of times.
fn hpack_bomb(count: u32) -> Vec<u8> {
    let mut block = block("GET", "/open/x", &[]);
    if count == 0 {
        let rest: usize = 3000 - 127;
        block.extend([0x40, 1, b'x', 127]);
        block.extend([u8::try_from(rest % 128).unwrap() | 0x80, u8::try_from(rest / 128).unwrap()]);
        block.extend([b'x'; 3000]);
    } else {
        block.extend([0xbe; 15_000]);
    }
    frame(HEADERS, END_HEADERS | END_STREAM, stream(count), &block)
}

fn large_answers(_: u32) -> Vec<u8> {
    let block = block("GET", "/open/medium", &[]);
    (0..100).flat_map(|at| frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &block)).collect()
}

impl Attack {
    /// One connection after the other until the time is over; how many there were, and how long the longest lived.
    async fn run(&'static self, to: SocketAddr, until: Instant) -> (usize, Duration) {
        let (mut count, mut longest) = (0, Duration::ZERO);
        while Instant::now() < until {
            let began = Instant::now();
            let raw = Raw::open(to, self.settings).await;
            let (sent, _) = raw.flood(self.pieces, GONE, self.make).await;
            assert!(sent < MANY, "{}: it is never ended", self.name);
            (count, longest) = (count + 1, longest.max(began.elapsed()));
            tokio::time::sleep(PAUSE).await;
        }
        (count, longest)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_that_use_up_a_budget_are_ended_and_honest_callers_go_on() {
    let seconds = wanted("PORTCULLIS_HTTP2_SECONDS", 1);
    let world = World::start().await;
    let to = world.gateway.address();
    let before = honest::alone(to, &world.request).await;
    let memory = world.gateway.resident_kib();
    let mut all = Vec::new();
    // `PORTCULLIS_HTTP2_ATTACK=ping`: that one alone.
    let only = std::env::var("PORTCULLIS_HTTP2_ATTACK").unwrap_or_default();
    for attack in ATTACKS.iter().filter(|attack| attack.name.contains(&only)) {
        world.gateway.reset_peak();
        let load = Load::start(to, &world.request);
        let until = Instant::now() + Duration::from_secs(seconds as u64);
        let (count, longest) = attacking(attack.run(to, until)).await;
        let during = load.stop();
        let grown = world.gateway.peak_kib().saturating_sub(memory);
        let name = attack.name;
        println!("http2: {name}: {count} connections, longest {longest:.1?}, grew by {grown} KiB");
        println!("http2: {name}: {during:?}");
        assert!(grown <= MOST_KIB, "{name}: {grown} KiB");
        if during.offered >= honest::SAMPLES {
            honest::kept_goodput(&during);
            honest::kept_pace(&before, &during);
        }
        all.push(during);
    }
    let during = Figures::of_all(all);
    honest::tell("http2", &before, &during);
    honest::kept_goodput(&during);
    honest::kept_pace(&before, &during);
}
