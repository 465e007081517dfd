//! The audit log: one hash chain per node.

use super::{AuditRecord, AuditVerdict, ChainedRecord, Store, StoreError};
use crate::model::Timestamp;

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Appends events that belong to no other change (counted refusals).
    pub async fn audit_append(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// The newest events of all nodes, newest first.
    pub async fn audit_tail(&self, limit: u32) -> Result<Vec<ChainedRecord>, StoreError> {
        unimplemented!()
    }

    /// Checks this node's chain from its base to its head: finds any edit, gap or cut.
    pub async fn audit_verify(&self) -> Result<AuditVerdict, StoreError> {
        unimplemented!()
    }

    /// Removes events older than `before` and leaves a checkpoint event that tells how many; gives the number removed.
    pub async fn audit_trim(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        unimplemented!()
    }
}
