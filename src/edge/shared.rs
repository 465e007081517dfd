//! What all requests of the data plane share, and what the composition root holds of it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::{
    AgentUse, CacheSizes, EdgeError, Live, Settings,
    agent_use::AgentUses,
    client::RequestIds,
    connections::Connections,
    explain::{Evidence, Explainer},
    recent::Recent,
    refusals::{RefusalCount, Refusals},
    replays::Replays,
    resolve::{KeyCache, SessionCache},
    shadow::Shadows,
    streams::Streams,
    tls::Handshake,
    upstream::Pool,
};
use crate::{
    identity::Lookup,
    limit::RateLimiter,
    model::{Clock, Random},
    pipeline::{RevocationView, explain::Past, proof::Nonces, shadow::ShadowLine},
    telemetry::{AccessLog, Metrics, metrics::CacheKind},
};

/// What the edge needs from its surroundings.
#[derive(Clone)]
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
    /// Where access lines go; may be switched at any time.
    pub access: AccessLog,
}

/// A listener's name and the address it really has.
pub type Bound = Arc<[(Arc<str>, SocketAddr)]>;

/// The data plane's state: made once, living as long as the process.
pub struct Shared {
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    pub(super) refusals: Refusals,
    pub(super) recent: Recent,
    pub(super) shadows: Shadows,
    pub(super) agent_uses: AgentUses,
    pub(super) keys: KeyCache,
    pub(super) sessions: SessionCache,
    pub(super) ids: RequestIds,
    /// The pool of the identity plane: its socket is fixed at start.
    pub(super) identity: Arc<Pool>,
    pub(super) connections: Arc<Connections>,
    pub(super) streams: Streams,
    pub(super) replays: Replays,
    pub(super) nonces: Nonces,
    /// By listener; the others speak plain HTTP.
    pub(super) tls: HashMap<Arc<str>, Arc<Handshake>>,
    pub(super) in_flight: AtomicUsize,
    /// Those of them that may have a connection of their own to an upstream.
    pub(super) outward: AtomicUsize,
    /// Told after each [`Shared::swap`].
    pub(super) swapped: Notify,
    pub(super) bound: watch::Sender<Option<Bound>>,
    live: ArcSwap<Live>,
}

/// Under the key of the store, so that they outlive a restart; without a store under one of this process.
fn nonces(parts: &Parts) -> Nonces {
    let mut drawn = [0; 32];
    let secret = parts.lookup.nonce_secret().unwrap_or_else(|| {
        // Without the generator they can be foretold, and proofs are what they are without nonces.
        let _ = parts.random.fill(&mut drawn);
        drawn
    });
    Nonces::new(&secret)
}

impl Shared {
    /// Puts the data plane together; nothing listens before [`super::serve`].
    pub fn new(parts: Parts, settings: Settings, live: Live) -> Result<Arc<Self>, EdgeError> {
        let tls = handshakes(&settings)?;
        let now = parts.clock.now();
        tls.values().for_each(|tls| tls.refresh(&parts.metrics, now));
        Ok(Arc::new(Self {
            tls,
            refusals: Refusals::default(),
            recent: Recent::default(),
            shadows: Shadows::new(now),
            agent_uses: AgentUses::default(),
            keys: KeyCache::new(CacheKind::Key, settings.caches.keys),
            sessions: SessionCache::new(CacheKind::Session, settings.caches.sessions),
            ids: RequestIds::new(&*parts.random),
            identity: Pool::identity(&settings.identity_socket, parts.metrics.clone()),
            connections: Connections::new(Arc::clone(&settings.limits)),
            streams: Streams::new(),
            replays: Replays::new(),
            nonces: nonces(&parts),
            in_flight: AtomicUsize::new(0),
            outward: AtomicUsize::new(0),
            swapped: Notify::new(),
            bound: watch::Sender::new(None),
            live: ArcSwap::from_pointee(live),
            parts,
            settings,
        }))
    }

    /// Whether there are certificates to look after.
    pub fn has_certificates(&self) -> bool {
        !self.tls.is_empty()
    }

    /// Takes certificates over whose files changed, where they are good. Reads files: not for threads that serve.
    pub fn refresh_certificates(&self) {
        let now = self.parts.clock.now();
        self.tls.values().for_each(|tls| tls.refresh(&self.parts.metrics, now));
    }

    /// Takes a new configuration for all requests that begin from now on; running ones keep theirs.
    pub fn swap(&self, live: Live) {
        self.live.store(Arc::new(live));
        self.swapped.notify_one();
    }

    /// How much is kept at hand.
    pub fn caches(&self) -> CacheSizes {
        self.settings.caches
    }

    /// What decides now.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Answers questions about the configuration in force, on the evidence of this data plane. `metrics` are nobody else's.
    pub fn explainer(&self, metrics: Metrics) -> Result<Explainer, EdgeError> {
        let parts = Parts { metrics, ..self.parts.clone() };
        let live = self.live();
        let snapshot = Arc::clone(live.snapshot());
        let settings = self.settings.clone();
        Explainer::new(parts, settings, snapshot, live.issuers(), Evidence::Running)
    }

    /// What the rules that are not enforced would have refused, since the start.
    pub fn shadow_report(&self) -> Vec<ShadowLine> {
        self.shadows.report(&self.live())
    }

    /// A request that was refused, while it is remembered.
    pub fn refusal(&self, request_id: &str) -> Option<Past> {
        self.recent.of(request_id)
    }

    /// Takes out what agents did with their capabilities, with how often: as the refusals.
    pub fn drain_agent_uses(&self) -> Vec<(AgentUse, u64)> {
        self.agent_uses.drain(&self.parts.metrics)
    }

    /// Takes out the refusals counted so far, for the audit log: once a minute and at stop.
    pub fn drain_refusals(&self) -> Vec<RefusalCount> {
        self.refusals.drain(&self.parts.metrics)
    }

    /// Requests being served now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Those of them that go upstream, each with a descriptor of its own. The others need none: one connection of HTTP/2
    /// brings a hundred, and a client that reads no answer would hold them all.
    pub(super) fn outward(&self) -> usize {
        self.outward.load(Ordering::Relaxed)
    }

    /// The addresses listened on, once all are open; `None` until then.
    pub fn bound(&self) -> watch::Receiver<Option<Bound>> {
        self.bound.subscribe()
    }
}

fn handshakes(settings: &Settings) -> Result<HashMap<Arc<str>, Arc<Handshake>>, EdgeError> {
    let mut all = HashMap::new();
    for listener in settings.all_listeners() {
        let Some(tls) = &listener.tls else { continue };
        let name = &listener.name;
        let made = Handshake::new(listener, tls)
            .map_err(|why| EdgeError::Tls { name: Arc::clone(name), why })?;
        all.insert(Arc::clone(name), Arc::new(made));
    }
    Ok(all)
}
