//! Failed logins in a row, per login name, known or not. The table is bounded.

use super::{AuditRecord, FailureState, LoginFailure, Store, StoreError};
use crate::model::{Digest, RealmName};

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Counts a failure and locks at the threshold, in one statement. `audit` is always written, `on_lock` only when this
    /// very failure set the lock. A lock that has run out starts the count anew.
    pub async fn login_failed(
        &self,
        failure: &LoginFailure,
        audit: &[AuditRecord],
        on_lock: &[AuditRecord],
    ) -> Result<FailureState, StoreError> {
        unimplemented!()
    }

    /// The count of a name; all zero when there is none.
    pub async fn login_state(
        &self,
        realm: &RealmName,
        name: &Digest,
    ) -> Result<FailureState, StoreError> {
        unimplemented!()
    }

    /// Forgets the failures of a name.
    pub async fn clear_failures(&self, realm: &RealmName, name: &Digest) -> Result<(), StoreError> {
        unimplemented!()
    }
}
