//! tmws: JWT and `X-API-Key` under `/api/v1`. The endpoint list and the pure face; what the contract fixes is in
//! `defaults` and `policy`, bodies in `wire`, handlers in `routes`. No rule of its own.

mod defaults;
mod policy;
pub mod routes;
pub mod wire;

use super::{Defaults, Dialect, Endpoint, health};
use crate::pipeline::{CredentialKind, Deny, Face, Reply, ReplyFacts};

/// The contract.
#[derive(Debug)]
pub struct Tmws;

impl Face for Tmws {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        wire::Refusal::from(deny).render(facts)
    }
}

impl Dialect for Tmws {
    fn name(&self) -> &'static str {
        "tmws"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        ENDPOINTS
    }

    fn defaults(&self) -> Defaults {
        defaults::defaults()
    }

    fn health(&self, facts: &health::HealthFacts) -> health::Members {
        wire::health(facts)
    }
}

/// A login token only; a key manages no keys, users or sessions.
const TOKEN: &[CredentialKind] = &[CredentialKind::Jwt];
/// A key only: its own facts.
const KEY: &[CredentialKind] = &[CredentialKind::ApiKey];
/// Both; `Authorization` is judged first (contract, "Both headers sent").
const EITHER: &[CredentialKind] = &[CredentialKind::Jwt, CredentialKind::ApiKey];

/// Every endpoint of the contract. `routes::router` serves exactly these; a test holds the two together.
static ENDPOINTS: &[Endpoint] = &[
    Endpoint::public("POST", "/api/v1/auth/login").hashing(),
    Endpoint::public("POST", "/api/v1/auth/refresh"),
    Endpoint::protected("POST", "/api/v1/auth/logout", TOKEN, false),
    Endpoint::protected("POST", "/api/v1/auth/api-keys", TOKEN, true),
    Endpoint::protected("GET", "/api/v1/auth/api-keys", TOKEN, true),
    // The key's own facts: its scopes may be anything, so the table is not asked.
    Endpoint::protected("GET", "/api/v1/auth/api-keys/current", KEY, false),
    Endpoint::protected("POST", "/api/v1/auth/api-keys/{key_id}/rotate", TOKEN, true),
    Endpoint::protected("DELETE", "/api/v1/auth/api-keys/{key_id}", TOKEN, true),
    Endpoint::protected("POST", "/api/v1/users", TOKEN, true),
    // Everyone may change the own password; the handler refuses anybody else's.
    Endpoint::protected("PUT", "/api/v1/users/me/password", TOKEN, false),
    Endpoint::protected("PUT", "/api/v1/users/{id}/password", TOKEN, false),
    Endpoint::protected("GET", "/api/v1/auth/me", EITHER, false),
    Endpoint::protected("GET", "/api/v1/users/me", EITHER, false),
    Endpoint::health("/health"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::Exposure;

    #[test]
    fn only_login_refresh_and_health_are_public() {
        let public: Vec<_> = ENDPOINTS
            .iter()
            .filter(|e| matches!(e.exposure, Exposure::Public))
            .map(|e| e.path)
            .collect();
        assert_eq!(public, ["/api/v1/auth/login", "/api/v1/auth/refresh", "/health"]);
    }
}
