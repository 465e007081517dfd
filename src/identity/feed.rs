//! What has ended: tokens and sessions the edge must refuse from now on, and the epoch that ages cached keys.
//!
//! Only a view. The store knows first; nothing is entered here that is not durable.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use crate::{
    model::{SessionId, Timestamp, TokenId},
    pipeline::RevocationView,
};

/// Ended tokens and sessions, each until everything it covers has expired by itself.
#[derive(Default)]
pub(super) struct Feed {
    tokens: Ended<TokenId>,
    sessions: Ended<SessionId>,
    epoch: AtomicU64,
}

impl Feed {
    /// Notes an ended token.
    pub(super) fn end_token(&self, id: TokenId, until: Timestamp) {
        self.tokens.insert(id, until);
    }

    /// Notes ended sessions.
    pub(super) fn end_sessions(&self, ids: impl IntoIterator<Item = SessionId>, until: Timestamp) {
        for id in ids {
            self.sessions.insert(id, until);
        }
    }

    /// Makes every cached key evidence stale. Called after the change is committed, before it is acknowledged.
    pub(super) fn bump(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The present epoch.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
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

/// Ids with the moment from which they need not be known any more.
struct Ended<K> {
    /// Size, so that the usual case (nothing ended) takes no lock.
    count: AtomicUsize,
    until: RwLock<HashMap<K, Timestamp>>,
}

impl<K> Default for Ended<K> {
    fn default() -> Self {
        Self { count: AtomicUsize::new(0), until: RwLock::default() }
    }
}

// A poisoned lock is entered all the same: every change below is one map operation, so the map is whole.
impl<K: Eq + Hash> Ended<K> {
    fn insert(&self, id: K, until: Timestamp) {
        let mut map = self.until.write().unwrap_or_else(PoisonError::into_inner);
        let kept = map.entry(id).or_insert(until);
        *kept = (*kept).max(until);
        self.count.store(map.len(), Ordering::Release);
    }

    fn holds(&self, id: &K) -> bool {
        self.len() > 0 && self.until.read().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    fn prune(&self, now: Timestamp) {
        if self.len() == 0 {
            return;
        }
        let mut map = self.until.write().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, until| *until > now);
        self.count.store(map.len(), Ordering::Release);
    }

    fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
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
    fn a_second_ending_never_shortens_the_first() {
        let feed = Feed::default();
        feed.end_token("t".into(), Timestamp(10));
        feed.end_token("t".into(), Timestamp(5));
        feed.prune(Timestamp(7));
        assert!(feed.is_revoked(Some(&"t".into()), None));
    }

    #[test]
    fn each_change_gives_a_new_epoch() {
        let feed = Feed::default();
        let before = feed.epoch();
        feed.bump();
        assert_ne!(feed.epoch(), before);
    }
}
