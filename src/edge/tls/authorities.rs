//! Those who sign certificates, from a PEM file or as the system has them.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Reads a bundle. One that cannot be used is a fault: leaving it out would refuse somebody who should be let in, and
/// nobody would know why.
pub(super) fn read(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Err("there is no certificate in it".into());
    }
    for one in &found {
        RootCertStore::empty().add(one.clone()).map_err(|error| error.to_string())?;
        if !is_readable(one) {
            return Err("a certificate in it cannot be read".into());
        }
    }
    Ok(found)
}

/// Whom the system trusts.
pub(super) fn of_the_system() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(event = "system_certificates", %error);
    }
    let good = |one: &CertificateDer<'static>| {
        RootCertStore::empty().add(one.clone()).is_ok() && is_readable(one)
    };
    found.certs.into_iter().filter(good).collect()
}

/// The same as rustls keeps it.
pub(super) fn store(all: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(all.iter().cloned());
    roots
}

/// pingora reads each once more, with the same parser, and has no way to say no.
fn is_readable(one: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(one).is_ok()
}
