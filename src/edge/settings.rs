//! What the edge is told by the configuration.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use super::{ClientLimits, ProxyProtocol};

/// Boot-only settings of the data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Public listeners; at least one.
    pub listeners: Vec<ListenerSettings>,
    /// Worker threads of the proxy service.
    pub threads: usize,
    /// Private socket of the identity plane: an absolute path under 108 bytes.
    pub identity_socket: PathBuf,
    /// How long running requests may finish after SIGTERM.
    pub grace_period: Duration,
    /// Idle upstream connections kept per pool.
    pub upstream_keepalive_pool: usize,
    /// What one client may take.
    pub limits: Arc<ClientLimits>,
}

/// One public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Name; places refer to it.
    pub name: Arc<str>,
    /// Address. No two listeners share one.
    pub address: SocketAddr,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: ProxyProtocol,
}

/// One upstream: backends behind one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Name; routes refer to it.
    pub name: Arc<str>,
    /// Backends, at least one.
    pub backends: Vec<Backend>,
    /// Active checks; `None`: passive only.
    pub health: Option<HealthCheck>,
    /// Passive ejection.
    pub ejection: Ejection,
    /// Further backends tried when a connection could not be made (the request surely did not run).
    pub retries: usize,
    /// What goes upstream as `Host`.
    pub host: HostHeader,
    /// Requests it may have at once, open streams included; one more is refused with 503.
    pub max_requests: usize,
}

/// [`UpstreamSettings::max_requests`] where the configuration says nothing.
pub const DEFAULT_MAX_REQUESTS: usize = 1024;

/// Where a backend listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// `http://host:port`. A name is resolved in the background, never on the request path.
    Http {
        /// IP address or name.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix:/path`.
    Unix(PathBuf),
}

/// `Host` toward the upstream.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum HostHeader {
    /// As the client sent it.
    #[default]
    Preserve,
    /// A fixed value.
    Fixed(String),
}

/// Active health check: `GET path`, any 2xx or 3xx is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path asked for.
    pub path: String,
    /// Time between checks of one backend.
    pub interval: Duration,
    /// Deadline of one check.
    pub timeout: Duration,
    /// Failures in a row that take a backend out.
    pub unhealthy_after: u32,
    /// Successes in a row that bring it back.
    pub healthy_after: u32,
}

/// Passive health: connection failures and broken answers of real traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row that eject; zero switches it off.
    pub failures: u32,
    /// For how long. The last backend left is never ejected.
    pub duration: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 3, duration: Duration::from_secs(10) }
    }
}
