//! bearer: the API of FastAPI-Users with its bearer transport and JWT strategy. The endpoint list and the pure face; what the
//! contract fixes is in `defaults`, bodies in `wire`, handlers in `routes`. No rule of its own.

mod defaults;
pub mod routes;
pub mod wire;

use super::{Defaults, Dialect, Endpoint};
use crate::pipeline::{CredentialKind, Deny, Face, Reply, ReplyFacts};

/// The contract.
#[derive(Debug)]
pub struct Bearer;

impl Face for Bearer {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        wire::Refusal::from(deny).render(facts)
    }
}

impl Dialect for Bearer {
    fn name(&self) -> &'static str {
        "bearer"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        ENDPOINTS
    }

    fn defaults(&self) -> Defaults {
        defaults::defaults()
    }
}

/// The contract knows no other credential.
const TOKEN: &[CredentialKind] = &[CredentialKind::Jwt];

/// Every endpoint of the contract. There is no refresh.
static ENDPOINTS: &[Endpoint] = &[
    Endpoint::public("POST", "/auth/jwt/login").hashing(),
    Endpoint::protected("POST", "/auth/jwt/logout", TOKEN, false),
    Endpoint::public("POST", "/auth/register").limited(&["bearer-register"]),
    Endpoint::public("POST", "/auth/forgot-password").limited(&["bearer-mail"]),
    Endpoint::public("POST", "/auth/reset-password").limited(&["bearer-codes"]),
    Endpoint::public("POST", "/auth/request-verify-token").limited(&["bearer-mail"]),
    Endpoint::public("POST", "/auth/verify").limited(&["bearer-codes"]),
    Endpoint::protected("GET", "/users/me", TOKEN, false),
    Endpoint::protected("PATCH", "/users/me", TOKEN, false),
    // A superuser's alone, by the policy table.
    Endpoint::protected("GET", "/users/{id}", TOKEN, true),
    Endpoint::protected("PATCH", "/users/{id}", TOKEN, true),
    Endpoint::protected("DELETE", "/users/{id}", TOKEN, true),
];
