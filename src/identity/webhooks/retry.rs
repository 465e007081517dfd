//! When a delivery is tried again. Pure.
//!
//! A subscription's events arrive in order, so later ones wait for the first. A policy's attempts are one round; a receiver
//! that is not there after a round is left alone for a while, and then the same event begins a new round. So a receiver that
//! was down gets everything once it is back. Only what has expired, or what the receiver refuses for good, is given up.

use std::time::Duration;

use super::{Backoff, RetryPolicy};
use crate::model::Timestamp;

/// Longest rest between two rounds: a receiver that came back waits no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// What one try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx.
    Arrived,
    /// 408, 429, 500, 502, 503, 504, or no answer at all.
    NotNow,
    /// Any other answer, or an address that nothing is sent to.
    Refused,
}

/// What follows from a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) status: &'static str,
    /// `None`: done with.
    pub(super) at: Option<Timestamp>,
}

impl Outcome {
    /// Of an answer; `None`: there was none.
    pub(super) fn of(status: Option<u16>) -> Self {
        match status {
            Some(200..=299) => Self::Arrived,
            None | Some(408 | 429 | 500 | 502 | 503 | 504) => Self::NotNow,
            // Redirects too: they are never followed.
            Some(_) => Self::Refused,
        }
    }
}

/// What follows from the try with this number, from 1.
pub(super) fn next(
    policy: &RetryPolicy,
    outcome: Outcome,
    tries: u32,
    now: Timestamp,
    expires_at: Timestamp,
) -> Next {
    match outcome {
        Outcome::Arrived => return Next { status: "delivered", at: None },
        Outcome::Refused => return Next { status: "failed", at: None },
        Outcome::NotNow => {}
    }
    let attempts = policy.max_attempts.max(1);
    let (round, place) =
        (tries.saturating_sub(1) / attempts, tries.saturating_sub(1) % attempts + 1);
    let over = place == attempts;
    let wait = if over { rest(policy, round) } else { wait(policy, place) };
    let at = now + wait;
    if at >= expires_at {
        return Next { status: "failed", at: None };
    }
    Next { status: if over { "failed" } else { "retrying" }, at: Some(at) }
}

fn wait(policy: &RetryPolicy, place: u32) -> Duration {
    let factor = match policy.backoff {
        Backoff::Exponential => 1_u32.checked_shl(place.saturating_sub(1)).unwrap_or(u32::MAX),
        Backoff::Linear => place,
        Backoff::Fixed => 1,
    };
    policy.initial_delay.saturating_mul(factor).min(policy.max_delay)
}

fn rest(policy: &RetryPolicy, round: u32) -> Duration {
    let step = policy.initial_delay.max(Duration::from_secs(1));
    // Doubles from round to round, and never ends before a wait inside a round could have.
    let doubled =
        step.saturating_mul(1_u32.checked_shl(round.saturating_add(1)).unwrap_or(u32::MAX));
    doubled.min(policy.max_delay.min(LONGEST_REST)).max(step.min(LONGEST_REST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const FAR: Timestamp = Timestamp(10_000_000_000);

    fn policy(backoff: Backoff) -> RetryPolicy {
        let (initial_delay, max_delay) = (Duration::from_secs(1), Duration::from_secs(60));
        RetryPolicy { max_attempts: 5, backoff, initial_delay, max_delay }
    }

    fn seconds(policy: &RetryPolicy, tries: u32) -> (u64, &'static str) {
        let next = next(policy, Outcome::NotNow, tries, NOW, FAR);
        (next.at.unwrap().since(NOW).as_secs(), next.status)
    }

    #[test]
    fn waits_inside_a_round_are_those_of_the_policy() {
        for (backoff, waits) in [
            (Backoff::Exponential, [1, 2, 4, 8]),
            (Backoff::Linear, [1, 2, 3, 4]),
            (Backoff::Fixed, [1, 1, 1, 1]),
        ] {
            for (tries, wait) in (1..).zip(waits) {
                assert_eq!(seconds(&policy(backoff), tries), (wait, "retrying"), "{backoff:?}");
            }
        }
        let short =
            RetryPolicy { max_delay: Duration::from_secs(3), ..policy(Backoff::Exponential) };
        assert_eq!(seconds(&short, 4).0, 3);
    }

    #[test]
    fn after_a_round_it_has_failed_and_is_tried_again_after_a_rest() {
        let policy = policy(Backoff::Exponential);
        assert_eq!(seconds(&policy, 5), (2, "failed"));
        assert_eq!(seconds(&policy, 6), (1, "retrying"), "a new round");
        assert_eq!(seconds(&policy, 10), (4, "failed"));
        assert_eq!(seconds(&policy, 500), (60, "failed"), "never longer than the longest wait");
        let one = RetryPolicy { max_attempts: 1, ..policy };
        assert_eq!(seconds(&one, 1), (2, "failed"));
    }

    #[test]
    fn only_expired_and_refused_ones_are_given_up() {
        let policy = policy(Backoff::Fixed);
        let late = next(&policy, Outcome::NotNow, 1, NOW, NOW + Duration::from_secs(1));
        assert_eq!(late, Next { status: "failed", at: None });
        assert_eq!(
            next(&policy, Outcome::Arrived, 9, NOW, FAR),
            Next { status: "delivered", at: None }
        );
        assert_eq!(
            next(&policy, Outcome::Refused, 1, NOW, FAR),
            Next { status: "failed", at: None }
        );
    }

    #[test]
    fn statuses_that_are_tried_again() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(Outcome::of(Some(status)), Outcome::NotNow, "{status}");
        }
        for status in [301, 302, 307, 400, 401, 403, 404, 410, 501] {
            assert_eq!(Outcome::of(Some(status)), Outcome::Refused, "{status}");
        }
        for status in [200, 201, 202, 204] {
            assert_eq!(Outcome::of(Some(status)), Outcome::Arrived, "{status}");
        }
        assert_eq!(Outcome::of(None), Outcome::NotNow);
    }
}
