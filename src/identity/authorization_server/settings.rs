//! What a mount's standard issuer is told by the configuration.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use crate::{
    identity::MountSettings,
    model::{MountName, RealmName},
    pipeline::jwt::{TokenProfile, VerificationKey},
};

/// `typ` of its tokens (RFC 9068 section 2.1).
pub(super) const AT_JWT: &str = "at+jwt";

/// Longest life of an assertion to an upstream, which the same keys sign.
pub const LONGEST_ASSERTION: Duration = Duration::from_secs(300);

/// What a client may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Tokens in which it acts for itself.
    ClientCredentials,
    /// Logins of people.
    AuthorizationCode,
    /// Their renewal.
    RefreshToken,
    /// Narrower tokens for those of others.
    TokenExchange,
    /// To ask what tokens are worth.
    Introspection,
}

/// All of them, as they are spelled in commands and in the store.
pub const GRANTS: [(Grant, &str); 5] = [
    (Grant::ClientCredentials, "client_credentials"),
    (Grant::AuthorizationCode, "authorization_code"),
    (Grant::RefreshToken, "refresh_token"),
    (Grant::TokenExchange, "token_exchange"),
    (Grant::Introspection, "introspection"),
];

impl Grant {
    /// Its spelling.
    pub fn as_str(self) -> &'static str {
        GRANTS.iter().find(|(grant, _)| *grant == self).map_or("", |(_, name)| name)
    }
}

/// The standard issuer of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationServerSettings {
    /// `iss`: the public address. Everything it publishes begins with it.
    pub issuer: Arc<str>,
    /// `aud` of tokens for the mount's own routes.
    pub audience: Arc<str>,
    /// Signing algorithm, never a symmetric one.
    pub algorithm: Algorithm,
    /// Life of access tokens.
    pub access_lifetime: Duration,
    /// Life of a login through a client, its refresh tokens included.
    pub refresh_lifetime: Duration,
    /// How old a signing key becomes; `None`: it is replaced by command only.
    pub rotate_every: Option<Duration>,
    /// How long a new key is published before it signs.
    pub publish_ahead: Duration,
    /// Whether people may log in to clients (the code flow).
    pub login: bool,
    /// Whether tokens are bound to the certificate that a client shows, where it proves no key (RFC 8705 section 3).
    pub bind_certificates: bool,
    /// Scope names and what they include.
    pub includes: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

impl AuthorizationServerSettings {
    /// How long the longest-lived signed token may be out.
    pub fn longest_signed(&self) -> Duration {
        self.access_lifetime.max(LONGEST_ASSERTION)
    }

    /// The public address of one of its places.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.trim_end_matches('/'))
    }

    /// How its tokens are verified at the routes of the mount.
    pub fn profile(&self, mount: &MountSettings, keys: Vec<VerificationKey>) -> TokenProfile {
        self.profile_of(&mount.name, &mount.realm, keys)
    }

    /// The same by names.
    pub fn profile_of(
        &self,
        mount: &MountName,
        realm: &RealmName,
        keys: Vec<VerificationKey>,
    ) -> TokenProfile {
        TokenProfile {
            issuer: self.issuer.clone(),
            audience: Some(self.audience.clone()),
            standard: true,
            token_type: None,
            agent_audience: None,
            tenant_claim: Some("tenant".into()),
            keys,
            // Our own clock makes and checks them.
            leeway: Duration::ZERO,
            mount: mount.clone(),
            realm: realm.clone(),
        }
    }
}
