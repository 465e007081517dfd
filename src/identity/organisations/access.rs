//! What accounts may do, held in memory: a question is one look-up, and at most one account is read from the store.
//!
//! Bounded: what is not asked about is dropped for what is. Never old: every entry knows how many changes had been made
//! before it was read, and each organisation when it changed last. Organisations share a few hundred places for that; a
//! neighbour's change costs one more read.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::{Weighter, sync::Cache};

use crate::{
    identity::{Identity, IdentityError},
    model::{AccountId, OrganisationId},
    pipeline::grants::{Facts, Grant, Grants, Question, scope_parts},
    store::{AccessRecord, OWNER},
};

/// Accounts and grants held at most, together.
const ROOM: u64 = 400_000;
/// Accounts that are expected.
const ACCOUNTS: usize = 50_000;
/// Accounts whose rights are read at start.
const AT_START: u32 = 5_000;
/// Places in which organisations note their last change.
const PLACES: usize = 512;

/// What one account may do in its organisation.
#[derive(Debug)]
pub(in crate::identity) struct Rights {
    /// Its organisation.
    pub(in crate::identity) organisation: OrganisationId,
    owner: bool,
    grants: Grants,
    /// Changes that had been made when it was read.
    as_of: u64,
}

impl Rights {
    /// Whether the question is covered. The owner's always is.
    pub(super) fn permit(&self, question: &Question<'_>) -> bool {
        self.owner || self.grants.permit(question)
    }

    /// The same for `resource:action` in one word, under no particular circumstances.
    pub(super) fn permits_named(&self, named: &str) -> bool {
        let context = Facts::new();
        scope_parts(named).is_some_and(|(resource, action)| {
            self.permit(&Question { resource, action, context: &context })
        })
    }

    /// Whether the organisation is the account's own.
    pub(super) fn is_owner(&self) -> bool {
        self.owner
    }
}

/// Rights by account.
pub(in crate::identity) struct Access {
    entries: Cache<AccountId, Arc<Rights>, Weight>,
    /// Changes so far.
    changes: AtomicU64,
    /// For each place, the change that was the last one there.
    last: Vec<AtomicU64>,
    hasher: RandomState,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            entries: Cache::with_weighter(ACCOUNTS, ROOM, Weight),
            changes: AtomicU64::new(0),
            last: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Access {
    /// What is known and still true of an account.
    fn get(&self, account: &AccountId) -> Option<Arc<Rights>> {
        self.entries.get(account).filter(|rights| rights.as_of >= self.last_change(rights))
    }

    /// How many changes there were; taken before the store is read.
    fn now(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Keeps what was read when there had been `as_of` changes.
    fn put(&self, read: AccessRecord, as_of: u64) -> Arc<Rights> {
        let granted = read.granted.into_iter().map(|permission| Grant {
            resource: permission.resource,
            action: permission.action,
            conditions: permission.conditions,
        });
        let rights = Arc::new(Rights {
            organisation: read.organisation,
            owner: read.role == OWNER,
            grants: granted.collect(),
            as_of,
        });
        self.entries.insert(read.account, Arc::clone(&rights));
        rights
    }

    /// Voids everything held of an organisation.
    pub(in crate::identity) fn changed(&self, organisation: &OrganisationId) {
        let change = self.changes.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if let Some(place) = self.last.get(self.place(organisation)) {
            place.fetch_max(change, Ordering::AcqRel);
        }
    }

    /// Voids everything.
    pub(in crate::identity) fn all_changed(&self) {
        let change = self.changes.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        for place in &self.last {
            place.fetch_max(change, Ordering::AcqRel);
        }
    }

    fn last_change(&self, rights: &Rights) -> u64 {
        let place = self.last.get(self.place(&rights.organisation));
        place.map_or(u64::MAX, |place| place.load(Ordering::Acquire))
    }

    fn place(&self, organisation: &OrganisationId) -> usize {
        // The remainder is below PLACES, so nothing is lost.
        usize::try_from(self.hasher.hash_one(organisation) % PLACES as u64).unwrap_or(0)
    }
}

impl Identity {
    /// What an account may do; `None`: it belongs to no organisation.
    pub(in crate::identity) async fn rights(
        &self,
        account: &AccountId,
    ) -> Result<Option<Arc<Rights>>, IdentityError> {
        let access = &self.inner.access;
        if let Some(known) = access.get(account) {
            return Ok(Some(known));
        }
        let as_of = access.now();
        let read = self.inner.store.access(account).await?;
        Ok(read.map(|read| access.put(read, as_of)))
    }

    /// Reads what those may do who were here last, so that their first question costs no more than the next one.
    pub(in crate::identity) async fn load_access(&self) -> Result<(), IdentityError> {
        let access = &self.inner.access;
        let as_of = access.now();
        for read in self.inner.store.access_of_recent(AT_START).await? {
            access.put(read, as_of);
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<AccountId, Arc<Rights>> for Weight {
    fn weight(&self, _: &AccountId, rights: &Arc<Rights>) -> u64 {
        1 + rights.grants.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(account: &str, organisation: &str) -> AccessRecord {
        AccessRecord {
            account: account.into(),
            organisation: organisation.into(),
            role: "viewer".into(),
            granted: Vec::new(),
        }
    }

    #[test]
    fn what_was_read_before_a_change_is_not_used_after_it() {
        let access = Access::default();
        let as_of = access.now();
        access.put(read("ada", "one"), as_of);
        assert!(access.get(&"ada".into()).is_some());
        access.changed(&"one".into());
        assert!(access.get(&"ada".into()).is_none());
        // A reader that began before the change must not bring the old back.
        access.put(read("ada", "one"), as_of);
        assert!(access.get(&"ada".into()).is_none());
        access.put(read("ada", "one"), access.now());
        assert!(access.get(&"ada".into()).is_some());
        access.all_changed();
        assert!(access.get(&"ada".into()).is_none());
    }

    #[test]
    fn it_holds_no_more_than_there_is_room_for() {
        let access = Access { entries: Cache::with_weighter(16, 64, Weight), ..Access::default() };
        for n in 0..10_000 {
            access.put(read(&n.to_string(), "one"), 0);
        }
        assert!(access.entries.weight() <= 64, "{}", access.entries.weight());
    }
}
