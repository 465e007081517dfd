//! Access tokens that end before their time.

use super::{AuditRecord, RevokedToken, Store, StoreError};
use crate::model::Timestamp;

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Revokes an access token. Idempotent.
    pub async fn revoke_token(
        &self,
        token: &RevokedToken,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Revocations that still matter, for the view at start.
    pub async fn live_revocations(&self, now: Timestamp) -> Result<Vec<RevokedToken>, StoreError> {
        unimplemented!()
    }
}
