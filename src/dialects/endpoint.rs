//! What a contract says about its endpoints and its mounts, as data: who may reach what, under which limits, who answers,
//! and where two contracts may claim one path.

use std::time::Duration;

use crate::{
    identity::settings,
    model::api_key::KeyFormat,
    pipeline::{CredentialKind, Limit, Policy, RateHeaders, route::Overlap},
};

/// One endpoint, declared once.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Method; `GET` includes `HEAD`.
    pub method: &'static str,
    /// Path relative to the mount's prefix: `/api/v1/auth/api-keys/{key_id}`.
    pub path: &'static str,
    /// Who may reach it.
    pub exposure: Exposure,
    /// Which limits hold.
    pub limits: Limits,
    /// Who answers.
    pub served: Served,
    /// What happens where another contract claims the same method and path at the same place.
    pub overlap: Overlap,
    /// Whether every answer costs a password hash.
    pub hashes: bool,
    /// The same without a secret in the query, for mounts whose operator wants none there.
    pub strict: Option<&'static Endpoint>,
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
    /// A client of the mount's standard issuer, by what it brings in a field or in the body. Identity looks at it.
    Client,
    /// A browser with whatever cookies it has. Identity looks at them.
    Browser,
    /// The mount's administrator, by HTTP Basic. Identity looks at it, so the field goes on to it.
    Administrator {
        /// Whether the path may hold a secret, so that the log shows its pattern instead.
        secret_path: bool,
    },
}

/// Which limits hold on an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// Those of the mount.
    General,
    /// These and no others, by their names in [`Defaults::limits`]; none at all exempts the endpoint.
    Own(&'static [&'static str]),
}

/// Who answers an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// A handler of the contract.
    Handler,
    /// The one object that satisfies every contract of the place: see [`super::Dialect::health`].
    Health,
    /// The mount's two public metric families.
    Metrics,
    /// The mount's public keys.
    Keys,
}

/// Where mounts that sign with a private key publish the public one (RFC 7517). Such a mount has this endpoint whatever its
/// contract; one with a shared secret has nothing to publish.
pub static JWKS: Endpoint = Endpoint {
    served: Served::Keys,
    limits: Limits::Own(&[]),
    ..Endpoint::public("GET", "/.well-known/jwks.json")
};

impl Endpoint {
    /// Anyone may reach it.
    pub const fn public(method: &'static str, path: &'static str) -> Self {
        Self::new(method, path, Exposure::Public)
    }

    /// Proven callers may reach it.
    pub const fn protected(
        method: &'static str,
        path: &'static str,
        authn: &'static [CredentialKind],
        policy: bool,
    ) -> Self {
        Self::new(method, path, Exposure::Protected { authn, policy })
    }

    /// The mount's administrator may reach it.
    pub const fn administrator(method: &'static str, path: &'static str) -> Self {
        Self::new(method, path, Exposure::Administrator { secret_path: false })
    }

    /// As [`Endpoint::administrator`], where the path may hold a secret.
    pub const fn secret_path(method: &'static str, path: &'static str) -> Self {
        Self::new(method, path, Exposure::Administrator { secret_path: true })
    }

    /// `GET /health`: one union object where several contracts have it. Under no limit, because the callers of one contract
    /// must not use up what the monitoring of another needs.
    pub const fn health(path: &'static str) -> Self {
        let endpoint = Self::public("GET", path).exempt();
        Self { served: Served::Health, overlap: Overlap::Union, ..endpoint }
    }

    /// `GET /metrics` of the mount.
    pub const fn metrics(path: &'static str) -> Self {
        Self { served: Served::Metrics, ..Self::public("GET", path) }
    }

