//! One-time codes: kept as digests, taken once.

use super::{AuditRecord, CodeRecord, Store, StoreError};
use crate::model::{AccountId, Digest, RealmName, Timestamp};

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Keeps a code.
    pub async fn insert_code(
        &self,
        code: &CodeRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Burns a code and gives it back: of many at once exactly one gets it. `None`: unknown, used or expired.
    /// `audit` is written only when it was got.
    pub async fn take_code(
        &self,
        realm: &RealmName,
        purpose: &str,
        digest: &Digest,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Option<CodeRecord>, StoreError> {
        unimplemented!()
    }

    /// Voids all codes of an account for a purpose.
    pub async fn void_codes(&self, account: &AccountId, purpose: &str) -> Result<(), StoreError> {
        unimplemented!()
    }
}
