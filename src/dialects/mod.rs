//! Wire contracts: translators over `identity`. A dialect maps paths, field names and error shapes; it owns no state
//! and no security rule.

pub mod archon;
pub mod bearer;
pub mod cookies;
pub mod detail_body;
mod endpoint;
pub mod exchange;
pub mod fields;
pub mod health;
pub mod hh;
mod html;
pub mod inkpass;
pub mod oauth;
pub mod oidc;
pub mod problem;
pub mod refusal;
mod table;
pub mod tmws;

use std::sync::Arc;

pub use self::endpoint::{Defaults, Endpoint, Exposure, JWKS, Limits, OAuthDefaults, Served};
pub use crate::pipeline::route::Overlap;
use crate::{identity::Identity, model::MountName, pipeline::Face};

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

    /// The members its clients look for in the public health object, for contracts that have an endpoint
    /// [`Served::Health`].
    fn health(&self, facts: &health::HealthFacts) -> health::Members {
        vec![("status", facts.word().into())]
    }
}

/// What a mount's routes are to clients that come with tokens (RFC 9728).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceFacts {
    /// `resource`.
    pub resource: Arc<str>,
    /// Issuers whose tokens are taken.
    pub authorization_servers: Vec<Arc<str>>,
    /// Scopes that may be asked for.
    pub scopes: Vec<Arc<str>>,
    /// Name for people.
    pub name: Option<Arc<str>>,
    /// Address of a page for developers.
    pub documentation: Option<Arc<str>>,
}

/// What every handler of one mount holds. Requests carry [`crate::model::hop::HopContext`] as an extension.
#[derive(Clone)]
pub struct App {
    /// Accounts, sessions, tokens, keys.
    pub identity: Identity,
    /// Which mount.
    pub mount: MountName,
    /// Whether cookies travel over https only.
    pub secure_cookies: bool,
    /// Writes the public figures of a mount.
    pub figures: Arc<dyn Fn(&MountName) -> String + Send + Sync>,
}

/// A contract with its HTTP side.
pub struct Registered {
    /// Pure side.
    pub dialect: &'static dyn Dialect,
    /// Builds the axum router of one mount; see [`exchange::complete`].
    pub router: fn(App) -> axum::Router,
}

/// Every contract this binary speaks.
pub static ALL: &[Registered] = &[
    Registered { dialect: &tmws::Tmws, router: tmws::routes::router },
    Registered { dialect: &bearer::Bearer, router: bearer::routes::router },
    Registered { dialect: &inkpass::Inkpass, router: inkpass::routes::router },
    Registered { dialect: &archon::Archon, router: archon::routes::router },
    Registered { dialect: &hh::Hh, router: hh::routes::router },
];

/// Finds a contract by its name in the configuration.
pub fn find(name: &str) -> Option<&'static Registered> {
    ALL.iter().find(|entry| entry.dialect.name() == name)
}

#[cfg(test)]
mod tests;
