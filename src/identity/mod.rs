//! Identity: the control plane's domain services. It issues and ends credentials; it knows no HTTP and no SQL.
//!
//! [`Identity`] is the one door. Dialects and the operator API translate to and from it; the edge uses only the narrow
//! [`Lookup`] and [`RevocationView`](crate::pipeline::RevocationView) faces.

pub mod error;
pub mod settings;
pub mod types;

use std::sync::Arc;

use async_trait::async_trait;

pub use error::{FieldError, IdentityError};
pub use settings::Settings;
pub use types::*;

use crate::{
    limit::RateLimiter,
    model::{
        AccountId, Clock, KeyId, MountName, Principal, Random, RealmName, SecretString, SessionId,
    },
    pipeline::{KeyEvidence, RevocationView, jwt::VerificationKey},
    store::Store,
};

/// The edge's window into identity for opaque credentials.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// Evidence of one key at one mount; `Ok(None)`: no such key. An error is *undetermined*, never a refusal.
    async fn key(
        &self,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError>;

    /// Counts up whenever any key or owner changed: cached evidence of an older epoch must be fetched again.
    fn epoch(&self) -> u64;

    /// Notes one use of a key (batched; never a write per request).
    fn used(&self, id: &KeyId);
}

/// What identity needs from its surroundings.
pub struct Parts {
    /// The open store.
    pub store: Store,
    /// Counts failed logins.
    pub limiter: Arc<dyn RateLimiter>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Master keys, newest first; they encrypt signing keys and derived-token keys in the store.
    pub master_keys: Vec<SecretString>,
}

/// The facade; cheap to clone.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {}

#[allow(unused_variables, clippy::unused_async)]
impl Identity {
    /// Opens identity over a store: makes missing signing keys, loads live revocations.
    pub async fn open(settings: Settings, parts: Parts) -> Result<Self, IdentityError> {
        unimplemented!()
    }

    /// Takes new settings after a reload; makes signing keys for new mounts.
    pub async fn reconfigure(&self, settings: Settings) -> Result<(), IdentityError> {
        unimplemented!()
    }

    /// Verification keys of a mount, newest first, for the edge's snapshot.
    pub fn verification_keys(&self, mount: &MountName) -> Vec<VerificationKey> {
        unimplemented!()
    }

    /// The view of ended tokens and sessions.
    pub fn revocations(&self) -> Arc<dyn RevocationView> {
        unimplemented!()
    }

    /// The key window for the edge.
    pub fn lookup(&self) -> Arc<dyn Lookup> {
        unimplemented!()
    }

    // --- sessions ---------------------------------------------------------------------------------------------

    /// Logs in with a password. Locked before throttled before hashed; a dummy hash for unknown names.
    pub async fn login(
        &self,
        mount: &MountName,
        request: Login,
        by: &Actor,
    ) -> Result<Granted, IdentityError> {
        unimplemented!()
    }

    /// Trades a refresh token for new tokens (rotation and grace as the mount's settings say).
    pub async fn refresh(
        &self,
        mount: &MountName,
        token: &SecretString,
        by: &Actor,
    ) -> Result<Granted, IdentityError> {
        unimplemented!()
    }

    /// Ends the caller's access token, and the session of `refresh` if it is the caller's, else the caller's session.
    pub async fn logout(
        &self,
        caller: &Principal,
        refresh: Option<&SecretString>,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        unimplemented!()
    }

    // --- accounts ---------------------------------------------------------------------------------------------

    /// One account.
    pub async fn account(
        &self,
        realm: &RealmName,
        id: &AccountId,
    ) -> Result<Account, IdentityError> {
        unimplemented!()
    }

    /// Makes an account.
    pub async fn create_account(
        &self,
        realm: &RealmName,
        new: NewAccount,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        unimplemented!()
    }

    /// Changes a password knowing the current one; ends all sessions of the account.
    pub async fn change_password(
        &self,
        account: &AccountId,
        realm: &RealmName,
        current: &SecretString,
        new: &SecretString,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        unimplemented!()
    }

    // --- API keys ---------------------------------------------------------------------------------------------

    /// Makes a key for `owner` at `mount`; scopes must be within what the owner's roles hold.
    pub async fn create_key(
        &self,
        mount: &MountName,
        owner: &AccountId,
        new: NewKey,
        by: &Actor,
    ) -> Result<NewKeyText, IdentityError> {
        unimplemented!()
    }

    /// Keys of one account, revoked ones included, newest first.
    pub async fn keys_of(
        &self,
        mount: &MountName,
        owner: &AccountId,
    ) -> Result<Vec<ApiKey>, IdentityError> {
        unimplemented!()
    }

