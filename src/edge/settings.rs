//! What the edge is told by the configuration.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;

use super::{ClientLimits, ProxyProtocol};
use crate::pipeline::forward_auth::{FactNames, Forwards, Style};

/// Boot-only settings of the data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Public listeners; at least one.
    pub listeners: Vec<ListenerSettings>,
    /// Listeners at which other proxies ask.
    pub forward_auth: Vec<Arc<ForwardAuth>>,
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
    /// What HTTP/2 connections of clients may do.
    pub http2: Http2,
    /// How much is kept at hand.
    pub caches: CacheSizes,
}

/// How many proven credentials are kept at hand at most, whatever number of them there is. One that is not costs a signature
/// or a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSizes {
    /// Verified tokens.
    pub tokens: usize,
    /// What the store knows of API keys, unknown ones included.
    pub keys: usize,
    /// The same of sessions.
    pub sessions: usize,
}

impl Default for CacheSizes {
    fn default() -> Self {
        Self { tokens: 20_000, keys: 20_000, sessions: 20_000 }
    }
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
    /// `None`: plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Whether it speaks HTTP/2: by ALPN with TLS, by prior knowledge without.
    pub http2: bool,
}

/// A listener at which a proxy in front asks whether it may forward a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardAuth {
    /// Where it listens.
    pub listener: ListenerSettings,
    /// The listener whose routes judge.
    pub judged_as: Arc<str>,
    /// How it is asked.
    pub style: Style,
    /// Which path the proxy forwards.
    pub forwards: Forwards,
    /// Which fields of a question tell what.
    pub names: FactNames,
    /// Who may ask.
    pub peers: Vec<IpNet>,
}

impl ForwardAuth {
    /// Whether this peer is believed.
    pub fn believes(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.peers.iter().any(|net| net.contains(&peer))
    }
}

impl Settings {
    /// Every listener there is.
    pub fn all_listeners(&self) -> impl Iterator<Item = &ListenerSettings> {
        self.listeners.iter().chain(self.forward_auth.iter().map(|front| &front.listener))
    }
}

/// TLS of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificates with their keys, chosen by the name the client asks for; at least one. The first is the default.
    pub certificates: Vec<CertificateFiles>,
    /// Oldest version taken.
    pub min_version: TlsVersion,
    /// Whether a client that asks for a name no certificate has gets none, instead of the default.
    pub refuse_unknown: bool,
    /// Who signs certificates of clients; `None`: clients are not asked for one.
    pub client_authorities: Option<PathBuf>,
    /// Whether a client without a certificate is turned away in the handshake.
    pub client_required: bool,
}

/// Two PEM files that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246, with AEAD and forward secrecy only.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What one HTTP/2 connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// Streams at once.
    pub streams: u32,
    /// Bytes of one header list, decoded.
    pub header_list: u32,
    /// Bytes a client may send ahead on one stream.
    pub stream_window: u32,
    /// And on all of them.
    pub connection_window: u32,
    /// Resets of either side and malformed requests in ten seconds.
    pub resets: u32,
    /// Frames in ten seconds that move no request: PING, SETTINGS, empty DATA, CONTINUATION, window updates beyond need.
    pub control_frames: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            streams: 100,
            header_list: 32 << 10,
            stream_window: 64 << 10,
            connection_window: 1 << 20,
            resets: 100,
            control_frames: 1000,
        }
    }
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
    /// Speak HTTP/2 with it: by ALPN with TLS, by prior knowledge without.
    pub http2: bool,
    /// How its `https` backends are proven.
    pub tls: UpstreamTls,
}

/// How `https` backends are proven, and we to them. Matters to no other backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Name their certificates must have, and that they are asked for; `None`: the host of the backend.
    pub server_name: Option<String>,
    /// Who signs their certificates; `None`: whom the system trusts.
    pub authorities: Option<PathBuf>,
    /// Our certificate.
    pub client_certificate: Option<CertificateFiles>,
}

/// [`UpstreamSettings::max_requests`] where the configuration says nothing.
pub const DEFAULT_MAX_REQUESTS: usize = 1024;

/// Where a backend listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// `http://host:port` or `https://host:port`. A name is resolved in the background, never on the request path.
    Http {
        /// IP address or name.
        host: String,
        /// Port.
        port: u16,
        /// Whether it is spoken to over TLS.
        tls: bool,
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
