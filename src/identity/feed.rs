//! What has ended: tokens and sessions the edge must refuse from now on, and the changes that age cached evidence. Whoever
//! keeps something open that hangs on these is told at once.
//!
//! Changes are counted, and each key and account notes the last one that concerned it. They share some thousand places for
//! that; a neighbour's change costs one more look-up. Only a view. The store knows first; nothing is entered here that is not durable.

use std::{
    borrow::Borrow,
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::broadcast;

use super::HangsOn;
use crate::{
    model::{AccountId, KeyId, SessionId, Timestamp, TokenId},
    pipeline::{News, RevocationView},
};

/// News that may wait for a listener; one that comes later is told that it missed some.
const WAITING: usize = 1024;
/// Places in which keys and accounts note their last change; no more than a `u16` can name.
const PLACES: usize = 4096;

/// Ended tokens and sessions, each until everything it covers has expired by itself.
pub(super) struct Feed {
    tokens: Ended<TokenId>,
    sessions: Ended<SessionId>,
    /// Changes so far.
    changes: AtomicU64,
    /// For each place, the last change there.
    last: Vec<AtomicU64>,
    /// The last change that concerned all.
    last_of_all: AtomicU64,
    hasher: RandomState,
    news: broadcast::Sender<News>,
    /// What takes nothing from anybody as well.
    everything: broadcast::Sender<News>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            tokens: Ended::default(),
            sessions: Ended::default(),
            changes: AtomicU64::default(),
            last: (0..PLACES).map(|_| AtomicU64::default()).collect(),
            last_of_all: AtomicU64::default(),
            hasher: RandomState::new(),
            news: broadcast::Sender::new(WAITING),
            everything: broadcast::Sender::new(WAITING),
        }
    }
}

impl Feed {
    /// Notes an ended token.
    pub(super) fn end_token(&self, id: TokenId, until: Timestamp) {
        if self.tokens.insert(id.clone(), until) {
            self.tell(News::Token(id));
        }
    }

    /// Notes ended sessions.
    pub(super) fn end_sessions(&self, ids: impl IntoIterator<Item = SessionId>, until: Timestamp) {
        for id in ids {
            if self.sessions.insert(id.clone(), until) {
                self.tell(News::Session(id));
            }
        }
    }

    /// Makes evidence stale that hangs on what has changed. Called after the change is committed, before it is acknowledged.
    pub(super) fn bump(&self, what: &News) {
        let change = self.changes.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let place = match what {
            News::Key(id) => self.last.get(usize::from(self.place(id.as_str()))),
            News::Account(id) => self.last.get(usize::from(self.place(id.as_str()))),
            // Of these the view itself knows.
            News::Token(_) | News::Session(_) => return,
            News::Anything => None,
        };
        place.unwrap_or(&self.last_of_all).fetch_max(change, Ordering::AcqRel);
        self.tell_all(what);
    }

    /// The same, for a change that may have taken something from somebody.
    pub(super) fn changed(&self, what: News) {
        self.bump(&what);
        self.tell(what);
    }

    /// What evidence hangs on: a key, an account, or both.
    pub(super) fn hangs_on(&self, key: Option<&KeyId>, owner: Option<&AccountId>) -> HangsOn {
        let key = key.map(|id| self.place(id.as_str()));
        let owner = owner.map(|id| self.place(id.as_str()));
        // One that there is not is the same as the other.
        let (key, owner) = (key.or(owner).unwrap_or(0), owner.or(key).unwrap_or(0));
        HangsOn([key, owner])
    }

    /// The last change of what evidence hangs on.
    pub(super) fn last_change(&self, on: HangsOn) -> u64 {
        let at = |place: u16| self.last.get(usize::from(place)).unwrap_or(&self.last_of_all);
        let [key, owner] = on.0.map(|place| at(place).load(Ordering::Acquire));
        key.max(owner).max(self.last_of_all.load(Ordering::Acquire))
    }

