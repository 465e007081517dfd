//! One window of one key, decided by governor.
//!
//! Governor normally owns its state and writes it as soon as a check passes. Here several windows must be charged
//! together or not at all, so each is decided on a scratch cell, and the caller writes the results only if all passed.

use std::{cell::Cell, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};

use crate::pipeline::quota::Window;

/// Theoretical arrival time in nanoseconds of the limiter's clock: the whole state of a window. Zero is a fresh one,
/// and so is any moment that has passed.
pub(super) type Tat = u64;

/// What one window says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// State before the request.
    pub(super) before: Tat,
    /// State after it; the same as before if it does not fit.
    pub(super) after: Tat,
    /// Requests left before the request.
    pub(super) left: u32,
    /// Time until a request fits, if it does not fit now.
    pub(super) wait: Option<Duration>,
}

/// Decides one request against one window at the time `now`, without keeping anything.
pub(super) fn read(window: &Window, before: Tat, now: Nanos) -> Reading {
    let refused = |wait| Reading { before, after: before, left: 0, wait: Some(wait) };
    // The configuration refuses both; if one gets here all the same, nothing passes.
    let Some(quota) = quota(window) else { return refused(window.per) };

    let limiter = Limiter::new(quota, Scratch::new(before), Frozen::default());
    // Governor counts from the clock's reading at construction. Ours was zero then, so states mean the same each time.
    limiter.clock().0.set(now);
    match limiter.check() {
        Ok(snapshot) => Reading {
            before,
            after: limiter.into_state_store().0.get(),
            left: snapshot.remaining_burst_capacity().saturating_add(1),
            wait: None,
        },
        Err(not_until) => refused(not_until.wait_time_from(now)),
    }
}

type Limiter = RateLimiter<NotKeyed, Scratch, Frozen, StateInformationMiddleware>;

/// Burst N, refill one per W/N. The interval is rounded up, so that never more than N + N·t/W get in.
fn quota(window: &Window) -> Option<Quota> {
    let limit = NonZeroU32::new(window.limit)?;
    // A division of 64 bits is several times faster than one of 128, and 584 years are enough.
    let span = u64::try_from(window.per.as_nanos()).ok()?;
    let interval = Duration::from_nanos(span.div_ceil(u64::from(limit.get())));
    Some(Quota::with_period(interval)?.allow_burst(limit))
}

/// A state store for exactly one decision.
struct Scratch(Cell<Tat>);

impl Scratch {
    fn new(before: Tat) -> Self {
        Self(Cell::new(before))
    }
}

impl StateStore for Scratch {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, after) = decide(Some(Nanos::new(self.0.get())))?;
        self.0.set(after.as_u64());
        Ok(outcome)
    }
}

/// A clock that stands at one moment, so that all windows of a request are decided at the same time.
#[derive(Default)]
struct Frozen(Cell<Nanos>);

impl Clock for Frozen {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn window(limit: u32, secs: u64) -> Window {
        Window { limit, per: Duration::from_secs(secs) }
    }

    #[test]
    fn a_fresh_window_lets_the_whole_burst_in_and_then_one_per_interval() {
        let window = window(3, 3);
        let mut tat = 0;
        let now = Nanos::new(100 * SECOND);
        for left in [3, 2, 1] {
            let reading = read(&window, tat, now);
            assert_eq!((reading.left, reading.wait), (left, None));
            tat = reading.after;
        }
        let reading = read(&window, tat, now);
        assert_eq!((reading.left, reading.wait), (0, Some(Duration::from_secs(1))));
        assert_eq!(read(&window, tat, Nanos::new(101 * SECOND)).wait, None);
    }

    #[test]
    fn a_limit_that_does_not_divide_its_span_never_lets_more_in() {
        // A third of a second is no whole number of nanoseconds.
        let quota = quota(&window(3, 1)).unwrap();
        assert_eq!(quota.replenish_interval(), Duration::from_nanos(333_333_334));
    }

    #[test]
    fn a_window_that_admits_nothing_refuses() {
        assert_eq!(read(&window(0, 5), 0, Nanos::new(1)).wait, Some(Duration::from_secs(5)));
    }
}
