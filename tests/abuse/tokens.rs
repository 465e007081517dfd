//! A flood of tokens that nobody signed, each another one.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    World,
    honest::{self, Load},
    support::wire,
    wanted,
};

const GUESSERS: u8 = 4;
/// Growth of the gateway.
const MOST_KIB: u64 = 16 << 10;

async fn guess(
    to: SocketAddr,
    guesser: u8,
    token: String,
    next: Arc<AtomicUsize>,
    (total, rate): (usize, usize),
) -> [usize; 3] {
    let me = IpAddr::V4(Ipv4Addr::new(127, 67, 0, guesser));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let tail: String = signature.chars().skip(8).collect();
    let (mut counts, mut open, start) = ([0; 3], None, Instant::now());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= total {
            return counts;
        }
        let due = start + Duration::from_secs_f64(number as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
        let mut wire = match open.take() {
            Some(wire) => wire,
            None => wire::connect_from(to, Some(me)).await.unwrap(),
        };
        let request = format!(
            "GET /closed/x HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {signed}.{number:08}{tail}\r\n\r\n"
        );
        let _ = wire.try_send(request).await;
        let Some(reply) = wire.try_reply(false).await else { continue };
        match reply.status {
            401 => counts[0] += 1,
            429 => counts[1] += 1,
            _ => counts[2] += 1,
        }
        if reply.header("connection") != Some("close") {
            open = Some(wire);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_of_wrong_tokens_costs_no_memory_and_honest_callers_go_on() {
    // So many a second that they are there for as long as honest answers enough are counted.
    let total = wanted("PORTCULLIS_WRONG_TOKENS", 6_000);
    let rate = wanted("PORTCULLIS_TOKEN_RATE", 500);
    let world = World::start().await;
    let to = world.gateway.address();
    let before = honest::alone(to, &world.request).await;
    let memory = world.gateway.resident_kib();
    world.gateway.reset_peak();

    let load = Load::start(to, &world.request);
    let (began, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut attack = JoinSet::new();
    for guesser in 1..=GUESSERS {
        let (token, next) = (world.token.clone(), Arc::clone(&next));
        attack.spawn(guess(to, guesser, token, next, (total, rate)));
    }
    let mut counts = [0; 3];
    for own in attack.join_all().await {
        counts.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    let took = began.elapsed();
    let during = load.stop();
    let peak = world.gateway.peak_kib();
    let line = "portcullis_credential_cache_lookups_total{kind=\"refused_token\",result=\"miss\"}";
    let judged = world.figure(line).await;
    println!("tokens: {total} in {took:?}, [401, 429, other] {counts:?}, signatures {judged}");
    println!("tokens: resident {memory} KiB before, {peak} KiB at most");
    honest::tell("tokens", &before, &during);
    assert_eq!(counts[2], 0);
    // 600 at once, and ten a second for each guesser.
    let most = usize::from(GUESSERS) * (600 + 10 * usize::try_from(took.as_secs() + 2).unwrap());
    assert!(usize::try_from(judged).unwrap() <= most, "{judged} signatures, {most} are paid for");
    assert!(counts[1] > 0, "guessers are held back");
    assert!(peak <= memory + MOST_KIB, "{memory} KiB grew to {peak} KiB");
    honest::kept_goodput(&during);
    honest::kept_pace(&before, &during);
}
