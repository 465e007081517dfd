//! archon: enveloped login, sessions, agents with capabilities, webhooks. The endpoint list and the pure face; what the
//! contract fixes is in `defaults`, the two casings in `casing`, bodies in `wire`, the wording of webhooks in `herald`,
//! handlers in `routes`. No rule of its own.

mod casing;
mod defaults;
mod herald;
pub mod routes;
pub mod wire;

use super::{Defaults, Dialect, Endpoint, health};
use crate::pipeline::{CredentialKind, Deny, Face, Reply, ReplyFacts};

/// The contract.
#[derive(Debug)]
pub struct Archon;

impl Face for Archon {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        wire::Refusal::from(deny).render(facts)
    }
}

impl Dialect for Archon {
    fn name(&self) -> &'static str {
        "archon"
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

const LOGIN: &[&str] = &["archon-login"];
const REGISTER: &[&str] = &["archon-register"];
const RESET: &[&str] = &["archon-password-reset"];
const PUBLIC: &[&str] = &["archon-public"];
const AGENT: &[&str] = &["archon-agent"];
const ADMIN: &[&str] = &["archon-admin"];
const HEALTH: &[&str] = &["archon-health"];

/// A login token only: an agent's or a refresh token is none.
const TOKEN: &[CredentialKind] = &[CredentialKind::Jwt];
/// The key alone suffices where an agent is made; both SDKs send it beside the token, which is judged first.
const EITHER: &[CredentialKind] = &[CredentialKind::Jwt, CredentialKind::ApiKey];

/// Every endpoint of the contract. `routes::router` serves exactly these.
static ENDPOINTS: &[Endpoint] = &[
    Endpoint::public("POST", "/auth/login").limited(LOGIN).hashing(),
    Endpoint::public("POST", "/auth/register").limited(REGISTER),
    Endpoint::public("POST", "/auth/refresh").limited(PUBLIC),
    own("POST", "/auth/logout"),
    Endpoint::protected("POST", "/auth/agents/authenticate", EITHER, false).limited(AGENT),
    Endpoint::public("POST", "/auth/agents/validate").limited(PUBLIC),
    Endpoint::public("POST", "/auth/verify-email").limited(PUBLIC),
    Endpoint::public("POST", "/auth/resend-verification").limited(PUBLIC),
    Endpoint::public("POST", "/auth/password-reset").limited(RESET),
    Endpoint::public("POST", "/auth/password-reset/confirm").limited(PUBLIC),
    own("GET", "/users/me"),
    own("PUT", "/users/me"),
    own("PUT", "/users/me/password"),
    own("GET", "/users/me/sessions"),
    own("DELETE", "/users/me/sessions"),
    own("DELETE", "/users/me/sessions/{session_id}"),
    admin("GET", "/admin/users"),
    admin("GET", "/admin/users/{user_id}"),
    admin("PUT", "/admin/users/{user_id}"),
    admin("DELETE", "/admin/users/{user_id}"),
    admin("POST", "/webhooks"),
    admin("GET", "/webhooks"),
    admin("GET", "/webhooks/{webhook_id}"),
    admin("PUT", "/webhooks/{webhook_id}"),
    admin("DELETE", "/webhooks/{webhook_id}"),
    admin("POST", "/webhooks/{webhook_id}/test"),
    admin("GET", "/webhooks/{webhook_id}/deliveries"),
    admin("POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"),
    Endpoint::health("/health").limited(HEALTH),
];

/// The caller's own things.
const fn own(method: &'static str, path: &'static str) -> Endpoint {
    Endpoint::protected(method, path, TOKEN, false)
}

/// The policy table says who.
const fn admin(method: &'static str, path: &'static str) -> Endpoint {
    Endpoint::protected(method, path, TOKEN, true).limited(ADMIN)
}
