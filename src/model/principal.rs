//! A proven caller.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{
    AccountId, Agent, Confirmation, KeyId, MountName, RealmName, ScopeSet, SessionId, Timestamp,
    TokenId,
};

/// How the caller was proven. Written to `X-Auth-Method`, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// An access token of one of our mounts.
    Jwt,
    /// An `X-API-Key` with a stored secret.
    ApiKey,
    /// An agent token: a program with capabilities of its own, on behalf of an account.
    Agent,
    /// The secret id of a login session, in the cookie or header that the mount names.
    Session,
    /// A certificate shown in the handshake of the connection.
    ClientCert,
}

impl AuthMethod {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Jwt, Self::ApiKey, Self::Agent, Self::Session, Self::ClientCert];

    /// The wire and label spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            AuthMethod::Jwt => "jwt",
            AuthMethod::ApiKey => "api_key",
            AuthMethod::Agent => "agent",
            AuthMethod::Session => "session",
            AuthMethod::ClientCert => "client_cert",
        }
    }
}

/// An issuer outside that vouches for a caller. Such a caller is no account of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its `iss`.
    pub url: Arc<str>,
    /// How far its clock may be from ours.
    pub leeway: Duration,
}

impl Issuer {
    /// The name under which a caller of this issuer is known here: never that of an account, nor of another issuer's
    /// caller, because no name of an issuer has a bar in it.
    pub fn known_as(&self, subject: &str) -> String {
        format!("{}|{subject}", self.name)
    }
}

/// Who is calling. Built only by the authentication stage, from a verified token or from key evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    /// The account, `sub` of our tokens; of a caller from outside, [`Issuer::known_as`].
    pub subject: AccountId,
    /// Login name, where the account has one.
    pub username: Option<Arc<str>>,
    /// E-mail address, where the account has one.
    pub email: Option<Arc<str>>,
    /// The realm that vouches for the account.
    pub realm: RealmName,
    /// The mount at which the credential was issued; it is valid on no other.
    pub mount: MountName,
    /// Organisation or namespace the account belongs to (`agent_namespace` of tmws).
    pub tenant: Option<Arc<str>>,
    /// How the caller was proven.
    pub method: AuthMethod,
    /// Role names of the account.
    pub roles: Vec<Arc<str>>,
    /// Narrowing of the roles by the credential itself. `None`: the credential narrows nothing (a login token).
    pub scopes: Option<ScopeSet>,
    /// The login session, for callers with a token or the session's own secret.
    pub session: Option<SessionId>,
    /// `jti`, for token callers.
    pub token: Option<TokenId>,
    /// The API key, for key callers.
    pub key: Option<KeyId>,
    /// The agent that acts for the account, for agent callers.
    pub agent: Option<Arc<Agent>>,
    /// Addresses the key may be used from; empty means anywhere.
    pub allowed_ips: Vec<IpNet>,
    /// The key's own limit in requests per hour.
    pub rate_limit_per_hour: Option<u32>,
    /// When the credential ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Who vouches for the caller; `None`: we ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Arc<Issuer>>,
    /// What the credential is bound to, so that it is good only with a proof to own that as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Confirmation>,
}