    /// Under these limits instead of the mount's.
    #[must_use]
    pub const fn limited(self, limits: &'static [&'static str]) -> Self {
        Self { limits: Limits::Own(limits), ..self }
    }

    /// Under no limit at all.
    #[must_use]
    pub const fn exempt(self) -> Self {
        self.limited(&[])
    }

    /// A password is hashed for every answer: where no place is free for that, the edge refuses at once.
    #[must_use]
    pub const fn hashing(self) -> Self {
        Self { hashes: true, ..self }
    }

    /// Where another contract claims the same: this one answers when the query has this parameter, else the other.
    #[must_use]
    pub const fn when_query(self, parameter: &'static str) -> Self {
        Self { overlap: Overlap::WhenQuery(parameter), ..self }
    }

    /// It takes a secret in the query; `strict` stands in its place where the operator wants none there.
    #[must_use]
    pub const fn with_strict(self, strict: &'static Endpoint) -> Self {
        Self { strict: Some(strict), ..self }
    }

    const fn new(method: &'static str, path: &'static str, exposure: Exposure) -> Self {
        let (limits, served) = (Limits::General, Served::Handler);
        let overlap = Overlap::None;
        Self { method, path, exposure, limits, served, overlap, hashes: false, strict: None }
    }
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
    /// Whether endpoints take a session out of the query.
    pub session_in_query: bool,
}

/// What a contract fixes for its mounts.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Token profile and life times.
    pub tokens: settings::TokenSettings,
    /// One-time codes that are sent to people.
    pub codes: settings::CodeSettings,
    /// How API keys look; `None`: there are none.
    pub api_key_format: Option<KeyFormat>,
    /// Agents, in contracts that have them.
    pub agents: Option<settings::AgentSettings>,
    /// Webhooks, in contracts that have them.
    pub webhooks: Option<settings::WebhookSettings>,
    /// Password, lockout, throttle and role rules of a realm that speaks this contract first.
    pub realm: settings::RealmRules,
    /// Authorization table.
    pub policy: Policy,
    /// Every limit the contract brings, by names that no other contract uses. The operator may change their windows.
    pub limits: Vec<Limit>,
    /// Names of those limits that every route of the mount gets unless it names its own.
    pub general_limits: &'static [&'static str],
    /// Rate-limit headers.
    pub rate_headers: RateHeaders,
    /// Largest body of the contract's own endpoints, in bytes.
    pub body_limit: u64,
    /// Deadline of the contract's own endpoints.
    pub timeout: Duration,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::dialects::ALL;

    #[test]
    fn no_contract_declares_an_endpoint_twice() {
        for contract in ALL {
            let mut seen = BTreeSet::new();
            for endpoint in contract.dialect.endpoints() {
                let is_new = seen.insert((endpoint.method, endpoint.path));
                assert!(
                    is_new,
                    "{}: {} {}",
                    contract.dialect.name(),
                    endpoint.method,
                    endpoint.path
                );
            }
        }
    }

    #[test]
    fn every_limit_that_is_named_is_brought_and_no_two_contracts_share_a_name() {
        let mut all = BTreeSet::new();
        for contract in ALL {
            let (name, defaults) = (contract.dialect.name(), contract.dialect.defaults());
            let brought: Vec<&str> = defaults.limits.iter().map(|limit| &*limit.name).collect();
            let named = contract.dialect.endpoints().iter().flat_map(|found| match found.limits {
                Limits::Own(names) => names,
                Limits::General => &[],
            });
            for limit in named.chain(defaults.general_limits) {
                assert!(brought.contains(limit), "{name} names {limit} and does not bring it");
            }
            for limit in defaults.limits {
                assert!(all.insert(limit.name.clone()), "{name}: {} is taken", limit.name);
            }
        }
    }

    #[test]
    fn what_the_gateway_answers_for_a_contract_is_open_to_everybody() {
        for contract in ALL {
            for endpoint in contract.dialect.endpoints() {
                let shared = endpoint.served != Served::Handler;
                let open = matches!(endpoint.exposure, Exposure::Public);
                assert!(!shared || open && endpoint.method == "GET", "{}", endpoint.path);
            }
        }
    }
}
