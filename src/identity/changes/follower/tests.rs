use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{model::Timestamp, store::ChangeKind};

fn change(seq: u64) -> ChangeRecord {
    ChangeRecord {
        seq,
        at: Timestamp(0),
        kind: ChangeKind::Session,
        subject: seq.to_string(),
        until: None,
    }
}

/// A store that removes what is old, and may be put back.
#[derive(Default)]
struct Store {
    /// Newest change.
    head: u64,
    /// Removed up to here.
    floor: u64,
}

impl Store {
    fn since(&self, asked: u64, limit: usize) -> ChangePage {
        let first = asked.max(self.floor) + 1;
        ChangePage {
            head: self.head,
            changes: (first..=self.head).take(limit).map(change).collect(),
        }
    }
}

/// A node: what it was told to take in, beside what it ought to know.
struct Node {
    follower: Follower,
    taken: BTreeSet<u64>,
    rebuilt: usize,
}

impl Node {
    fn started(store: &Store) -> Self {
        // At start everything is read from the store itself.
        Self { follower: Follower::new(store.head), taken: (1..=store.head).collect(), rebuilt: 0 }
    }

    fn hears(&mut self, seq: u64) {
        if self.follower.heard(seq) {
            assert!(self.taken.insert(seq), "{seq} was taken in twice");
        }
    }

    fn takes(&mut self, asked: u64, page: ChangePage, store: &Store) -> bool {
        match self.follower.read(asked, page) {
            Read::Some { changes, more } => {
                self.taken.extend(changes.iter().map(|change| change.seq));
                more
            }
            Read::Lost => {
                self.rebuilt += 1;
                self.taken.extend(1..=store.head);
                self.follower.rebuilt(store.head);
                false
            }
        }
    }

    /// Asks until there is no more.
    fn catches_up(&mut self, store: &Store, limit: usize) {
        loop {
            let asked = self.follower.upto();
            if !self.takes(asked, store.since(asked, limit), store) {
                return;
            }
        }
    }

    /// What it says to have followed, it has taken in.
    fn holds_true(&self) {
        assert!((1..=self.follower.upto()).all(|seq| self.taken.contains(&seq)));
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// A change is made, and this node hears of it so many times (0: it is lost).
    Made(u8),
    /// A change is made, and heard of later.
    MadeLate,
    /// One of those that are late is heard.
    Late(prop::sample::Index),
    /// Only the number is told.
    Counted,
    /// The node asks, so many at a time.
    Asks(usize),
    /// It asks, and hears something before the answer comes.
    AsksMeanwhile,
    /// The store removes what is old.
    Pruned(u64),
    /// The node starts anew.
    Restarted,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_u8).prop_map(Event::Made),
        3 => Just(Event::MadeLate),
        3 => any::<prop::sample::Index>().prop_map(Event::Late),
        1 => Just(Event::Counted),
        2 => (1..4_usize).prop_map(Event::Asks),
        1 => Just(Event::AsksMeanwhile),
        1 => (0..5_u64).prop_map(Event::Pruned),
        1 => Just(Event::Restarted),
    ]
}

