//! What the internal plane is told by the configuration.

use std::{net::SocketAddr, path::PathBuf};

use crate::model::SecretString;

/// Boot-only settings of the internal listener and its sockets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TCP address of the operator API, loopback by default; `None`: only the socket.
    pub address: Option<SocketAddr>,
    /// The operator's Unix socket, 0600. Needs no token: the file's permissions are the proof.
    pub operator_socket: PathBuf,
    /// The private socket the edge proxies contract endpoints to, 0600; `None`: identity is elsewhere.
    pub identity_socket: Option<PathBuf>,
    /// Bearer token of the operator for TCP.
    pub token: SecretString,
    /// Whether `/livez` and `/readyz` answer on TCP without the token (bare status only).
    pub open_probes: bool,
}
