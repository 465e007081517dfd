//! What all requests of the data plane share, and what the composition root holds of it.

use std::sync::{Arc, atomic::AtomicBool};

use arc_swap::ArcSwap;

use super::{
    Live, Settings,
    refusals::{RefusalCount, Refusals},
};
use crate::{
    identity::Lookup,
    limit::RateLimiter,
    model::{Clock, Random},
    pipeline::RevocationView,
    telemetry::Metrics,
};

/// What the edge needs from its surroundings.
pub struct Parts {
    /// Counts requests.
    pub limiter: Arc<dyn RateLimiter>,
    /// The window into identity for API keys.
    pub lookup: Arc<dyn Lookup>,
    /// Ended tokens and sessions.
    pub revocations: Arc<dyn RevocationView>,
    /// Where figures go.
    pub metrics: Metrics,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for request ids.
    pub random: Arc<dyn Random>,
    /// Whether one access line is written per request; may be flipped at any time.
    pub access_log: Arc<AtomicBool>,
}

/// The data plane's state: made once, living as long as the process.
pub struct Shared {
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    pub(super) refusals: Refusals,
    live: ArcSwap<Live>,
}

impl Shared {
    /// Puts the data plane together; nothing listens before [`super::serve`].
    pub fn new(parts: Parts, settings: Settings, live: Live) -> Arc<Self> {
        Arc::new(Self {
            parts,
            settings,
            refusals: Refusals::default(),
            live: ArcSwap::from_pointee(live),
        })
    }

    /// Takes a new configuration for all requests that begin from now on; running ones keep theirs.
    pub fn swap(&self, live: Live) {
        self.live.store(Arc::new(live));
    }

    /// What decides now.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Takes out the refusals counted so far, for the audit log: once a minute and at stop.
    pub fn drain_refusals(&self) -> Vec<RefusalCount> {
        self.refusals.drain(&self.parts.metrics)
    }
}