proptest! {
    /// Whatever is lost, doubled or late: what a node says to have followed it has taken in, nothing is taken in twice by
    /// hearsay, a gap is known as one, and after asking it knows everything.
    #[test]
    fn nothing_is_missed_for_longer_than_until_the_next_look(events in prop::collection::vec(event(), 0..80)) {
        let mut store = Store::default();
        let mut node = Node::started(&store);
        let mut late: Vec<u64> = Vec::new();
        for event in events {
            match event {
                Event::Made(times) => {
                    store.head += 1;
                    (0..times).for_each(|_| node.hears(store.head));
                }
                Event::MadeLate => {
                    store.head += 1;
                    late.push(store.head);
                }
                Event::Late(which) if !late.is_empty() => {
                    let seq = late.swap_remove(which.index(late.len()));
                    node.hears(seq);
                }
                Event::Late(_) => {}
                Event::Counted => node.follower.heard_up_to(store.head),
                Event::Asks(limit) => {
                    node.catches_up(&store, limit);
                    prop_assert_eq!(node.follower.upto(), store.head);
                    prop_assert!(!node.follower.is_missing_some());
                }
                Event::AsksMeanwhile => {
                    let asked = node.follower.upto();
                    let page = store.since(asked, 2);
                    store.head += 1;
                    node.hears(store.head);
                    node.takes(asked, page, &store);
                }
                Event::Pruned(keep) => store.floor = store.floor.max(store.head.saturating_sub(keep)),
                Event::Restarted => {
                    node = Node::started(&store);
                    // What was on its way to the one before is not heard by this one.
                    late.clear();
                }
            }
            node.holds_true();
            let missing = (1..=store.head).find(|seq| !node.taken.contains(seq));
            if let Some(missing) = missing {
                prop_assert!(node.follower.upto() < missing);
            }
            if node.follower.newest() > node.follower.upto() {
                prop_assert!(node.follower.is_missing_some());
            }
        }
        node.catches_up(&store, 3);
        prop_assert!((1..=store.head).all(|seq| node.taken.contains(&seq)));
    }
}

#[test]
fn a_gap_is_known_and_closed_by_what_was_missing() {
    let mut follower = Follower::new(4);
    assert!(follower.heard(5));
    assert!(!follower.is_missing_some());
    assert!(follower.heard(7) && follower.heard(8));
    assert!(follower.is_missing_some());
    assert_eq!(follower.upto(), 5);
    assert!(follower.heard(6));
    assert_eq!(follower.upto(), 8);
    assert!(!follower.is_missing_some());
    for seq in 1..=8 {
        assert!(!follower.heard(seq), "{seq}");
    }
}

#[test]
fn what_the_store_has_removed_or_never_had_is_read_anew() {
    let mut store = Store { head: 10, floor: 8 };
    let read = |store: &Store, asked| Follower::new(asked).read(asked, store.since(asked, 100));
    assert_eq!(read(&store, 5), Read::Lost);
    assert_eq!(read(&store, 8), Read::Some { changes: vec![change(9), change(10)], more: false });
    assert_eq!(read(&store, 10), Read::Some { changes: vec![], more: false });
    // A store that was put back from a copy counts from there.
    assert_eq!(read(&store, 11), Read::Lost);
    store.floor = 10;
    assert_eq!(read(&store, 9), Read::Lost);
}

#[test]
fn a_page_with_a_hole_is_not_believed() {
    let page = ChangePage { head: 4, changes: vec![change(2), change(4)] };
    assert_eq!(Follower::new(1).read(1, page), Read::Lost);
}

#[test]
fn what_came_while_the_store_was_asked_is_not_taken_for_a_store_put_back() {
    let mut follower = Follower::new(3);
    let asked = follower.upto();
    let page = ChangePage { head: 3, changes: vec![] };
    assert!(follower.heard(4));
    assert_eq!(follower.read(asked, page), Read::Some { changes: vec![], more: false });
    assert_eq!(follower.upto(), 4);
}

#[test]
fn memory_behind_a_gap_is_bounded_and_nothing_is_lost_by_it() {
    let mut follower = Follower::new(0);
    let last = AHEAD as u64 + 100;
    assert!((2..=last).all(|seq| follower.heard(seq)));
    assert!(follower.ahead.len() <= AHEAD);
    assert!(follower.heard(1));
    assert!(follower.is_missing_some(), "those beyond the bound are read once more");
    let store = Store { head: last, floor: 0 };
    let asked = follower.upto();
    let read = follower.read(asked, store.since(asked, 1000));
    assert!(matches!(read, Read::Some { ref changes, more: false } if changes.len() < 1000));
    assert_eq!(follower.upto(), last);
}