    /// One key by id at a mount.
    pub async fn key(&self, mount: &MountName, id: &KeyId) -> Result<ApiKey, IdentityError> {
        unimplemented!()
    }

    /// Makes a successor; the old key stays valid for `overlap`. `owner`: `None` for the operator, else must own it.
    pub async fn rotate_key(
        &self,
        mount: &MountName,
        owner: Option<&AccountId>,
        id: &KeyId,
        overlap: std::time::Duration,
        by: &Actor,
    ) -> Result<RotatedKey, IdentityError> {
        unimplemented!()
    }

    /// Revokes a key; holds for the next request. `owner` as in [`Identity::rotate_key`]. Idempotent.
    pub async fn revoke_key(
        &self,
        mount: &MountName,
        owner: Option<&AccountId>,
        id: &KeyId,
        by: &Actor,
    ) -> Result<ApiKey, IdentityError> {
        unimplemented!()
    }

    /// The state of the key's own hourly limit, charging nothing; `None` when it has none.
    pub async fn key_allowance(
        &self,
        key: &ApiKey,
    ) -> Result<Option<crate::pipeline::Toll>, IdentityError> {
        unimplemented!()
    }

    // --- operator ---------------------------------------------------------------------------------------------

    /// Accounts of a realm, oldest first, `after` an id, at most `limit`.
    pub async fn accounts(
        &self,
        realm: Option<&RealmName>,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<Account>, IdentityError> {
        unimplemented!()
    }

    /// Finds an account by id, login name or e-mail.
    pub async fn find_account(
        &self,
        realm: &RealmName,
        text: &str,
    ) -> Result<Account, IdentityError> {
        unimplemented!()
    }

    /// Enables or disables; disabling ends sessions and silences keys at once.
    pub async fn set_enabled(
        &self,
        realm: &RealmName,
        id: &AccountId,
        enabled: bool,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        unimplemented!()
    }

    /// Sets roles; ends all sessions of the account.
    pub async fn set_roles(
        &self,
        realm: &RealmName,
        id: &AccountId,
        roles: Vec<String>,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        unimplemented!()
    }

    /// Sets a password without knowing the current one; ends all sessions, lifts a lock.
    pub async fn set_password(
        &self,
        realm: &RealmName,
        id: &AccountId,
        new: &SecretString,
        policy: PasswordPolicy,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        unimplemented!()
    }

    /// Imports accounts with Argon2id or bcrypt hashes: all or nothing; every refused line is reported.
    pub async fn import(
        &self,
        realm: &RealmName,
        lines: &str,
        by: &Actor,
    ) -> Result<ImportReport, IdentityError> {
        unimplemented!()
    }

    /// All keys of a mount or of all mounts.
    pub async fn keys(
        &self,
        mount: Option<&MountName>,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, IdentityError> {
        unimplemented!()
    }

    /// Live sessions.
    pub async fn sessions(
        &self,
        realm: Option<&RealmName>,
        account: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<Session>, IdentityError> {
        unimplemented!()
    }

    /// Ends one session and everything issued in it.
    pub async fn end_session(&self, id: &SessionId, by: &Actor) -> Result<(), IdentityError> {
        unimplemented!()
    }

    /// Makes a new signing key for a mount; the old ones go on verifying until their tokens have expired.
    /// The caller must rebuild the edge's snapshot afterwards.
    pub async fn rotate_signing_key(
        &self,
        mount: &MountName,
        by: &Actor,
    ) -> Result<String, IdentityError> {
        unimplemented!()
    }

    /// Records an event seen elsewhere (refusals counted by the edge).
    pub async fn record(&self, event: AuditEvent) -> Result<(), IdentityError> {
        unimplemented!()
    }

    /// Newest audit events first.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, IdentityError> {
        unimplemented!()
    }

    /// Whether the store answers.
    pub async fn healthy(&self) -> bool {
        unimplemented!()
    }

    /// Copies the store to a file while running.
    pub async fn backup(&self, to: &std::path::Path) -> Result<(), IdentityError> {
        unimplemented!()
    }

    /// Writes batched key usage; called by a timer and at stop.
    pub async fn flush_usage(&self) -> Result<(), IdentityError> {
        unimplemented!()
    }

    /// Removes what has expired (sessions, revocations, codes); called by a timer.
    pub async fn sweep(&self) -> Result<(), IdentityError> {
        unimplemented!()
    }

    /// Gauges for metrics: hashes running and waiting, tracked revocations.
    pub fn gauges(&self) -> Gauges {
        unimplemented!()
    }
}
