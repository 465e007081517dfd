//! Refresh tokens: looked up, rotated, ended. Only digests are kept.

use super::{AuditRecord, RefreshState, Rotate, Rotation, Store, StoreError};
use crate::model::Timestamp;

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Token, family, session and account of a token id, in one query.
    pub async fn refresh_lookup(&self, id: &str) -> Result<Option<RefreshState>, StoreError> {
        unimplemented!()
    }

    /// Trades a token for its successor. Of many at once exactly one wins; a dead family, session or account loses too.
    /// The audit is written only when won.
    pub async fn rotate(
        &self,
        rotate: &Rotate,
        audit: &[AuditRecord],
    ) -> Result<Rotation, StoreError> {
        unimplemented!()
    }

    /// Ends a family, so that none of its tokens works again; `false` if it had ended already.
    pub async fn end_family(
        &self,
        id: &str,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }
}
