//! What the certificate of a client says about it.

use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use crate::model::{ClientCertificate, Digest, Timestamp, api_key::hex};

/// Reads a certificate whose chain was proven in the handshake. `None`: it cannot be read, and so names nobody.
pub(in crate::edge) fn read(der: &[u8]) -> Option<ClientCertificate> {
    let (_, found) = X509Certificate::from_der(der).ok()?;
    let thumbprint = *Digest::of(der).as_bytes();
    let mut names = vec![format!("SHA256:{}", hex(&thumbprint))];
    let common = found.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    names.extend(common.map(|name| format!("CN:{name}")));
    if let Some(others) = found.subject_alternative_name().ok()? {
        names.extend(others.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(format!("DNS:{}", name.to_ascii_lowercase())),
            GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
            GeneralName::URI(uri) => Some(format!("URI:{uri}")),
            _ => None,
        }));
    }
    let not_after = Timestamp::from_secs(found.validity().not_after.timestamp());
    Some(ClientCertificate { names, thumbprint, not_after })
}
