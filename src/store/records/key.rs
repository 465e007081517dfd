//! API keys.

use ipnet::IpNet;

use super::AccountRecord;
use crate::model::{AccountId, Digest, KeyId, MountName, RealmName, ScopeSet, Timestamp};

/// One API key: its digest, never its text.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRecord {
    /// Public id, prefix included.
    pub id: KeyId,
    /// Mount it is valid at.
    pub mount: MountName,
    /// Realm of the owner.
    pub realm: RealmName,
    /// Owner.
    pub owner: AccountId,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// First characters of the secret, for lists.
    pub hint: String,
    /// SHA-256 of the secret.
    pub digest: Digest,
    /// Scopes.
    pub scopes: ScopeSet,
    /// Addresses; empty: any.
    pub allowed_ips: Vec<IpNet>,
    /// Requests per hour.
    pub rate_limit_per_hour: Option<u32>,
    /// Creation.
    pub created_at: Timestamp,
    /// End by itself, or end of the overlap after a rotation.
    pub expires_at: Option<Timestamp>,
    /// Revocation.
    pub revoked_at: Option<Timestamp>,
    /// Its successor, after a rotation.
    pub replaced_by: Option<KeyId>,
    /// Last use as far as written.
    pub last_used_at: Option<Timestamp>,
    /// Uses as far as written.
    pub usage_count: u64,
}

/// A key and its owner, for evidence.
#[derive(Clone, Debug)]
pub struct OwnedKey {
    /// The key.
    pub key: KeyRecord,
    /// Its owner.
    pub owner: AccountRecord,
}

/// Uses of a key to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Which key.
    pub id: KeyId,
    /// How many more.
    pub count: u64,
    /// The newest of them.
    pub last_used_at: Timestamp,
}
