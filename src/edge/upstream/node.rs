//! One address of a backend, and what is known about its health.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pingora::upstreams::peer::HttpPeer;

use super::unhurried;
use crate::{
    edge::{settings::HealthCheck, tls::Verified},
    pipeline::route::Timeouts,
};

/// Idle connections to an upstream are closed after this time.
const IDLE: Duration = Duration::from_secs(60);

/// Requests at once on one HTTP/2 connection.
const STREAMS: usize = 100;
/// How often such a connection must prove to be alive.
const PING: Duration = Duration::from_secs(30);

/// How a node is spoken to.
#[derive(Clone, Copy, Default)]
pub(super) struct Kind<'a> {
    /// `None`: without TLS.
    pub(super) secure: Option<&'a Verified>,
    pub(super) http2: bool,
    /// Tells the connections of pools apart.
    pub(super) group: u64,
}

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Address {
    /// TCP; a name has been resolved.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// One address of a backend.
pub(in crate::edge) struct Node {
    address: Address,
    /// The backend as the configuration spells it: what logs and metrics show.
    label: Arc<str>,
    /// How it is proven; `None`: plain HTTP.
    secure: Option<Verified>,
    /// Whether HTTP/2 is spoken with it.
    http2: bool,
    template: HttpPeer,
    healthy: AtomicBool,
    /// Results of active checks in a row, all alike.
    streak: AtomicU32,
    /// Failures of real traffic in a row.
    failures: AtomicU32,
    /// Milliseconds since [`START`]; zero when not ejected.
    ejected_until: AtomicU64,
    /// When the next active check is due, on the same scale.
    check_due: AtomicU64,
}

/// Where the clock of ejections begins.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Node {
    /// `None` for a socket path the system cannot address.
    pub(super) fn new(address: Address, label: Arc<str>, kind: Kind<'_>) -> Option<Arc<Self>> {
        let name = kind.secure.map(|secure| secure.name().to_owned());
        let mut template = match &address {
            Address::Tcp(address) => {
                HttpPeer::new(*address, name.is_some(), name.unwrap_or_default())
            }
            Address::Unix(path) => HttpPeer::new_uds(path.to_str()?, false, String::new()).ok()?,
        };
        template.options.idle_timeout = Some(IDLE);
        if kind.http2 {
            template.options.set_http_version(2, 2);
            template.options.max_h2_streams = STREAMS;
            template.options.h2_ping_interval = Some(PING);
        }
        if let Some(secure) = kind.secure {
            template.options.ca = Some(Arc::clone(&secure.authorities));
            template.client_cert_key.clone_from(&secure.certificate);
            // Connections are shared by address and name: not with a pool that trusts others.
            template.group_key = kind.group;
        }
        Some(Arc::new(Self {
            address,
            label,
            secure: kind.secure.cloned(),
            http2: kind.http2,
            template,
            healthy: AtomicBool::new(true),
            streak: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            check_due: AtomicU64::new(0),
        }))
    }

    pub(in crate::edge) fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn secure(&self) -> Option<&Verified> {
        self.secure.as_ref()
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2
    }

    /// The peer of one request. Every request of a node gets the same one but for its deadlines, so that they share
    /// connections. Reads have no deadline here: the request's [`Conn`](crate::edge::conn::Conn) watches them.
    pub(in crate::edge) fn peer(&self, timeouts: &Timeouts) -> Box<HttpPeer> {
        let mut peer = Box::new(self.template.clone());
        peer.options.connection_timeout = Some(timeouts.connect);
        peer.options.total_connection_timeout = Some(timeouts.connect);
        peer.options.write_timeout = Some(timeouts.between_bytes);
        peer
    }

    /// The peer of a request that asks for a tunnel: a connection of its own, which nobody else used or will use.
    pub(in crate::edge) fn tunnel_peer(&self, timeouts: &Timeouts) -> Box<HttpPeer> {
        let mut peer = self.peer(timeouts);
        if !self.http2 {
            peer.options.custom_l4 = Some(Arc::clone(&unhurried::UNHURRIED));
            peer.options.idle_timeout = Some(Duration::ZERO);
            peer.group_key ^= unhurried::GROUP;
        }
        peer
    }

    /// Whether it takes requests now.
    pub(super) fn is_available(&self) -> bool {
        self.healthy.load(Relaxed) && !self.is_ejected()
    }

    fn is_ejected(&self) -> bool {
        match self.ejected_until.load(Relaxed) {
            0 => false,
            until => millis(START.elapsed()) < until,
        }
    }

    /// Real traffic succeeded.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Real traffic failed; returns how often in a row.
    pub(super) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Relaxed).saturating_add(1)
    }

    pub(super) fn eject(&self, span: Duration) {
        self.failures.store(0, Relaxed);
        self.ejected_until.store(millis(START.elapsed() + span).max(1), Relaxed);
    }

    /// Whether an active check is due; the one who hears yes does it.
    pub(super) fn take_check(&self, interval: Duration) -> bool {
        let now = millis(START.elapsed());
        if now < self.check_due.load(Relaxed) {
            return false;
        }
        self.check_due.store(now.saturating_add(millis(interval)), Relaxed);
        true
    }

    /// Takes the result of an active check; returns whether the node changed sides.
    pub(super) fn checked(&self, check: &HealthCheck, ok: bool) -> bool {
        if self.healthy.load(Relaxed) == ok {
            self.streak.store(0, Relaxed);
            return false;
        }
        let wanted = if ok { check.healthy_after } else { check.unhealthy_after };
        if self.streak.fetch_add(1, Relaxed).saturating_add(1) < wanted {
            return false;
        }
        self.streak.store(0, Relaxed);
        self.healthy.store(ok, Relaxed);
        true
    }
}
