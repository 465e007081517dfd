//! One line in the log for each turn: the store cannot be asked, memory has grown too old, the store answers again.

use std::time::Instant;

/// Since when which state has lasted.
#[derive(Default)]
pub(super) struct Watch {
    unconfirmed: Option<Instant>,
    too_old: bool,
}

impl Watch {
    /// The store could not be asked.
    pub(super) fn unconfirmed(&mut self) {
        if self.unconfirmed.is_none() {
            self.unconfirmed = Some(Instant::now());
            tracing::warn!(event = "changes_not_confirmed");
        }
    }

    /// The store has confirmed what is held.
    pub(super) fn confirmed(&mut self) {
        if let Some(since) = self.unconfirmed.take() {
            tracing::info!(event = "changes_confirmed", seconds = since.elapsed().as_secs());
        }
    }

    /// Whether the store could not be asked when it was asked last.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// Whether memory is too old to be used.
    pub(super) fn looks(&mut self, too_old: bool) {
        if too_old && !self.too_old {
            tracing::error!(event = "memory_too_old");
        }
        self.too_old = too_old;
    }
}
