//! The handshake with clients of one listener.

use std::{fs, io, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{authorities, certificates::Certificates, peer, provider, versions};
use crate::{
    edge::{
        guard::Wire,
        settings::{ListenerSettings, TlsSettings},
    },
    model::{ClientCertificate, Timestamp},
    telemetry::Metrics,
};

/// What a finished handshake told.
pub(in crate::edge) struct TlsFacts {
    /// The name the client asked for.
    pub(in crate::edge) name: Option<Box<str>>,
    /// Who it is, if it showed that.
    pub(in crate::edge) certificate: Option<ClientCertificate>,
    /// Whether both sides agreed on HTTP/2.
    pub(in crate::edge) http2: bool,
}

/// Makes the handshakes of one listener.
pub(in crate::edge) struct Handshake {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl Handshake {
    /// Reads certificates and authorities; what cannot be used is told.
    pub(in crate::edge) fn new(
        listener: &ListenerSettings,
        tls: &TlsSettings,
    ) -> Result<Self, String> {
        let name = Arc::clone(&listener.name);
        let certificates = Certificates::read(name, &tls.certificates, tls.refuse_unknown)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(tls.min_version))
            .map_err(|error| error.to_string())?;
        let builder = match verifier(tls)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let resolver: Arc<Certificates> = Arc::clone(&certificates);
        let mut config = builder.with_cert_resolver(resolver);
        let spoken: &[&[u8]] = if listener.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = spoken.iter().map(|name| name.to_vec()).collect();
        // Resumption without a table of sessions; the key changes every few hours and never leaves the process.
        config.ticketer =
            rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificates })
    }

    /// Shakes hands, within this time.
    pub(in crate::edge) async fn with(
        &self,
        tcp: TcpStream,
        patience: Duration,
    ) -> io::Result<(TlsStream<TcpStream>, TlsFacts)> {
        let done = pingora::prelude::timeout(patience, self.acceptor.accept(tcp)).await;
        let stream = done.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let facts = TlsFacts {
            name: session.server_name().map(|name| name.to_ascii_lowercase().into()),
            certificate: shown.and_then(|shown| peer::read(shown)),
            http2: session.alpn_protocol() == Some(b"h2"),
        };
        Ok((stream, facts))
    }

    /// Takes changed certificates over. Reads files.
    pub(in crate::edge) fn refresh(&self, metrics: &Metrics, now: Timestamp) {
        self.certificates.refresh(metrics, now);
    }
}

fn verifier(tls: &TlsSettings) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let Some(path) = &tls.client_authorities else { return Ok(None) };
    let told = |why: String| format!("{}: {why}", path.display());
    let pem = fs::read(path).map_err(|error| told(error.to_string()))?;
    let roots = Arc::new(authorities::store(&authorities::read(&pem).map_err(told)?));
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let builder = if tls.client_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map(Some).map_err(|error| error.to_string())
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Whether a text holds certificates of authorities; why not, if it does not.
pub fn check_authorities(pem: &[u8]) -> Result<(), String> {
    authorities::read(pem).map(drop)
}
