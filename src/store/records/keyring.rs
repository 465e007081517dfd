//! Encrypted secrets. The store never sees a plain one.

use std::fmt;

use crate::model::{MountName, Timestamp};

/// Bytes that the identity room has encrypted; their `Debug` is silent all the same.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext(pub Vec<u8>);

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ciphertext({} bytes)", self.0.len())
    }
}

/// A signing key of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// Mount.
    pub mount: MountName,
    /// Key id, unique in the mount.
    pub kid: String,
    /// `HS256`, `RS256`, …
    pub algorithm: String,
    /// Encrypted private key or HMAC secret.
    pub private: Ciphertext,
    /// Public key; empty for HMAC.
    pub public: Vec<u8>,
    /// Made.
    pub created_at: Timestamp,
    /// No longer signs since.
    pub retired_at: Option<Timestamp>,
    /// No longer verifies from.
    pub expires_at: Option<Timestamp>,
}
