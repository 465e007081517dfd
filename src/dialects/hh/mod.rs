//! hh: OAuth through hh.ru, exchange codes, sessions, and an administrator by HTTP Basic. The endpoint list and the pure
//! face; what the contract fixes is in `defaults`, bodies in `wire`, handlers in `routes`. No rule of its own.

mod defaults;
pub mod routes;
pub mod wire;

use super::{Defaults, Dialect, Endpoint, OAuthDefaults, health};
use crate::pipeline::{CredentialKind, Deny, Face, Reply, ReplyFacts};

/// The contract.
#[derive(Debug)]
pub struct Hh;

impl Face for Hh {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        wire::Refusal::from(deny).render(facts)
    }
}

impl Dialect for Hh {
    fn name(&self) -> &'static str {
        "hh"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        ENDPOINTS
    }

    fn oauth(&self) -> Option<OAuthDefaults> {
        Some(defaults::oauth())
    }

    fn defaults(&self) -> Defaults {
        defaults::defaults()
    }

    fn health(&self, facts: &health::HealthFacts) -> health::Members {
        wire::health(facts)
    }
}

/// Where a session is taken out of the mount's cookie or header only.
static ME: Endpoint = Endpoint::protected("GET", "/users/me", &[CredentialKind::Session], false);

/// Every endpoint of the contract. `routes::router` serves exactly these; a test holds the two together.
static ENDPOINTS: &[Endpoint] = &[
    Endpoint::public("GET", "/auth/login"),
    Endpoint::public("GET", "/auth/callback"),
    Endpoint::public("POST", "/auth/exchange"),
    // The session stands in the body or in the query: the handler reads it.
    Endpoint::public("POST", "/auth/token"),
    Endpoint::public("POST", "/auth/refresh"),
    Endpoint::public("POST", "/auth/logout"),
    Endpoint::public("GET", "/users/me").when_query("session_id").with_strict(&ME),
    Endpoint::administrator("POST", "/admin/users/allow"),
    Endpoint::administrator("GET", "/admin/users"),
    Endpoint::administrator("DELETE", "/admin/users/{hh_user_id}"),
    Endpoint::administrator("GET", "/admin/sessions"),
    // The session may be named by its own secret.
    Endpoint::secret_path("DELETE", "/admin/sessions/{id}"),
    Endpoint::administrator("GET", "/admin/audit-log"),
    Endpoint::administrator("GET", "/admin/statistics"),
    // The names of the original's code.
    Endpoint::administrator("POST", "/admin/whitelist"),
    Endpoint::administrator("GET", "/admin/whitelist"),
    Endpoint::administrator("DELETE", "/admin/whitelist/{hh_user_id}"),
    Endpoint::public("GET", "/ping"),
    Endpoint::health("/health"),
    Endpoint::metrics("/metrics").exempt(),
];
