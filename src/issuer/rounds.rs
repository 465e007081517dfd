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
    /// Another gateway has made it: maybe before it was asked for.
    pub(super) others: bool,
}

/// Nothing came in time; the caller is to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInTime;

/// A request that waits for keys.
pub struct Waiting {
    rounds: watch::Receiver<Round>,
    until: Instant,
    /// What another gateway has fetched was seen, and no other fetch may begin soon.
    seen_others: bool,
    _seat: OwnedSemaphorePermit,
}

impl Waiting {
    pub(super) fn new(
        rounds: watch::Receiver<Round>,
        until: Instant,
        seat: OwnedSemaphorePermit,
    ) -> Self {
        Self { rounds, until, seen_others: false, _seat: seat }
    }

    /// Waits for the end of a fetch. `Err`: it brought nothing, or none ended in time.
    pub async fn next(&mut self) -> Result<(), NotInTime> {
        if self.seen_others {
            return Err(NotInTime);
        }
        let end = tokio::time::timeout_at(self.until.into(), self.rounds.changed()).await;
        let Ok(Ok(())) = end else { return Err(NotInTime) };
        let round = *self.rounds.borrow_and_update();
        self.seen_others = round.others;
        if round.fault.is_some() { Err(NotInTime) } else { Ok(()) }
    }
}
