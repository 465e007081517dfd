//! How far this node has followed the changes of the store, and what it has to ask for: a state machine that is told what
//! was heard and read. It knows no clock and no connection.
//!
//! Changes only ever end something or say "look again", so each is taken in the moment it comes, whatever came before it. The
//! order is needed to know what is missing: numbers have no gaps in the store, so a gap here is a change not heard of.

use std::collections::BTreeSet;

use crate::store::{ChangePage, ChangeRecord};

/// Numbers remembered behind a gap. What comes beyond is taken in all the same, and once more when the gap is read.
const AHEAD: usize = 4096;

/// How far the changes were followed.
#[derive(Debug)]
pub(super) struct Follower {
    /// Every change up to this one was taken in.
    upto: u64,
    /// Some behind the next one, which is missing.
    ahead: BTreeSet<u64>,
    /// The newest that was heard of.
    newest: u64,
}

/// What a look at the store has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Take these in. `more`: there were more than came in one look.
    Some { changes: Vec<ChangeRecord>, more: bool },
    /// What is missing cannot be had any more (it was removed, or the store is an older one): everything must be read anew.
    Lost,
}

impl Follower {
    /// Begins behind this number: everything up to it was read from the store itself.
    pub(super) fn new(head: u64) -> Self {
        Self { upto: head, ahead: BTreeSet::new(), newest: head }
    }

    /// Up to where nothing is missing.
    pub(super) fn upto(&self) -> u64 {
        self.upto
    }

    /// The newest change that was heard of.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether something is known to be missing.
    pub(super) fn is_missing_some(&self) -> bool {
        self.newest > self.upto
    }

    /// A change was announced. Returns whether it is to be taken in: it was not before.
    pub(super) fn heard(&mut self, seq: u64) -> bool {
        if seq <= self.upto || self.ahead.contains(&seq) {
            return false;
        }
        self.newest = self.newest.max(seq);
        if self.ahead.len() < AHEAD || seq == self.upto + 1 {
            self.ahead.insert(seq);
        }
        self.close_up();
        true
    }

    /// It was said that there are changes up to this one.
    pub(super) fn heard_up_to(&mut self, seq: u64) {
        self.newest = self.newest.max(seq);
    }

    /// The store was asked for what is behind `asked` (what [`Follower::upto`] said then), and gave this.
    pub(super) fn read(&mut self, asked: u64, page: ChangePage) -> Read {
        let numbers = page.changes.iter().map(|change| change.seq);
        let last = numbers.clone().next_back().unwrap_or(asked);
        let whole = numbers.eq((asked..).skip(1).take(page.changes.len()));
        // A store that ends before what was asked behind was put back; one that has more than it gave has removed some.
        if !whole || page.head < asked || (page.changes.is_empty() && page.head > asked) {
            return Read::Lost;
        }
        self.newest = self.newest.max(page.head);
        let known =
            |change: &ChangeRecord| change.seq <= self.upto || self.ahead.contains(&change.seq);
        let changes: Vec<_> = page.changes.into_iter().filter(|change| !known(change)).collect();
        if last > self.upto {
            self.upto = last;
            self.ahead = self.ahead.split_off(&(last + 1));
            self.close_up();
        }
        Read::Some { changes, more: last < page.head }
    }

    /// Everything was read anew from a store whose newest change was this one before the reading began.
    pub(super) fn rebuilt(&mut self, head: u64) {
        *self = Self::new(head);
    }

    fn close_up(&mut self) {
        while self.ahead.remove(&(self.upto + 1)) {
            self.upto += 1;
        }
    }
}

#[cfg(test)]
mod tests;
