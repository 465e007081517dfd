//! Nanoseconds per decision of the local limiter, and of a share beside it in the same run.

use std::{
    future::Future,
    hint::black_box,
    net::TcpListener,
    pin::Pin,
    process::{Child, Command, Stdio},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::{
    fleet,
    limit::{RateLimiter, Settings, SharedLimiter, local::LocalLimiter},
    model::SystemRandom,
    pipeline::quota::{Across, Charge, KeyPart, KeyParts, LimitKey, Window},
    telemetry::Metrics,
};

/// High enough to refuse nothing.
const WIDE: [Window; 2] = [
    Window { limit: u32::MAX, per: Duration::from_secs(60) },
    Window { limit: u32::MAX, per: Duration::from_secs(3600) },
];
const NARROW: [Window; 1] = [Window { limit: 1, per: Duration::from_secs(3600) }];

fn charge<'a>(limit: &'a str, part: KeyPart<'a>, windows: &'a [Window]) -> Charge<'a> {
    Charge {
        key: LimitKey { limit, parts: KeyParts::from_iter([part]) },
        windows,
        across: Across::default(),
    }
}

/// The local limiter answers at the first poll.
fn now<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn decisions(criterion: &mut Criterion) {
    let limiter = LocalLimiter::new(&Settings::default());
    let client = KeyPart::Client([192, 0, 2, 1].into());
    let check = |charges: &[Charge<'_>]| black_box(now(limiter.check(black_box(charges))));

    criterion.bench_function("limit/one window", |bencher| {
        bencher.iter(|| check(&[charge("client", client, &WIDE[..1])]));
    });
    criterion.bench_function("limit/two windows", |bencher| {
        bencher.iter(|| check(&[charge("client", client, &WIDE)]));
    });
    criterion.bench_function("limit/two limits", |bencher| {
        let key = KeyPart::Key("0190f3a27c1e7d44");
        bencher.iter(|| check(&[charge("client", client, &WIDE), charge("key", key, &WIDE)]));
    });
    criterion.bench_function("limit/refused", |bencher| {
        bencher.iter(|| check(&[charge("narrow", client, &NARROW)]));
    });
    criterion.bench_function("limit/distinct keys, table full at a million", |bencher| {
        let mut number = 0_u64;
        bencher.iter(|| {
            number += 1;
            check(&[charge("flood", KeyPart::Text(&number.to_string()), &NARROW)])
        });
    });
}

/// A Redis for the time of the run; `None`: there is none on this machine.
struct Server(Child, u16);

impl Server {
    fn start() -> Option<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0)).ok()?.local_addr().ok()?.port();
        let arguments = ["--save", "", "--port", &port.to_string()];
        let quiet = Command::new("redis-server").args(arguments).stdout(Stdio::null()).spawn();
        quiet.ok().map(|child| Self(child, port))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A decision from a share in hand, beside one of the process alone: the same key, window and way of asking.
fn shares(criterion: &mut Criterion) {
    let Some(server) = Server::start() else {
        eprintln!("no redis-server on this machine: shares are not measured");
        return;
    };
    let Ok(runtime) =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
    else {
        return;
    };
    let Ok(metrics) = Metrics::new() else { return };
    let settings = fleet::Settings {
        topology: fleet::Topology::Single(fleet::Address {
            host: "127.0.0.1".into(),
            port: server.1,
        }),
        tls: None,
        login: None,
        sentinel_login: None,
        database: 0,
        prefix: "bench:".into(),
        timeout: Duration::from_millis(50),
        nodes: 1,
    };
    let client = fleet::Client::new(settings, metrics.clone());
    let members = fleet::Members::new(client.clone(), metrics.clone(), &SystemRandom);
    let local = Arc::new(LocalLimiter::new(&Settings::default()));
    let leased = SharedLimiter::new(local.clone(), client.clone(), members, metrics);
    {
        let _inside = runtime.enter();
        leased.start();
    }
    while !client.is_up() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let part = KeyPart::Client([192, 0, 2, 1].into());
    let charges = [charge("client", part, &WIDE[..1])];
    criterion.bench_function("limit/alone, one window", |bencher| {
        bencher.iter(|| black_box(local.check_now(black_box(&charges))));
    });
    criterion.bench_function("limit/leased, one window", |bencher| {
        bencher.iter(|| match leased.check_now(black_box(&charges)) {
            Some(decided) => black_box(decided),
            None => runtime.block_on(leased.check(&charges)),
        });
    });
}

criterion_group!(benches, decisions, shares);
criterion_main!(benches);
