//! How the `https` backends of one upstream are proven, and we to them.
//!
//! pingora makes the connections of requests, health checks make their own. pingora verifies nothing where a peer has no
//! name, so there is no peer without one. It is given the authorities and keeps none of its own.

use std::{fs, io, path::Path, sync::Arc};

use pingora::{
    protocols::tls::CaType,
    utils::tls::{CertKey, WrappedX509, parse_x509},
};
use rustls::{ClientConfig, pki_types::ServerName, sign::SingleCertAndKey};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{authorities, pair::Pair, provider, versions};
use crate::{
    edge::settings::{CertificateFiles, TlsVersion, UpstreamTls},
    model::Digest,
};

/// What a connection to such a backend needs.
#[derive(Clone)]
pub(in crate::edge) struct Verified {
    name: Arc<str>,
    /// For pingora.
    pub(in crate::edge) authorities: Arc<CaType>,
    /// For pingora.
    pub(in crate::edge) certificate: Option<Arc<CertKey>>,
    config: Arc<ClientConfig>,
}

impl Verified {
    /// Reads the files. `host` is the name where the settings give none.
    pub(in crate::edge) fn read(
        tls: &UpstreamTls,
        host: &str,
        http2: bool,
    ) -> Result<Self, String> {
        let roots = match &tls.authorities {
            Some(path) => authorities::read(&pem(path)?)
                .map_err(|why| format!("{}: {why}", path.display()))?,
            None => authorities::of_the_system(),
        };
        let own = tls.client_certificate.as_ref().map(Own::read).transpose()?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(TlsVersion::Tls12))
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities::store(&roots));
        let mut config = match &own {
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                Arc::clone(&own.pair.key),
            ))),
            None => builder.with_no_client_auth(),
        };
        let spoken: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![spoken.to_vec()];
        let wrapped = roots.iter().map(|one| WrappedX509::new(one.to_vec(), parse_x509));
        Ok(Self {
            name: tls.server_name.as_deref().unwrap_or(bare(host)).into(),
            authorities: wrapped.collect(),
            certificate: own.map(|own| Arc::new(own.for_pingora())),
            config: Arc::new(config),
        })
    }

    /// The name they must prove to have; never empty.
    pub(in crate::edge) fn name(&self) -> &str {
        &self.name
    }

    /// Shakes hands on a connection made for a health check; the caller sets the deadline.
    pub(in crate::edge) async fn with(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.name.to_string()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await
    }
}

/// What the files of an upstream hold now: another digest once any of them changed.
pub(in crate::edge) fn files_of(tls: &UpstreamTls) -> Digest {
    let own = tls.client_certificate.as_ref();
    let certificate = own.map(|own| (&own.certificate, &own.key));
    let paths = tls.authorities.iter().chain(certificate.into_iter().flat_map(<[_; 2]>::from));
    let mut all = Vec::new();
    for path in paths {
        let held = fs::read(path).unwrap_or_default();
        all.extend_from_slice(Digest::of(&held).as_bytes());
    }
    Digest::of(&all)
}

/// Our certificate.
struct Own {
    pair: Pair,
    key: Vec<u8>,
}

impl Own {
    fn read(files: &CertificateFiles) -> Result<Self, String> {
        let key = pem(&files.key)?;
        let pair =
            Pair::read(&pem(&files.certificate)?, &key).map_err(|fault| fault.to_string())?;
        Ok(Self { pair, key: super::pair::key_bytes(&key).unwrap_or_default() })
    }

    fn for_pingora(self) -> CertKey {
        let chain = self.pair.key.cert.iter().map(|one| one.to_vec()).collect();
        CertKey::new(chain, self.key)
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether a name can be asked for and verified.
pub fn is_server_name(name: &str) -> bool {
    !name.is_empty() && ServerName::try_from(bare(name).to_owned()).is_ok()
}
