//! hh: OAuth through hh.ru, exchange codes, sessions, and an administrator by HTTP Basic. The endpoint list and the pure
//! face; what the contract fixes is in `defaults`, bodies in `wire`, handlers in `routes`. No rule of its own.

mod defaults;
pub mod routes;
pub mod wire;

use super::{Defaults, Dialect, Endpoint, Exposure, OAuthDefaults};
use crate::pipeline::{Deny, Face, Reply, ReplyFacts};

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
}

/// Every endpoint of the contract. `routes::router` serves exactly these; a test holds the two together.
static ENDPOINTS: &[Endpoint] = &[
    public("GET", "/auth/login"),
    public("GET", "/auth/callback"),
    public("POST", "/auth/exchange"),
    // The session stands in the body or in the query: the handler reads it.
    public("POST", "/auth/token"),
    public("POST", "/auth/refresh"),
    public("POST", "/auth/logout"),
    public("GET", "/users/me"),
    admin("POST", "/admin/users/allow"),
    admin("GET", "/admin/users"),
    admin("DELETE", "/admin/users/{hh_user_id}"),
    admin("GET", "/admin/sessions"),
    Endpoint {
        method: "DELETE",
        path: "/admin/sessions/{id}",
        exposure: Exposure::Administrator { secret_path: true },
    },
    admin("GET", "/admin/audit-log"),
    admin("GET", "/admin/statistics"),
    // The names of the original's code.
    admin("POST", "/admin/whitelist"),
    admin("GET", "/admin/whitelist"),
    admin("DELETE", "/admin/whitelist/{hh_user_id}"),
    public("GET", "/health"),
    public("GET", "/ping"),
];

const fn public(method: &'static str, path: &'static str) -> Endpoint {
    Endpoint { method, path, exposure: Exposure::Public }
}

const fn admin(method: &'static str, path: &'static str) -> Endpoint {
    Endpoint { method, path, exposure: Exposure::Administrator { secret_path: false } }
}
