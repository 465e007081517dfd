//! The limiter against a model of it, over many random courses.

use proptest::prelude::*;

use super::*;

/// The meaning of a limit, in exact arithmetic: a bucket of N that refills by N per W, counted in N-ths of nanoseconds.
struct Model {
    windows: Vec<Window>,
    used: Vec<u128>,
    last: u128,
}

impl Model {
    fn new(windows: &[Window]) -> Self {
        Self { windows: windows.to_vec(), used: vec![0; windows.len()], last: 0 }
    }

    fn admit(&mut self, now: u128) -> bool {
        for (window, used) in self.windows.iter().zip(&mut self.used) {
            let refilled = (now - self.last) * u128::from(window.limit);
            *used = used.saturating_sub(refilled);
        }
        self.last = now;
        let one = |window: &Window| window.per.as_nanos();
        let room = |(window, used): (&Window, &u128)| {
            used + one(window) <= one(window) * u128::from(window.limit)
        };
        let fits = self.windows.iter().zip(&self.used).all(room);
        if fits {
            for (window, used) in self.windows.iter().zip(&mut self.used) {
                *used += window.per.as_nanos();
            }
        }
        fits
    }
}

/// Limits that divide a second, so that the model and the limiter round alike.
fn windows() -> impl Strategy<Value = Vec<Window>> {
    let limit = prop_oneof![Just(1), Just(2), Just(4), Just(5), Just(8), Just(10), Just(20)];
    let window = (limit, 1..60u64).prop_map(|(limit, span)| per(limit, span));
    proptest::collection::vec(window, 1..=5)
}

proptest! {
    #[test]
    fn every_decision_is_the_models(
        windows in windows(),
        steps in proptest::collection::vec(0..3_000_000_000u64, 1..120),
    ) {
        let (limiter, clock) = limiter(10);
        let mut model = Model::new(&windows);
        for step in steps {
            clock.advance(Duration::from_nanos(step));
            let now = u128::from(clock.now().as_u64());
            prop_assert_eq!(passes(&limiter, "l", "x", &windows), model.admit(now));
            limiter.sweep();
        }
    }

    #[test]
    fn no_span_admits_more_than_the_burst_and_the_refill(
        limit in 1..40u32,
        span in 1..30u64,
        steps in proptest::collection::vec(0..900_000_000u64, 1..200),
    ) {
        let (limiter, clock) = limiter(10);
        let windows = [per(limit, span)];
        let mut admitted: Vec<u128> = Vec::new();
        for step in steps {
            clock.advance(Duration::from_nanos(step));
            if passes(&limiter, "l", "x", &windows) {
                admitted.push(u128::from(clock.now().as_u64()));
            }
        }
        for (first, start) in admitted.iter().enumerate() {
            for (last, end) in admitted.iter().enumerate().skip(first) {
                let refill = u128::from(limit) * (end - start) / secs(span).as_nanos();
                let allowed = u128::from(limit) + refill;
                prop_assert!((last - first + 1) as u128 <= allowed);
            }
        }
    }

    #[test]
    fn whoever_waits_as_told_gets_in(
        windows in windows(),
        steps in proptest::collection::vec(0..500_000_000u64, 1..60),
    ) {
        let (limiter, clock) = limiter(10);
        for step in steps {
            clock.advance(Duration::from_nanos(step));
            if let Err(LimitError::Limited(toll)) = check(&limiter, &[charge("l", "x", &windows)]) {
                clock.advance(toll.retry_after.unwrap() - Duration::from_nanos(1));
                prop_assert!(!passes(&limiter, "l", "x", &windows));
                clock.advance(Duration::from_nanos(1));
                prop_assert!(passes(&limiter, "l", "x", &windows));
            }
        }
    }

    // requirement: 25
    #[test]
    fn the_table_never_outgrows_its_cap(
        cap in 0..20usize,
        requests in proptest::collection::vec((0..50u8, 0..400u64), 1..200),
    ) {
        let (limiter, clock) = limiter(cap);
        let windows = [per(1, 1), per(3, 10)];
        for (who, step) in requests {
            clock.advance(Duration::from_millis(step));
            passes(&limiter, "l", &who.to_string(), &windows);
            prop_assert!(limiter.tracked() <= cap);
        }
    }
}
