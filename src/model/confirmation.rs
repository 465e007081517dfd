//! What a token is bound to: whoever sends it must prove to have that as well (RFC 7800 section 3.1).

use serde::{Deserialize, Serialize};

/// SHA-256 of a key or of a certificate. Public, and no secret is derived from it.
pub type Thumbprint = [u8; 32];

/// The `cnf` claim, as far as it is known here. Where both stand, both must be proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// `jkt`: of the public key that signs a proof per request (RFC 9449 section 6.1).
    pub key: Option<Thumbprint>,
    /// `x5t#S256`: of the certificate that the client's connection shows (RFC 8705 section 3.1).
    pub certificate: Option<Thumbprint>,
}

/// What a client that asks for a token has shown for it to be bound to (RFC 9449 section 5, RFC 8705 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offered {
    /// It has proven to own this key.
    Key(Thumbprint),
    /// It sent no proof, and its connection shows this certificate.
    Certificate(Thumbprint),
    /// The proof is none, or was used before.
    Faulty,
    /// It is good but for the nonce that is asked for.
    WithoutNonce,
}
