//! A second way of hearing of changes, which is no part of the store: it is believed in nothing but that it is worth looking.
//!
//! What is said there is a number: there are changes up to it. The store is asked for them, so nobody who can speak there can
//! end anything, hide anything, or have this node take something for known. A number that the store does not know costs one
//! question, and then nobody is heard for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc, watch};

use super::source::Source;

/// After a number that the store does not know, nothing is believed for so long.
const DEAF: Duration = Duration::from_millis(250);

/// The ends of the second way.
pub struct Herald {
    /// What is said there.
    pub heard: mpsc::Receiver<Hint>,
    /// What this node has to say: the number of the newest change.
    pub say: watch::Sender<u64>,
    /// Told when something was changed of which nothing was heard there.
    pub doubt: Arc<Notify>,
}

/// What is heard on the second way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Somebody says that there are changes up to this one.
    UpTo(u64),
    /// From here on nothing is missed; before, something may have been.
    Listening,
}

/// What was heard, and how much of it was true. Knows no clock and no connection.
#[derive(Debug)]
pub(super) struct Hints {
    pub(super) source: Source,
    /// Heard, and not looked for yet.
    heard: u64,
    /// Heard before the store was asked, whose answer is to come.
    asked: u64,
    /// The newest that this node has said itself.
    said: u64,
    deaf_until: Option<Instant>,
}

impl Hints {
    /// Begins behind this number.
    pub(super) fn new(head: u64) -> Self {
        Self { source: Source::new(head), heard: 0, asked: 0, said: head, deaf_until: None }
    }

    /// Somebody says that there are changes up to `seq`; all up to `upto` are known. Returns whether to look.
    pub(super) fn hears(&mut self, seq: u64, upto: u64, now: Instant) -> bool {
        if seq <= upto {
            self.source.tells(seq);
            return false;
        }
        if self.deaf_until.is_some_and(|until| now < until) {
            return false;
        }
        self.heard = self.heard.max(seq);
        true
    }

    /// The store is asked now.
    pub(super) fn asks(&mut self) {
        self.asked = self.asked.max(std::mem::take(&mut self.heard));
    }

    /// The newest change of the store is this one; `None`: it could not be asked.
    pub(super) fn learns(&mut self, head: Option<u64>, now: Instant) {
        let asked = std::mem::take(&mut self.asked);
        match head {
            Some(head) if asked <= head => self.source.tells(asked),
            // Of a store that cannot be asked nobody can tell what is true, and to ask it again at once would not help.
            _ => self.deaf_until = Some(now + DEAF),
        }
    }

    /// What to say when the store has changes up to this one. Nobody says what was said.
    pub(super) fn has_to_say(&mut self, head: u64) -> Option<u64> {
        let news = head > self.said.max(self.source.told());
        self.said = self.said.max(head);
        news.then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_what_is_known_is_looked_for_and_nothing_else_comes_of_it() {
        let (mut hints, now) = (Hints::new(5), Instant::now());
        assert!(!hints.hears(5, 5, now) && !hints.hears(1, 5, now));
        assert!(hints.hears(7, 5, now));
        hints.asks();
        // Another one while the store is being asked: of that the answer may know nothing yet.
        assert!(hints.hears(9, 5, now));
        hints.learns(Some(7), now);
        assert_eq!(hints.source.told(), 7);
        assert!(hints.hears(9, 7, now), "it was no lie");
        hints.asks();
        hints.learns(Some(9), now);
        assert_eq!(hints.source.told(), 9);
    }

    #[test]
    fn who_says_numbers_that_are_not_there_costs_one_question_for_a_while() {
        let (mut hints, now) = (Hints::new(5), Instant::now());
        assert!(hints.hears(u64::MAX, 5, now));
        hints.asks();
        hints.learns(Some(5), now);
        for _ in 0..1000 {
            assert!(!hints.hears(u64::MAX, 5, now));
            assert!(!hints.hears(6, 5, now), "nobody is heard");
        }
        assert_eq!(hints.source.told(), 5);
        // It silences nobody: this node goes on to say what it knows.
        assert_eq!(hints.has_to_say(6), Some(6));
        assert!(hints.hears(6, 5, now + DEAF));
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let (mut hints, now) = (Hints::new(5), Instant::now());
        assert_eq!(hints.has_to_say(5), None);
        assert_eq!(hints.has_to_say(6), Some(6));
        assert_eq!(hints.has_to_say(6), None);
        assert!(hints.hears(8, 6, now));
        hints.asks();
        hints.learns(Some(8), now);
        assert_eq!(hints.has_to_say(8), None, "somebody else has said it");
        assert_eq!(hints.has_to_say(9), Some(9));
    }

    #[test]
    fn while_the_store_cannot_be_asked_words_do_not_make_it_be_asked_more_often() {
        let (mut hints, now) = (Hints::new(5), Instant::now());
        assert!(hints.hears(6, 5, now));
        hints.asks();
        hints.learns(None, now);
        assert!(!hints.hears(6, 5, now));
        assert_eq!(hints.source.told(), 5);
        assert!(hints.hears(6, 5, now + DEAF));
    }
}
