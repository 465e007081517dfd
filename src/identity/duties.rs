//! Work that one node does for all: sweeping, new signing keys, telling receivers of webhooks. Whoever takes it keeps it as
//! long as it goes on; when it goes away, another takes it. A node of its own has all of it, and asks nobody.

use std::{collections::HashMap, sync::PoisonError, time::Duration};

use super::{Identity, IdentityError};
use crate::model::Timestamp;

/// Until when work is this node's.
pub(super) type Duties = std::sync::Mutex<HashMap<&'static str, Timestamp>>;

impl Identity {
    /// Whether this node does `work` now. A lease of `span` is taken, and prolonged when half of it has gone.
    pub async fn does(&self, work: &'static str, span: Duration) -> Result<bool, IdentityError> {
        let inner = &self.inner;
        if !inner.store.is_shared() {
            return Ok(true);
        }
        let now = self.now();
        let held = |duties: &HashMap<_, Timestamp>| duties.get(work).copied();
        let until = held(&inner.duties.lock().unwrap_or_else(PoisonError::into_inner));
        if until.is_some_and(|until| until > now + span / 2) {
            return Ok(true);
        }
        let ours = inner.store.lease(work, now, span).await?;
        let mut duties = inner.duties.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if ours { duties.insert(work, now + span) } else { duties.remove(work) };
        if ours != before.is_some() {
            tracing::info!(event = "duty", work, ours);
        }
        Ok(ours)
    }
}
