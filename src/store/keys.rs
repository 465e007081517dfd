//! API keys.

use super::{AuditRecord, KeyRecord, KeyUse, OwnedKey, Store, StoreError};
use crate::model::{AccountId, KeyId, MountName, Timestamp};

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Makes a key. [`StoreError::Changed`] if the owner may not log in (any more).
    pub async fn insert_key(
        &self,
        key: &KeyRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// A key of a mount with its owner, revoked and expired ones included: evidence.
    pub async fn key(&self, mount: &MountName, id: &KeyId) -> Result<Option<OwnedKey>, StoreError> {
        unimplemented!()
    }

    /// Keys of an owner at a mount, newest first, revoked ones included.
    pub async fn keys_of(
        &self,
        mount: &MountName,
        owner: &AccountId,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        unimplemented!()
    }

    /// Keys of one or all mounts in the order of their ids, behind `after`.
    pub async fn keys(
        &self,
        mount: Option<&MountName>,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        unimplemented!()
    }

    /// Revokes a key and gives it back. A second time changes and records nothing.
    pub async fn revoke_key(
        &self,
        mount: &MountName,
        id: &KeyId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<KeyRecord, StoreError> {
        unimplemented!()
    }

    /// Makes `new` the successor of `old`, which ends at `old_until` or at its own end, whichever is earlier. Gives the
    /// old key back; [`StoreError::Changed`] if it is revoked, expired or already replaced.
    pub async fn rotate_key(
        &self,
        old: &KeyId,
        new: &KeyRecord,
        old_until: Timestamp,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<KeyRecord, StoreError> {
        unimplemented!()
    }

    /// Adds batched uses. Keys that are gone are skipped.
    pub async fn add_usage(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        unimplemented!()
    }
}
