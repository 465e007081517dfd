//! Wire contracts: translators over `identity`. A dialect maps paths, field names and error shapes; it owns no state
//! and no security rule.

pub mod exchange;
pub mod fields;
pub mod problem;
pub mod refusal;
pub mod tmws;

use std::time::Duration;

use crate::{
    identity::{Identity, settings},
    model::MountName,
    pipeline::{CredentialKind, Face, Limit, Policy, RateHeaders},
};

/// The pure side of a contract.
pub trait Dialect: Face {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// Every endpoint it serves itself. The edge exposes exactly these; they become routes of each of its mounts.
    fn endpoints(&self) -> &'static [Endpoint];

    /// How its people log in, where that is through a provider.
    fn oauth(&self) -> Option<OAuthDefaults> {
        None
    }

    /// What the contract fixes, as defaults that the configuration may override.
    fn defaults(&self) -> Defaults;
}

/// One endpoint, declared once.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Method; `GET` includes `HEAD`.
    pub method: &'static str,
    /// Path relative to the mount's prefix: `/api/v1/auth/api-keys/{key_id}`.
    pub path: &'static str,
    /// Who may reach it.
    pub exposure: Exposure,
}

/// Who may reach an endpoint.
#[derive(Clone, Debug)]
pub enum Exposure {
    /// Anyone; no credential is read.
    Public,
    /// A caller proven by one of these kinds. `policy`: the policy table must also grant the action on the path.
    Protected {
        /// Kinds in order.
        authn: &'static [CredentialKind],
        /// Whether the policy table is asked.
        policy: bool,
    },
    /// The mount's administrator, by HTTP Basic. Identity looks at it, so the field goes on to it.
    Administrator {
        /// Whether the path may hold a secret, so that the log shows its pattern instead.
        secret_path: bool,
    },
}

/// What a contract fixes for logins through a provider.
#[derive(Clone, Debug)]
pub struct OAuthDefaults {
    /// Name of the provider.
    pub provider: &'static str,
    /// Where browsers are sent.
    pub authorize_url: &'static str,
    /// Where codes and refresh tokens are traded.
    pub token_url: &'static str,
    /// What tells who somebody is.
    pub profile_url: &'static str,
    /// `User-Agent` of every call.
    pub user_agent: &'static str,
    /// Whether the provider knows PKCE.
    pub pkce: bool,
    /// Whether it wants to be told who refreshes.
    pub client_at_refresh: bool,
    /// Life of a login's state.
    pub state_lifetime: Duration,
    /// Life of an exchange code.
    pub code_lifetime: Duration,
    /// Life of a session.
    pub session_lifetime: Duration,
}

/// What a contract fixes for its mounts.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Token profile and life times.
    pub tokens: settings::TokenSettings,
    /// Prefix of API keys.
    pub api_key_prefix: Option<&'static str>,
    /// Password, lockout, throttle and role rules of a realm that speaks this contract first.
    pub realm: settings::RealmRules,
    /// Authorization table.
    pub policy: Policy,
    /// Limits every route of the mount gets unless it names its own.
    pub limits: Vec<Limit>,
    /// Rate-limit headers.
    pub rate_headers: RateHeaders,
    /// Largest body of the contract's own endpoints, in bytes.
    pub body_limit: u64,
    /// Deadline of the contract's own endpoints.
    pub timeout: Duration,
}

/// A contract with its HTTP side.
pub struct Registered {
    /// Pure side.
    pub dialect: &'static dyn Dialect,
    /// Builds the axum router of one mount. Requests carry [`crate::model::hop::HopContext`] as an extension.
    pub router: fn(Identity, MountName) -> axum::Router,
}

/// Every contract this binary speaks.
pub static ALL: &[Registered] =
    &[Registered { dialect: &tmws::Tmws, router: tmws::routes::router }];

/// Finds a contract by its name in the configuration.
pub fn find(name: &str) -> Option<&'static Registered> {
    ALL.iter().find(|entry| entry.dialect.name() == name)
}
