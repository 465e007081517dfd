//! How far somebody who announces changes has got, held against what is known of them from wherever.

use std::time::{Duration, Instant};

/// Who owes a word for longer is doubted: its connection may be dead without knowing it.
const DOUBT: Duration = Duration::from_millis(1500);

/// One who announces.
#[derive(Debug)]
pub(super) struct Source {
    /// The newest change that it has told of.
    told: u64,
    /// Since when something is known that it has not told of.
    owes: Option<Instant>,
    /// That was said already.
    doubted: bool,
}

impl Source {
    /// Owes nothing up to this number.
    pub(super) fn new(head: u64) -> Self {
        Self { told: head, owes: None, doubted: false }
    }

    /// The newest change that it has told of.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// It has told of this one.
    pub(super) fn tells(&mut self, seq: u64) {
        self.told = self.told.max(seq);
    }

    /// It listens anew: what is known already it owes nobody.
    pub(super) fn begins_anew(&mut self, upto: u64) {
        *self = Self::new(upto.max(self.told));
    }

    /// The store went back to this number, or everything was read anew.
    pub(super) fn rebuilt(&mut self, head: u64) {
        *self = Self::new(head);
    }

    /// Everything up to this one is known. Returns for how long it has owed something.
    pub(super) fn owes(&mut self, upto: u64, now: Instant) -> Duration {
        if upto <= self.told {
            self.owes = None;
            self.doubted = false;
            return Duration::ZERO;
        }
        now.saturating_duration_since(*self.owes.get_or_insert(now))
    }

    /// Whether it is time to doubt it; once for each time that it fell behind.
    pub(super) fn is_doubtful(&mut self, upto: u64, now: Instant) -> bool {
        let doubtful = self.owes(upto, now) >= DOUBT;
        doubtful && !std::mem::replace(&mut self.doubted, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_told_everything_owes_nothing_and_who_has_not_is_doubted_once() {
        let (mut source, start) = (Source::new(3), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(source.owes(3, start), Duration::ZERO);
        assert_eq!(source.owes(4, start), Duration::ZERO);
        assert_eq!(source.owes(5, after(700)), Duration::from_millis(700));
        assert!(!source.is_doubtful(5, after(1499)));
        assert!(source.is_doubtful(5, after(1500)));
        assert!(!source.is_doubtful(5, after(1600)));
        // What was owed first counts until all is told.
        source.tells(4);
        assert_eq!(source.owes(5, after(1700)), Duration::from_millis(1700));
        source.tells(9);
        assert_eq!(source.owes(9, after(1800)), Duration::ZERO);
        assert_eq!(source.owes(10, after(1900)), Duration::ZERO);
        assert!(source.is_doubtful(10, after(3400)));
        source.begins_anew(10);
        assert_eq!(source.owes(10, after(9000)), Duration::ZERO);
    }
}
