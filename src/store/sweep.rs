//! Removal of what has run out, in small batches so that no login waits for it.

use std::time::Duration;

use super::{Store, StoreError};
use crate::model::Timestamp;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Revocations of tokens that have expired.
    pub revocations: u64,
    /// Sessions ended or expired longer ago than was to be kept, with their families and tokens.
    pub sessions: u64,
    /// Refresh tokens expired that long ago.
    pub refresh_tokens: u64,
    /// Used or expired codes.
    pub codes: u64,
    /// Failure counts long out of date.
    pub failures: u64,
    /// Signing keys that verify nothing any more.
    pub signing_keys: u64,
}

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Removes what has run out at `now`; sessions and refresh tokens are kept for `keep` longer, so that a replayed
    /// token is still known as such. `keep` must exceed every access token's life time.
    pub async fn sweep(&self, now: Timestamp, keep: Duration) -> Result<Swept, StoreError> {
        unimplemented!()
    }
}
