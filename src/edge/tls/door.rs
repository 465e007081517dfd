//! The door of the link: whoever comes in has shown a certificate of a node, and no other way leads in.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::server::Handshake;
use crate::{
    edge::{
        ProxyProtocol,
        settings::{CertificateFiles, ListenerSettings, TlsSettings, TlsVersion},
    },
    model::Timestamp,
    telemetry::Metrics,
};

/// From the first packet to a proven node.
const PATIENCE: Duration = Duration::from_secs(10);
/// Its name among the listeners.
const NAME: &str = "link";

/// Shakes hands with nodes.
pub struct NodeDoor {
    handshake: Handshake,
    /// Names of which a node has one; empty: whoever the authorities signed for.
    names: Vec<String>,
}

impl NodeDoor {
    /// Reads the certificates; what cannot be used is told.
    pub fn new(
        address: SocketAddr,
        files: CertificateFiles,
        authorities: PathBuf,
        names: Vec<String>,
    ) -> Result<Self, String> {
        let tls = TlsSettings {
            certificates: vec![files],
            min_version: TlsVersion::Tls12,
            refuse_unknown: false,
            client_authorities: Some(authorities),
            client_required: true,
        };
        let listener = ListenerSettings {
            name: Arc::from(NAME),
            address,
            proxy_protocol: ProxyProtocol::default(),
            tls: None,
            http2: false,
        };
        Ok(Self { handshake: Handshake::new(&listener, &tls)?, names })
    }

    /// Shakes hands; an error: it is no node.
    pub async fn open(
        &self,
        tcp: TcpStream,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static + use<>> {
        let (stream, facts) = self.handshake.with(tcp, PATIENCE).await?;
        // The handshake ends without one only if it was not asked for, which it is.
        let shown = facts.certificate.ok_or_else(|| io::Error::other("no certificate"))?;
        let known = |name: &String| shown.names.iter().any(|own| own == name);
        if self.names.is_empty() || self.names.iter().any(known) {
            return Ok(stream);
        }
        Err(io::Error::other(format!("no node has one of the names {}", shown.names.join(", "))))
    }

    /// Takes changed certificates over. Reads files.
    pub fn refresh(&self, metrics: &Metrics, now: Timestamp) {
        self.handshake.refresh(metrics, now);
    }
}
