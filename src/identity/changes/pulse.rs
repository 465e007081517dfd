//! Whether what this node holds in memory is still what the store says: one look at two numbers, made for every request.
//!
//! Where nobody else changes the store, memory is always right and nothing of this is used. Where other nodes do, a node must
//! know two things of itself: that it was running all the time (a process that was stopped has heard nothing, and does not
//! know), and when the store last confirmed what it holds.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::identity::STALE_FOR;

/// How often the follower comes round.
pub(super) const PACE: Duration = Duration::from_millis(200);
/// A follower that was silent for longer did not run, and asks the store before it goes on.
pub(super) const ASLEEP: Duration = Duration::from_secs(1);
/// How long a request waits for a follower that has just woken up.
const WAKING: Duration = Duration::from_secs(2);

/// When the follower last came round, and when the store last confirmed what is held.
pub(in crate::identity) struct Pulse {
    began: Instant,
    /// Whether there is a follower at all.
    followed: AtomicBool,
    /// Both in milliseconds since `began`.
    beat: AtomicU64,
    confirmed: AtomicU64,
    stale_for: AtomicU64,
    turns: watch::Sender<()>,
}

/// Whether memory can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Current,
    /// The follower has not come round: it will have to ask first.
    Asleep,
    /// The store has confirmed nothing for longer than the operator allows.
    TooOld,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            followed: AtomicBool::new(false),
            beat: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            stale_for: AtomicU64::new(millis(STALE_FOR)),
            turns: watch::Sender::new(()),
        }
    }
}

impl Pulse {
    /// From now on memory is held against the store; it was read from there at `read`.
    pub(super) fn begins(&self, read: Instant, now: Instant) {
        self.confirmed.store(self.millis(read), Ordering::Release);
        self.beat.store(self.millis(now), Ordering::Release);
        self.followed.store(true, Ordering::Release);
    }

    /// Says how old memory may grow without the store.
    pub(in crate::identity) fn allow(&self, stale_for: Duration) {
        self.stale_for.store(millis(stale_for), Ordering::Release);
    }

    /// How old memory may grow without the store.
    pub(in crate::identity) fn stale_for(&self) -> Duration {
        Duration::from_millis(self.stale_for.load(Ordering::Acquire))
    }

    /// The follower came round.
    pub(super) fn beats(&self, now: Instant) {
        self.beat.store(self.millis(now), Ordering::Release);
        self.turns.send_replace(());
    }

    /// Whether the follower has been away for so long that it must ask before it may say that it is there.
    pub(super) fn slept(&self, now: Instant) -> bool {
        self.since(&self.beat, now) >= ASLEEP
    }

    /// Everything that the store held at that moment was taken in.
    pub(super) fn confirms(&self, asked: Instant) {
        self.confirmed.fetch_max(self.millis(asked), Ordering::AcqRel);
    }

    /// How long ago the store last confirmed what is held; `None`: nobody else changes the store.
    pub(in crate::identity) fn age(&self, now: Instant) -> Option<Duration> {
        let followed = self.followed.load(Ordering::Acquire);
        followed.then(|| self.since(&self.confirmed, now))
    }

    /// When the store last confirmed what is held; `None`: nobody else changes the store.
    pub(in crate::identity) fn vouched_at(&self) -> Option<Instant> {
        let followed = self.followed.load(Ordering::Acquire);
        let since = Duration::from_millis(self.confirmed.load(Ordering::Acquire));
        followed.then(|| self.began + since)
    }

    /// Whether memory may be relied on now. Reads no clock where nothing is followed.
    pub(in crate::identity) fn is_current(&self) -> bool {
        !self.followed.load(Ordering::Acquire) || self.standing(Instant::now()) == Standing::Current
    }

    /// The same, after the follower had time to ask, where it has just woken up.
    pub(in crate::identity) async fn becomes_current(&self) -> bool {
        let mut turns = self.turns.subscribe();
        let awake = async {
            // Looked at after the subscription: a turn in between is not missed.
            while self.standing(Instant::now()) == Standing::Asleep {
                if turns.changed().await.is_err() {
                    return;
                }
            }
        };
        // Whether it was in time stands in what is asked next.
        let _ = tokio::time::timeout(WAKING, awake).await;
        self.is_current()
    }

    /// Whether the store has confirmed nothing for longer than the operator allows.
    pub(super) fn is_too_old(&self, now: Instant) -> bool {
        let age = self.since(&self.confirmed, now);
        millis(age) >= self.stale_for.load(Ordering::Acquire)
    }

    fn standing(&self, now: Instant) -> Standing {
        match () {
            () if self.since(&self.beat, now) >= ASLEEP => Standing::Asleep,
            () if self.is_too_old(now) => Standing::TooOld,
            () => Standing::Current,
        }
    }

    fn since(&self, moment: &AtomicU64, now: Instant) -> Duration {
        let moment = moment.load(Ordering::Acquire);
        Duration::from_millis(self.millis(now).saturating_sub(moment))
    }

    fn millis(&self, moment: Instant) -> u64 {
        millis(moment.saturating_duration_since(self.began))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn where_nobody_else_changes_the_store_memory_is_always_right() {
        let pulse = Pulse::default();
        pulse.allow(Duration::ZERO);
        assert!(pulse.is_current());
        assert_eq!(pulse.age(Instant::now()), None);
    }

    #[test]
    fn memory_is_good_for_as_long_as_the_operator_says() {
        let pulse = Pulse::default();
        let start = pulse.began;
        pulse.begins(start, start);
        pulse.allow(10 * SECOND);
        for (after, standing) in [
            (0, Standing::Current),
            (9, Standing::Current),
            (10, Standing::TooOld),
            (11, Standing::TooOld),
        ] {
            let now = start + after * SECOND;
            pulse.beats(now);
            assert_eq!(pulse.standing(now), standing, "{after}");
            assert_eq!(pulse.age(now), Some(after * SECOND));
        }
        pulse.confirms(start + 9 * SECOND);
        assert_eq!(pulse.standing(start + 11 * SECOND), Standing::Current);
        // An older answer that comes late takes nothing back.
        pulse.confirms(start + SECOND);
        assert_eq!(pulse.age(start + 11 * SECOND), Some(2 * SECOND));
    }

    #[test]
    fn who_was_stopped_does_not_know_what_happened_meanwhile() {
        let pulse = Pulse::default();
        let start = pulse.began;
        pulse.begins(start, start);
        let later = start + ASLEEP;
        assert_eq!(pulse.standing(later - Duration::from_millis(1)), Standing::Current);
        assert_eq!(pulse.standing(later), Standing::Asleep);
        assert!(pulse.slept(later));
        pulse.beats(later);
        assert_eq!(pulse.standing(later), Standing::Current);
    }

    #[tokio::test]
    async fn a_request_waits_for_who_has_just_woken_up() {
        let pulse = Pulse { began: Instant::now() - 5 * SECOND, ..Pulse::default() };
        pulse.begins(pulse.began, pulse.began);
        assert!(!pulse.is_current());
        let (current, ()) = tokio::join!(pulse.becomes_current(), async {
            tokio::task::yield_now().await;
            pulse.beats(Instant::now());
        });
        assert!(current);
    }
}
