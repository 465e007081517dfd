//! Nanoseconds per decision of the local limiter.

use std::{
    future::Future,
    hint::black_box,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::{
    limit::{RateLimiter, Settings, local::LocalLimiter},
    pipeline::quota::{Charge, KeyPart, KeyParts, LimitKey, Window},
};

/// High enough to refuse nothing.
const WIDE: [Window; 2] = [
    Window { limit: u32::MAX, per: Duration::from_secs(60) },
    Window { limit: u32::MAX, per: Duration::from_secs(3600) },
];
const NARROW: [Window; 1] = [Window { limit: 1, per: Duration::from_secs(3600) }];

fn charge<'a>(limit: &'a str, part: KeyPart<'a>, windows: &'a [Window]) -> Charge<'a> {
    Charge { key: LimitKey { limit, parts: KeyParts::from_iter([part]) }, windows }
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

criterion_group!(benches, decisions);
criterion_main!(benches);
