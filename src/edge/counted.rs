//! Equal lines counted in memory until a timer takes them out, so that a flood of requests is no flood of audit events.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use crate::telemetry::Metrics;

/// Different lines held between two drains; what comes beyond them is only counted as dropped.
pub(super) const MAX_LINES: usize = 10_000;
/// Milliseconds of the minute that lines are told of.
pub(super) const MINUTE: i64 = 60_000;

/// The counters.
pub(super) struct Counted<L> {
    state: Mutex<State<L>>,
}

struct State<L> {
    lines: HashMap<L, u64>,
    dropped: u64,
}

impl<L> Default for State<L> {
    fn default() -> Self {
        Self { lines: HashMap::new(), dropped: 0 }
    }
}

impl<L> Default for Counted<L> {
    fn default() -> Self {
        Self { state: Mutex::default() }
    }
}

// A poisoned lock is entered all the same: every change is one map operation, so the map is whole.
impl<L: Eq + Hash> Counted<L> {
    /// Counts one more of the same.
    pub(super) fn count(&self, line: L) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = state.lines.get_mut(&line) {
            *count += 1;
        } else if state.lines.len() < MAX_LINES {
            state.lines.insert(line, 1);
        } else {
            state.dropped += 1;
        }
    }

    /// Takes all lines out; drops become a metric.
    pub(super) fn take(&self, metrics: &Metrics) -> HashMap<L, u64> {
        let state = std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        if state.dropped > 0 {
            metrics.audit_events_dropped(state.dropped);
        }
        state.lines
    }
}
