//! Many logins at the same time: hashing is bounded, and what is proxied goes on.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    World,
    honest::{self, Load},
    support::wire::{self, Reply},
    wanted,
};

/// From an address of its own, so that no limit but the pool's is met.
async fn login(to: SocketAddr, number: usize) -> Reply {
    let [high, low] = u16::try_from(number % 65_536).unwrap().to_be_bytes();
    let me = IpAddr::V4(Ipv4Addr::new(127, 68, high, low.max(1)));
    let body =
        format!("{{\"username\":\"nobody-{number}\",\"password\":\"Wrong-horse-{number}!\"}}");
    let request = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut wire = wire::connect_from(to, Some(me)).await.unwrap();
    wire.send(request).await;
    wire.reply().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_logins_are_answered_and_proxied_callers_go_on() {
    let count = wanted("PORTCULLIS_LOGINS", 100);
    let world = World::start().await;
    let to = world.gateway.address();
    honest::alone(to, &world.request, Duration::from_secs(2)).await;
    let before = honest::alone(to, &world.request, Duration::from_secs(8)).await;
    let memory = world.gateway.resident_kib();
    world.gateway.reset_peak();

    let load = Load::start(to, &world.request);
    let (began, mut waves, mut wrong, mut busy) = (Instant::now(), 0, 0, 0);
    let mut slowest = Duration::ZERO;
    // One wave is over too soon to see anything beside it.
    let mut ticks = tokio::time::interval(Duration::from_secs(2));
    while began.elapsed() < Duration::from_secs(8) {
        ticks.tick().await;
        let (wave, mut all) = (Instant::now(), JoinSet::new());
        for number in 0..count {
            all.spawn(login(to, waves * count + number));
        }
        for reply in all.join_all().await {
            match reply.status {
                401 => wrong += 1,
                503 => {
                    busy += 1;
                    assert!(reply.header("retry-after").is_some());
                }
                other => panic!("{other}: {}", reply.text()),
            }
        }
        slowest = slowest.max(wave.elapsed());
        waves += 1;
    }
    let during = load.stop().await;
    let peak = world.gateway.peak_kib();
    println!("logins: {waves} waves of {count}, slowest {slowest:?}; 401 {wrong}, 503 {busy}");
    println!("logins: resident {memory} KiB before, {peak} KiB at most");
    println!("logins: proxied before {before:?}");
    println!("logins: proxied during {during:?}");
    println!("logins: p99 x{:.2}", during.p99.as_secs_f64() / before.p99.as_secs_f64());
    assert!(wrong > 0, "some are judged");
    assert!(during.failed == 0 && during.goodput >= before.goodput * 0.5, "{during:?}");
}
