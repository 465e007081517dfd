//! Many logins at the same time: hashing is bounded, and what is proxied goes on.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    World, attacking,
    honest::{self, Figures, Load},
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

/// All at the same moment; how many were judged, how many refused.
async fn wave(to: SocketAddr, numbers: Range<usize>) -> [usize; 2] {
    let mut all = JoinSet::new();
    for number in numbers {
        all.spawn(login(to, number));
    }
    let mut counts = [0; 2];
    for reply in all.join_all().await {
        match reply.status {
            401 => counts[0] += 1,
            503 => {
                counts[1] += 1;
                assert!(reply.header("retry-after").is_some());
            }
            other => panic!("{other}: {}", reply.text()),
        }
    }
    counts
}

/// So many waves, spread over the time in which honest answers enough are counted.
async fn attack(world: &World, count: usize, waves: usize) -> Figures {
    let to = world.gateway.address();
    let load = Load::start(to, &world.request);
    let (began, mut sum, mut slowest) = (Instant::now(), [0; 2], Duration::ZERO);
    let mut ticks = tokio::time::interval(Duration::from_secs(2));
    for number in 0..waves {
        ticks.tick().await;
        let first = (waves + number) * count;
        let begun = Instant::now();
        let own = attacking(wave(to, first..first + count)).await;
        slowest = slowest.max(begun.elapsed());
        sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    honest::enough(began).await;
    println!("logins: {waves} x {count}, slowest {slowest:?}, [401, 503] {sum:?}");
    assert!(sum[0] > 0, "some are judged");
    load.stop()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn simultaneous_logins_are_answered_and_proxied_callers_go_on() {
    let count = wanted("PORTCULLIS_LOGINS", 25);
    let world = World::start().await;
    let before = honest::alone(world.gateway.address(), &world.request).await;
    let memory = world.gateway.resident_kib();
    world.gateway.reset_peak();
    let during = attack(&world, count, 1).await;
    honest::tell("logins, once", &before, &during);
    honest::kept_goodput(&during);
    honest::kept_pace(&before, &during);

    // Again and again attacker and gateway fight for the cores: here it is enough that everybody is served.
    let during = attack(&world, count, 5).await;
    honest::tell("logins, again", &before, &during);
    honest::kept_goodput(&during);
    println!("logins: resident {memory} KiB before, {} KiB at most", world.gateway.peak_kib());
}
