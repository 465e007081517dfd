//! inkpass: register, login, who am I, permission check, and the administration of organisations. The endpoint list and
//! the pure face; what the contract fixes is in `defaults`, bodies in `wire`, handlers in `routes`. No rule of its own.

mod defaults;
pub mod routes;
pub mod wire;

use super::{Defaults, Dialect, Endpoint, health};
use crate::pipeline::{CredentialKind, Deny, Face, Reply, ReplyFacts};

/// The contract.
#[derive(Debug)]
pub struct Inkpass;

impl Face for Inkpass {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        wire::denied(deny, facts.path).render(facts)
    }
}

impl Dialect for Inkpass {
    fn name(&self) -> &'static str {
        "inkpass"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        ENDPOINTS
    }

    fn defaults(&self) -> Defaults {
        defaults::defaults()
    }

    fn health(&self, facts: &health::HealthFacts) -> health::Members {
        vec![("status", facts.word().into()), ("service", "inkpass".into())]
    }
}

/// A login only: a key administers nothing.
const TOKEN: &[CredentialKind] = &[CredentialKind::Jwt];
/// A key only.
const KEY: &[CredentialKind] = &[CredentialKind::ApiKey];
/// Both; `Authorization` is judged first (contract, "Both present").
const EITHER: &[CredentialKind] = &[CredentialKind::Jwt, CredentialKind::ApiKey];

/// What a person does now and then with the own account, and a program with a stolen token without end.
const OWN: &[&str] = &["inkpass-own"];

/// Every endpoint of the contract. `routes::router` serves exactly these; a test holds the two together. What a caller may
/// do with an organisation's objects identity decides, so the policy table is never asked.
static ENDPOINTS: &[Endpoint] = &[
    Endpoint::public("POST", "/api/v1/auth/register").limited(&["inkpass-register"]),
    // Counted by identity, per address and e-mail.
    Endpoint::public("POST", "/api/v1/auth/login").exempt().hashing(),
    Endpoint::public("POST", "/api/v1/auth/refresh").limited(&["inkpass-refresh"]),
    token("POST", "/api/v1/auth/logout"),
    Endpoint::protected("GET", "/api/v1/auth/me", EITHER, false),
    Endpoint::protected("POST", "/api/v1/auth/check", EITHER, false),
    Endpoint::protected("GET", "/api/v1/auth/api-key/validate", KEY, false),
    Endpoint::public("POST", "/api/v1/auth/verify-email").limited(&["inkpass-verify"]),
    Endpoint::public("POST", "/api/v1/auth/resend-verification").limited(&["inkpass-resend"]),
    Endpoint::public("POST", "/api/v1/auth/forgot-password").limited(&["inkpass-forgot"]),
    Endpoint::public("POST", "/api/v1/auth/reset-password").limited(&["inkpass-reset"]),
    token("PATCH", "/api/v1/auth/profile").limited(OWN),
    token("POST", "/api/v1/auth/2fa/setup").limited(OWN),
    token("POST", "/api/v1/auth/2fa/enable").limited(OWN),
    token("POST", "/api/v1/auth/2fa/verify").limited(OWN),
    token("POST", "/api/v1/auth/2fa/disable").limited(OWN),
    token("POST", "/api/v1/auth/2fa/backup-codes").limited(OWN),
    token("GET", "/api/v1/permissions"),
    token("POST", "/api/v1/permissions"),
    token("POST", "/api/v1/permissions/check"),
    token("PATCH", "/api/v1/permissions/{id}"),
    token("DELETE", "/api/v1/permissions/{id}"),
    token("POST", "/api/v1/permissions/{id}/assign"),
    token("POST", "/api/v1/permissions/{id}/groups"),
    token("GET", "/api/v1/groups"),
    token("POST", "/api/v1/groups"),
    token("PATCH", "/api/v1/groups/{id}"),
    token("DELETE", "/api/v1/groups/{id}"),
    token("POST", "/api/v1/groups/{id}/members/{user_id}"),
    token("DELETE", "/api/v1/groups/{id}/members/{user_id}"),
    token("POST", "/api/v1/groups/{id}/users"),
    token("GET", "/api/v1/api-keys"),
    token("POST", "/api/v1/api-keys"),
    token("PATCH", "/api/v1/api-keys/{id}"),
    token("DELETE", "/api/v1/api-keys/{id}"),
    token("GET", "/api/v1/api-keys/{id}/usage"),
    token("GET", "/api/v1/users"),
    token("POST", "/api/v1/users"),
    token("GET", "/api/v1/users/{id}"),
    token("PATCH", "/api/v1/users/{id}"),
    token("DELETE", "/api/v1/users/{id}"),
    token("GET", "/api/v1/users/{id}/permissions"),
    token("GET", "/api/v1/organizations"),
    token("GET", "/api/v1/organizations/{id}"),
    token("GET", "/api/v1/organizations/{id}/members"),
    Endpoint::health("/health"),
    Endpoint::metrics("/metrics"),
];

const fn token(method: &'static str, path: &'static str) -> Endpoint {
    Endpoint::protected(method, path, TOKEN, false)
}
