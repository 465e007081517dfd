//! The limiter against exact arithmetic: a bucket of N that refills by N per window.
#![no_main]

use std::time::Duration;

use governor::clock::{Clock, FakeRelativeClock};
use libfuzzer_sys::fuzz_target;
use portcullis::{
    limit::{RateLimiter, Settings, local::LocalLimiter},
    pipeline::quota::{Across, Charge, KeyPart, KeyParts, LimitKey, Window},
};

fuzz_target!(|bytes: &[u8]| {
    let [limit, span, steps @ ..] = bytes else { return };
    // Limits that divide a second, so that both round alike.
    let limit = [1_u32, 2, 4, 5, 8, 10, 20][usize::from(limit % 7)];
    let windows = [Window { limit, per: Duration::from_secs(u64::from(span % 60) + 1) }];
    let clock = FakeRelativeClock::default();
    let limiter = LocalLimiter::with_clock(&Settings { max_keys: 10 }, clock.clone());
    let (mut used, mut last) = (0_u128, u128::from(clock.now().as_u64()));
    let per = windows[0].per.as_nanos();
    for step in steps.chunks(2).take(200) {
        let millis = step.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) % 5000;
        clock.advance(Duration::from_millis(millis));
        let now = u128::from(clock.now().as_u64());
        used = used.saturating_sub((now - last) * u128::from(limit));
        last = now;
        let fits = used + per <= per * u128::from(limit);
        if fits {
            used += per;
        }
        let key = LimitKey { limit: "l", parts: KeyParts::from_iter([KeyPart::Text("x")]) };
        let charge = Charge { key, windows: &windows, across: Across::default() };
        let passed = limiter.check_now(&[charge]).expect("it never waits").is_ok();
        assert_eq!(passed, fits);
        limiter.sweep();
        assert!(limiter.tracked() <= 10);
    }
});
