//! A pool: the nodes of one upstream, and whose turn it is.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{
    health,
    node::{Address, Kind, Node},
    seats::{Seat, Seats},
};
use crate::{
    edge::{
        UpstreamSettings,
        settings::{Backend, DEFAULT_MAX_REQUESTS, Ejection, HostHeader, UpstreamTls},
        tls::{Verified, files_of},
    },
    model::Digest,
    telemetry::Metrics,
};

/// Deadline of one look-up of a name.
const RESOLVE: Duration = Duration::from_secs(3);

static GROUPS: AtomicU64 = AtomicU64::new(1);

/// Backends of one upstream.
pub(in crate::edge) struct Pool {
    settings: UpstreamSettings,
    /// By backend, for those over TLS.
    secure: HashMap<Arc<str>, Verified>,
    /// What the files held that it was made of.
    files: Digest,
    /// Its number among all pools there ever were.
    group: u64,
    nodes: ArcSwap<Vec<Arc<Node>>>,
    turn: AtomicUsize,
    seats: Arc<Seats>,
    /// Whether names have been resolved at least once; true from the start where there are none.
    resolved: watch::Sender<bool>,
    resolving: AtomicBool,
    metrics: Metrics,
}

impl Pool {
    /// A pool whose addresses are known at once; names follow with the first [`Pool::discover`].
    pub(in crate::edge) fn new(settings: UpstreamSettings, metrics: Metrics) -> Arc<Self> {
        // Before they are read: what changes meanwhile is read anew with the next reload.
        let files = files_of(&settings.tls);
        let secure = proofs(&settings);
        let mut pool = Self {
            files,
            group: GROUPS.fetch_add(1, Relaxed),
            secure,
            nodes: ArcSwap::default(),
            turn: AtomicUsize::new(0),
            seats: Seats::new(settings.max_requests),
            resolved: watch::Sender::new(true),
            resolving: AtomicBool::new(false),
            metrics,
            settings,
        };
        let mut known = Vec::new();
        for backend in &pool.settings.backends {
            match fixed(backend) {
                Some(address) => known.extend(pool.node(backend, address)),
                None => {
                    pool.resolved = watch::Sender::new(false);
                    pool.resolving = AtomicBool::new(true);
                }
            }
        }
        pool.nodes.store(Arc::new(known));
        Arc::new(pool)
    }

    /// `None` for a backend that cannot be spoken to as it must.
    fn node(&self, backend: &Backend, address: Address) -> Option<Arc<Node>> {
        let label = label(backend);
        let secure = match backend {
            Backend::Http { tls: true, .. } => Some(self.secure.get(&label)?),
            _ => None,
        };
        let kind = Kind { secure, http2: self.settings.http2, group: self.group };
        Node::new(address, label, kind)
    }

    /// The pool of the identity plane: one socket, never ejected.
    pub(in crate::edge) fn identity(socket: &Path, metrics: Metrics) -> Arc<Self> {
        let settings = UpstreamSettings {
            name: "identity".into(),
            backends: vec![Backend::Unix(socket.to_owned())],
            health: None,
            ejection: Ejection { failures: 0, duration: Duration::ZERO },
            retries: 0,
            host: HostHeader::Preserve,
            max_requests: DEFAULT_MAX_REQUESTS,
            http2: false,
            tls: UpstreamTls::default(),
        };
        Self::new(settings, metrics)
    }

    /// Whether it is what a new pool with these settings would be: also the files that they name hold the same.
    pub(in crate::edge) fn is_of(&self, settings: &UpstreamSettings) -> bool {
        self.settings == *settings && self.files == files_of(&settings.tls)
    }

    pub(in crate::edge) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// A seat for one more request, unless the upstream has as many as it may: what waits for a slow upstream is bounded.
    pub(in crate::edge) fn enter(&self) -> Option<Seat> {
        self.seats.enter()
    }

    /// The next node in turn that takes requests and was not tried yet. With none available any untried one is better
    /// than a certain refusal.
    pub(in crate::edge) fn pick(&self, tried: &[Arc<Node>]) -> Option<Arc<Node>> {
        let nodes = self.nodes.load();
        let untried = |node: &&Arc<Node>| !tried.iter().any(|other| Arc::ptr_eq(node, other));
        let count = nodes.len();
        let start = match count {
            0 => return None,
            1 => 0,
            _ => self.turn.fetch_add(1, Relaxed) % count,
        };
        let in_turn = || nodes.iter().cycle().skip(start).take(count).filter(untried);
        in_turn().find(|node| node.is_available()).or_else(|| in_turn().next()).cloned()
    }

    /// Whether a further node could be tried.
    pub(in crate::edge) fn has_untried(&self, tried: &[Arc<Node>]) -> bool {
        self.nodes.load().iter().any(|node| !tried.iter().any(|other| Arc::ptr_eq(node, other)))
    }

    /// Waits until names were resolved once, at most `limit`. Resolving itself happens in the background.
    pub(in crate::edge) async fn ready(&self, limit: Duration) {
        if !*self.resolved.borrow() {
            let mut resolved = self.resolved.subscribe();
            let done = resolved.wait_for(|done| *done);
            // Late or never: the pick after this tells. In a box, since hardly any request waits here.
            let _ = Box::pin(tokio::time::timeout(limit, done)).await;
        }
    }

