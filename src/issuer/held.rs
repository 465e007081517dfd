//! A set of keys in hand, and what may be concluded from it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    model::{Digest, Timestamp},
    pipeline::jwt::KeySet,
};

/// What is taken for a difference of clocks where a token says when it was issued.
pub(super) const SKEW: Duration = Duration::from_secs(60);

/// A set in hand.
#[derive(Clone, Debug)]
pub struct Held {
    /// The keys.
    pub keys: Arc<KeySet>,
    /// When they were asked for.
    pub asked: Instant,
    /// The same as the calendar has it.
    pub asked_at: Timestamp,
    /// Counts changes of the keys.
    pub generation: u64,
    /// From then on they are not used any more.
    pub(super) good_until: Instant,
    pub(super) digest: Digest,
}

impl Held {
    /// Whether it may be used.
    pub fn is_usable(&self, now: Instant) -> bool {
        now < self.good_until
    }

    /// Whether a key that is not in it is none of the issuer's: it was asked for after the token was shown, or well after the
    /// token says that it was made.
    pub fn is_final(&self, shown: Instant, issued_at: Option<Timestamp>) -> bool {
        self.asked >= shown || issued_at.is_some_and(|issued| issued + SKEW < self.asked_at)
    }
}
