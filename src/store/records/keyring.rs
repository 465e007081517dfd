//! Encrypted secrets and one-time codes. The store never sees a plain one.

use std::fmt;

use serde_json::Value;

use crate::model::{AccountId, Digest, MountName, RealmName, Timestamp};

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

/// A code that works once: reset, verification, OAuth state, exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeRecord {
    /// Realm.
    pub realm: RealmName,
    /// What it is for; a code of one purpose is none of another.
    pub purpose: String,
    /// SHA-256 of the code (with the account in it, where codes are short).
    pub digest: Digest,
    /// Account, where there is one already.
    pub account: Option<AccountId>,
    /// What belongs to it; never secret in clear.
    pub payload: Value,
    /// Made.
    pub created_at: Timestamp,
    /// End by itself.
    pub expires_at: Timestamp,
}
