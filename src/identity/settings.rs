//! What identity is told by the configuration. Every value is data of a realm or a mount; contracts give the defaults.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use super::{Administrator, OAuthSettings, StaticKey};
use crate::{
    model::{MountName, RealmName, SecretString},
    pipeline::quota::Window,
};

/// Everything identity needs to know; replaced as a whole on reload.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Realms by name.
    pub realms: Vec<RealmSettings>,
    /// Mounts by name.
    pub mounts: Vec<MountSettings>,
    /// Password hashing.
    pub hashing: HashSettings,
}

/// Accounts and their rules.
#[derive(Clone, Debug)]
pub struct RealmSettings {
    /// Name.
    pub name: RealmName,
    /// Rules.
    pub rules: RealmRules,
}

/// Rules of a realm.
#[derive(Clone, Debug, PartialEq)]
pub struct RealmRules {
    /// Rule for new passwords; never applied at login.
    pub password: PasswordRule,
    /// Lock after failures in a row; `None`: never.
    pub lockout: Option<Lockout>,
    /// Throttle of failed logins.
    pub throttle: LoginThrottle,
    /// Roles that exist.
    pub roles: Vec<Arc<str>>,
    /// Role of a new account.
    pub default_role: Arc<str>,
}

/// What a new password must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRule {
    /// Fewest characters.
    pub min_length: usize,
    /// Most characters; longer ones are refused, never cut.
    pub max_length: usize,
    /// At least one upper-case letter.
    pub upper: bool,
    /// At least one lower-case letter.
    pub lower: bool,
    /// At least one digit.
    pub digit: bool,
    /// At least one of these characters; empty asks for none.
    pub symbols: Arc<str>,
    /// Texts it must not contain, compared without case.
    pub forbidden: Vec<Arc<str>>,
}

/// Locking an account name (known or not) after failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// The failure that locks.
    pub failures: u32,
    /// For how long.
    pub duration: Duration,
}

/// Limits on *failed* logins. Empty lists mean no limit.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LoginThrottle {
    /// Per client address and login name.
    pub per_address_and_name: Vec<Window>,
    /// Per client address.
    pub per_address: Vec<Window>,
}

/// One mount as identity sees it.
#[derive(Clone, Debug)]
pub struct MountSettings {
    /// Name.
    pub name: MountName,
    /// Contract name.
    pub dialect: &'static str,
    /// Whose accounts.
    pub realm: RealmName,
    /// Tokens.
    pub tokens: TokenSettings,
    /// The provider through which people log in, where the contract has one.
    pub oauth: Option<Arc<OAuthSettings>>,
    /// Who may administrate the mount by name and password, where the contract has such a one.
    pub administrator: Option<Administrator>,
    /// Prefix of API keys; `None`: the contract has no keys.
    pub api_key_prefix: Option<Arc<str>>,
    /// API keys of the configuration.
    pub static_keys: Vec<StaticKey>,
    /// Scopes an API key may have; role and policy table narrow them further.
    pub scopes: Vec<Arc<str>>,
    /// Scopes a role may hand to a key: `(role, scopes)`. The creator cannot grant what it has not.
    pub role_scopes: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

/// Token profile and life times of a mount.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// `iss`.
    pub issuer: Arc<str>,
    /// `aud`.
    pub audience: Option<Arc<str>>,
    /// Signing algorithm.
    pub algorithm: Algorithm,
    /// Whether the header carries a `kid`.
    pub key_id_in_header: bool,
    /// Operator-given HS256 secret; `None`: a key is made on first start and kept encrypted in the store.
    pub secret: Option<SecretString>,
    /// Access token life time.
    pub access_lifetime: Duration,
    /// Refresh token life time.
    pub refresh_lifetime: Duration,
    /// Single use (`true`) or reusable.
    pub refresh_rotates: bool,
    /// Grace window for a repeated refresh; zero is strict.
    pub refresh_grace: Duration,
}

/// Password hashing (security requirement 26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSettings {
    /// Argon2id memory in KiB, at least 19456.
    pub memory_kib: u32,
    /// Argon2id passes.
    pub iterations: u32,
    /// Hashes at once.
    pub permits: usize,
    /// Requests that may wait for a permit; further ones are refused at once.
    pub queue: usize,
}

impl Default for HashSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let permits = cores.saturating_sub(1).max(1);
        Self { memory_kib: 19 * 1024, iterations: 2, permits, queue: permits * 4 }
    }
}