    fn place(&self, id: &str) -> u16 {
        // The remainder is below PLACES, so nothing is lost.
        u16::try_from(self.hasher.hash_one(id) % PLACES as u64).unwrap_or(0)
    }

    /// What happens from now on.
    pub(super) fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Whatever changes from now on, also what takes nothing from anybody.
    pub(super) fn everything(&self) -> broadcast::Receiver<News> {
        self.everything.subscribe()
    }

    fn tell_all(&self, news: &News) {
        if self.everything.receiver_count() > 0 {
            // The last one may have gone meanwhile.
            let _ = self.everything.send(news.clone());
        }
    }

    fn tell(&self, news: News) {
        if matches!(news, News::Token(_) | News::Session(_)) {
            self.tell_all(&news);
        }
        // Nobody listens where there is no data plane.
        let _ = self.news.send(news);
    }

    /// How many changes there were; taken before the store is asked.
    pub(super) fn epoch(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Forgets what has expired by itself.
    pub(super) fn prune(&self, now: Timestamp) {
        self.tokens.prune(now);
        self.sessions.prune(now);
    }

    /// Entries held.
    pub(super) fn len(&self) -> usize {
        self.tokens.len() + self.sessions.len()
    }
}

impl RevocationView for Feed {
    fn is_revoked(&self, token: Option<&TokenId>, session: Option<&SessionId>) -> bool {
        token.is_some_and(|id| self.tokens.holds(id))
            || session.is_some_and(|id| self.sessions.holds(id))
    }
}

/// Parts of the table, so that forgetting, or finding more room for, a million of them keeps no request waiting.
const SHARDS: usize = 256;

/// Ids with the moment from which they need not be known any more.
struct Ended<K> {
    /// Size, so that the usual case (nothing ended) takes no lock.
    count: AtomicUsize,
    until: Vec<RwLock<HashMap<K, Timestamp>>>,
}

impl<K> Default for Ended<K> {
    fn default() -> Self {
        let until = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { count: AtomicUsize::new(0), until }
    }
}

// A poisoned lock is entered all the same: every change below is one map operation, so the map is whole.
impl<K: Eq + Hash + Borrow<str>> Ended<K> {
    /// Returns whether it was not known before.
    fn insert(&self, id: K, until: Timestamp) -> bool {
        let Some(shard) = self.shard(&id) else { return false };
        let mut map = shard.write().unwrap_or_else(PoisonError::into_inner);
        match map.entry(id) {
            Entry::Occupied(mut known) => {
                let kept = known.get_mut();
                *kept = (*kept).max(until);
                false
            }
            Entry::Vacant(room) => {
                room.insert(until);
                self.count.fetch_add(1, Ordering::AcqRel);
                true
            }
        }
    }

    fn holds(&self, id: &K) -> bool {
        self.len() > 0
            && self.shard(id).is_some_and(|shard| {
                shard
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .contains_key::<str>(id.borrow())
            })
    }

    fn prune(&self, now: Timestamp) {
        if self.len() == 0 {
            return;
        }
        for shard in &self.until {
            let mut map = shard.write().unwrap_or_else(PoisonError::into_inner);
            let before = map.len();
            map.retain(|_, until| *until > now);
            let gone = before.saturating_sub(map.len());
            self.count.fetch_sub(gone, Ordering::AcqRel);
            if map.len() < map.capacity() / 4 {
                map.shrink_to_fit();
            }
        }
    }

    fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Ids are random to their last letters, and of no others is there anything to find.
    fn shard(&self, id: &K) -> Option<&RwLock<HashMap<K, Timestamp>>> {
        let last = Borrow::<str>::borrow(id).bytes().rev().take(4);
        let number = last.fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
        self.until.get(number % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_token_or_session_is_revoked_until_it_is_pruned_after_its_end() {
        let feed = Feed::default();
        let (token, session) = (TokenId::from("t"), SessionId::from("s"));
        assert!(!feed.is_revoked(Some(&token), Some(&session)));
        feed.end_token(token.clone(), Timestamp(10));
        feed.end_sessions([session.clone()], Timestamp(20));
        assert!(feed.is_revoked(Some(&token), None));
        assert!(feed.is_revoked(Some(&"other".into()), Some(&session)));
        assert!(!feed.is_revoked(None, None));
        feed.prune(Timestamp(9));
        assert_eq!(feed.len(), 2);
        feed.prune(Timestamp(10));
        assert!(!feed.is_revoked(Some(&token), None));
        assert!(feed.is_revoked(None, Some(&session)));
    }

    #[test]
    fn each_of_very_many_is_known_and_they_are_spread_evenly() {
        let feed = Feed::default();
        let ids: Vec<SessionId> =
            (0..20_000).map(|_| uuid::Uuid::new_v4().to_string().as_str().into()).collect();
        feed.end_sessions(ids.iter().cloned(), Timestamp(10));
        assert_eq!(feed.len(), ids.len());
        assert!(ids.iter().all(|id| feed.is_revoked(None, Some(id))));
        let fullest = feed.sessions.until.iter().map(|shard| shard.read().unwrap().len()).max();
        assert!(fullest.unwrap() < 4 * ids.len() / SHARDS, "{fullest:?}");
        feed.prune(Timestamp(10));
        assert_eq!(feed.len(), 0);
        assert!(!feed.is_revoked(None, ids.first()));
    }

    #[test]
    fn a_second_ending_never_shortens_the_first() {
        let feed = Feed::default();
        feed.end_token("t".into(), Timestamp(10));
        feed.end_token("t".into(), Timestamp(5));
        feed.prune(Timestamp(7));
        assert!(feed.is_revoked(Some(&"t".into()), None));
    }

    #[test]
    fn each_ending_is_told_once_and_after_it_is_entered() {
        let feed = Feed::default();
        let mut news = feed.news();
        for _ in 0..2 {
            feed.end_token("t".into(), Timestamp(10));
            feed.end_sessions(["s".into(), "u".into()], Timestamp(10));
        }
        let before = feed.epoch();
        feed.changed(News::Key("k".into()));
        feed.bump(&News::Key("k".into()));
        assert_eq!(feed.epoch(), before + 2);
        let told: Vec<_> = std::iter::from_fn(|| news.try_recv().ok()).collect();
        let wanted = [
            News::Token("t".into()),
            News::Session("s".into()),
            News::Session("u".into()),
            News::Key("k".into()),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_change_ages_what_hangs_on_it_and_hardly_anything_else() {
        let feed = Feed::default();
        let (ada, bob) = (AccountId::from("ada"), AccountId::from("bob"));
        let (key, other) = (KeyId::from("key"), KeyId::from("other"));
        let of_ada = feed.hangs_on(Some(&key), Some(&ada));
        let of_bob = feed.hangs_on(Some(&other), Some(&bob));
        let asked = feed.epoch();
        let stale = |on| feed.last_change(on) > asked;
        assert!(!stale(of_ada) && !stale(of_bob));
        feed.changed(News::Key("key".into()));
        assert!(stale(of_ada) && stale(feed.hangs_on(Some(&key), None)));
        feed.changed(News::Token("t".into()));
        feed.changed(News::Session("s".into()));
        let many: Vec<_> = (0..100).map(|n| AccountId::from(n.to_string())).collect();
        let spared = many.iter().filter(|id| !stale(feed.hangs_on(None, Some(id)))).count();
        assert!(spared > 90, "{spared}");
        feed.bump(&News::Account(bob.clone()));
        assert!(stale(of_bob) && stale(feed.hangs_on(None, Some(&bob))));
        feed.changed(News::Anything);
        assert!(many.iter().all(|id| stale(feed.hangs_on(None, Some(id)))));
        assert!(stale(feed.hangs_on(None, None)));
        assert!(feed.last_change(of_ada) <= feed.epoch());
    }
}
