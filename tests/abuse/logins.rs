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

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn simultaneous_logins_are_answered_and_proxied_callers_go_on() {
    let count = wanted("PORTCULLIS_LOGINS", 100);
    let world = World::start().await;
    let to = world.gateway.address();
    let before = honest::alone(to, &world.request).await;
    let memory = world.gateway.resident_kib();
    world.gateway.reset_peak();

    let load = Load::start(to, &world.request);
    let (began, mut waves, mut wrong, mut busy) = (Instant::now(), 0, 0, 0);
    let mut slowest = Duration::ZERO;
    let enough = tokio::spawn(honest::enough(began));
    // One wave is over too soon to see anything beside it.
    let mut ticks = tokio::time::interval(Duration::from_secs(2));
    while !enough.is_finished() {
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
    let during = load.stop();
    let peak = world.gateway.peak_kib();
    println!("logins: {waves} waves of {count}, slowest {slowest:?}; 401 {wrong}, 503 {busy}");
    println!("logins: resident {memory} KiB before, {peak} KiB at most");
    honest::tell("logins", &before, &during);
    assert!(wrong > 0, "some are judged");
    honest::kept_goodput(&during);
    honest::kept_pace(&before, &during);
}
