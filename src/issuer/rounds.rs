//! Fetches that have ended, and requests that wait for one.

use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, watch};

use super::client::FetchFault;

/// One fetch that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    pub(super) number: u64,
    pub(super) began: Option<Instant>,
    pub(super) fault: Option<FetchFault>,
}

/// Nothing came in time; the caller is to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInTime;

/// A request that waits for keys.
pub struct Waiting {
    rounds: watch::Receiver<Round>,
    until: Instant,
    _seat: OwnedSemaphorePermit,
}

impl Waiting {
    pub(super) fn new(
        rounds: watch::Receiver<Round>,
        until: Instant,
        seat: OwnedSemaphorePermit,
    ) -> Self {
        Self { rounds, until, _seat: seat }
    }

    /// Waits for the end of a fetch. `Err`: it brought nothing, or none ended in time.
    pub async fn next(&mut self) -> Result<(), NotInTime> {
        let end = tokio::time::timeout_at(self.until.into(), self.rounds.changed()).await;
        let Ok(Ok(())) = end else { return Err(NotInTime) };
        let brought_nothing = self.rounds.borrow_and_update().fault.is_some();
        if brought_nothing { Err(NotInTime) } else { Ok(()) }
    }
}
