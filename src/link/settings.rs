//! What both ends of the link are told by the configuration.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Boot-only settings of the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where edge nodes are answered; `None`: this node answers none.
    pub listen: Option<SocketAddr>,
    /// Identity nodes, in the order in which they are asked.
    pub nodes: Vec<Address>,
    /// Who this node is to the others, and whom it believes.
    pub files: Files,
    /// Names of which a certificate must have one to be an edge node's; empty: whoever the authorities signed for.
    pub names: Vec<String>,
    /// Name that the certificates of identity nodes must have; `None`: that of the address.
    pub server_name: Option<String>,
    /// Longest that a question may take.
    pub timeout: Duration,
    /// How long the start waits for an identity node.
    pub wait: Duration,
    /// How old what is held in memory may grow while no identity node can be asked.
    pub stale_for: Duration,
    /// Questions, and forwarded requests, at once.
    pub at_once: usize,
}

/// Where an identity node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// PEM files. They are read anew when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// This node's certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs for the nodes, and nobody else.
    pub authorities: PathBuf,
}