    /// Real traffic reached this node and was answered.
    pub(in crate::edge) fn succeeded(&self, node: &Node) {
        node.succeeded();
    }

    /// Real traffic failed at this node. The last one that takes requests is never ejected.
    pub(in crate::edge) fn failed(&self, node: &Arc<Node>) {
        let ejection = self.settings.ejection;
        if node.failed() < ejection.failures || ejection.failures == 0 {
            return;
        }
        let nodes = self.nodes.load();
        let others = nodes.iter().any(|other| !Arc::ptr_eq(other, node) && other.is_available());
        if others && node.is_available() {
            node.eject(ejection.duration);
            self.metrics.upstream_ejected(&self.settings.name);
            let upstream = &self.settings.name;
            tracing::warn!(event = "backend_ejected", %upstream, backend = %node.label());
            self.publish();
        }
    }

    /// Shows every backend's state as a metric.
    pub(in crate::edge) fn publish(&self) {
        let nodes = self.nodes.load();
        for backend in &self.settings.backends {
            let label = label(backend);
            let healthy = nodes.iter().any(|node| *node.label() == label && node.is_available());
            self.metrics.upstream_backend(&self.settings.name, &label, healthy);
        }
    }

    /// Takes the pool out of the metrics.
    pub(in crate::edge) fn forget(&self) {
        for backend in &self.settings.backends {
            self.metrics.forget_backend(&self.settings.name, &label(backend));
        }
    }

    /// Resolves names anew. Nodes whose address stays keep their state; a name that cannot be resolved keeps its nodes.
    pub(in crate::edge) async fn discover(&self) {
        if !self.resolving.load(Relaxed) {
            return;
        }
        let old = self.nodes.load_full();
        let mut nodes = Vec::new();
        for backend in &self.settings.backends {
            let label = label(backend);
            let mut own = old.iter().filter(|node| *node.label() == label).cloned();
            match backend {
                Backend::Http { host, port, .. } if fixed(backend).is_none() => {
                    match resolve(host, *port).await {
                        Ok(addresses) => {
                            nodes.extend(addresses.into_iter().filter_map(|address| {
                                let address = Address::Tcp(address);
                                let kept = old.iter().find(|node| {
                                    *node.label() == label && *node.address() == address
                                });
                                kept.cloned().or_else(|| self.node(backend, address))
                            }))
                        }
                        Err(error) => {
                            let upstream = &self.settings.name;
                            tracing::warn!(event = "discovery_failed", %upstream, %host, %error);
                            nodes.extend(own);
                        }
                    }
                }
                _ => nodes.extend(own.next()),
            }
        }
        let found = !nodes.is_empty();
        self.nodes.store(Arc::new(nodes));
        if found {
            self.resolved.send_replace(true);
        }
    }

    /// Runs the active checks that are due, all at once.
    pub(in crate::edge) async fn check(&self) {
        let Some(check) = &self.settings.health else { return };
        let nodes = self.nodes.load_full();
        let mut running = tokio::task::JoinSet::new();
        for node in nodes.iter().filter(|node| node.take_check(check.interval)) {
            let (node, check) = (Arc::clone(node), check.clone());
            running.spawn(async move {
                let ok = health::probe(&node, &check).await;
                (node.checked(&check, ok), ok, node)
            });
        }
        while let Some(result) = running.join_next().await {
            let Ok((true, ok, node)) = result else { continue };
            let upstream = &self.settings.name;
            tracing::warn!(event = "backend_health", %upstream, backend = %node.label(), healthy = ok);
        }
    }
}

/// What the backends over TLS must prove. The configuration was checked with these files: one that cannot be read now has
/// gone since, and its backends are not spoken to.
fn proofs(settings: &UpstreamSettings) -> HashMap<Arc<str>, Verified> {
    let mut all = HashMap::new();
    for backend in &settings.backends {
        let Backend::Http { host, tls: true, .. } = backend else { continue };
        match Verified::read(&settings.tls, host, settings.http2) {
            Ok(verified) => {
                all.insert(label(backend), verified);
            }
            Err(error) => {
                let upstream = &settings.name;
                tracing::error!(event = "upstream_tls", %upstream, backend = %label(backend), %error);
            }
        }
    }
    all
}

/// The address of a backend that needs no look-up.
fn fixed(backend: &Backend) -> Option<Address> {
    match backend {
        Backend::Unix(path) => Some(Address::Unix(path.clone())),
        Backend::Http { host, port, .. } => {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let address: IpAddr = bare.unwrap_or(host).parse().ok()?;
            Some(Address::Tcp(SocketAddr::new(address, *port)))
        }
    }
}

fn label(backend: &Backend) -> Arc<str> {
    match backend {
        Backend::Unix(path) => format!("unix:{}", path.display()).into(),
        Backend::Http { host, port, .. } => format!("{host}:{port}").into(),
    }
}

/// IPv4 where there is any: a service that a name also points to by IPv6 often does not listen there.
///
/// The system's resolver may hang for minutes, and the checks of all pools wait for this.
async fn resolve(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let asked = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((host, port))).await?;
    let mut found: Vec<_> = asked?.collect();
    if found.iter().any(SocketAddr::is_ipv4) {
        found.retain(SocketAddr::is_ipv4);
    }
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests;
