//! The certificate a client showed in the handshake of its connection.

use super::{Timestamp, confirmation::Thumbprint};

/// A certificate whose chain and key were proven. Whom it stands for is the configuration's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// What it may be known by: `SHA256:` of the whole, `CN:` of the subject, `DNS:`, `URI:` and `email:` of its
    /// alternative names.
    pub names: Vec<String>,
    /// SHA-256 of the whole.
    pub thumbprint: Thumbprint,
    /// Past this moment it proves nothing, however long the connection lasts.
    pub not_after: Timestamp,
}
