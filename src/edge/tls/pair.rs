//! A certificate with its key, as two PEM texts: read, held against each other, and the facts that others need.

use std::sync::Arc;

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use super::provider;
use crate::model::Timestamp;

/// Which of the two files is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The certificate chain.
    Certificate,
    /// The private key.
    Key,
}

/// Why two files are no pair. Says nothing of what stands in the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct PairFault {
    /// Which file.
    pub half: Half,
    /// What is wrong.
    pub what: &'static str,
    /// Why it is not accepted.
    pub why: String,
    /// What to do.
    pub fix: &'static str,
}

impl PairFault {
    fn new(half: Half, what: &'static str, why: impl Into<String>, fix: &'static str) -> Self {
        Self { half, what, why: why.into(), fix }
    }
}

/// A certificate chain and the key to its first certificate.
#[derive(Clone)]
pub struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// DNS names it is for, in lower case; `*.` in front stands for one label.
    pub(super) names: Vec<String>,
    /// Past this moment nobody believes it.
    pub(super) not_after: Timestamp,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Pair {
    /// Reads a chain and a key from PEM.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, PairFault> {
        let bad_chain = |why: String| {
            let fix = "write the certificate and its intermediates as PEM, the server's own first";
            PairFault::new(Half::Certificate, "no certificate can be read", why, fix)
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| bad_chain(error.to_string()))?;
        let Some(first) = chain.first() else {
            return Err(bad_chain("there is none in the file".into()));
        };
        let facts = Facts::of(first).map_err(bad_chain)?;
        // pingora reads the whole chain of our own certificate toward an upstream, and has no way to say no.
        for other in &chain {
            Facts::of(other).map_err(bad_chain)?;
        }
        let bad_key = |why: String| {
            let fix = "write the private key as PEM without a password (PKCS#8, SEC1 or PKCS#1)";
            PairFault::new(Half::Key, "no private key can be read", why, fix)
        };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad_key(error.to_string()))?;
        let signer = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| bad_key("it is of no kind that can sign a handshake".into()))?;
        let key = CertifiedKey::new(chain, signer);
        key.keys_match().map_err(|_| {
            let (what, why) = ("the key is not that of the certificate", "no client could connect");
            PairFault::new(Half::Key, what, why, "name the key this certificate was made for")
        })?;
        Ok(Self { key: Arc::new(key), names: facts.names, not_after: facts.not_after })
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// The DER bytes of a key that [`Pair::read`] took, for pingora.
pub(super) fn key_bytes(pem: &[u8]) -> Option<Vec<u8>> {
    PrivateKeyDer::from_pem_slice(pem).ok().map(|key| key.secret_der().to_vec())
}

struct Facts {
    names: Vec<String>,
    not_after: Timestamp,
}

impl Facts {
    fn of(der: &[u8]) -> Result<Self, String> {
        let (_, found) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let not_after = Timestamp::from_secs(found.validity().not_after.timestamp());
        let names = found.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = names.map(|names| {
            let dns = names.value.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            });
            dns.collect()
        });
        Ok(Self { names: names.unwrap_or_default(), not_after })
    }
}
