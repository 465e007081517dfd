//! The endpoints of a mount's standard issuer, the same beside every contract: metadata (RFC 8414, RFC 9728), keys, tokens
//! (RFC 6749, RFC 8693), revocation (RFC 7009), introspection (RFC 7662).
//!
//! Their refusals have the standard's shape, whatever the contract's is.

pub mod routes;
pub mod wire;

use super::{Endpoint, Exposure, Limits, Served};

/// Where the issuer describes itself. Stands at the root of the host, with the issuer's path behind it.
pub static METADATA: Endpoint = open("/.well-known/oauth-authorization-server");

/// Where the mount's routes are described as a protected resource. At the root of the host too.
pub static RESOURCE: Endpoint = open("/.well-known/oauth-protected-resource");

/// Where the issuer's public keys are.
pub const KEYS: &str = "/oauth/jwks";
/// Where people log in to clients.
pub const AUTHORIZE: &str = "/oauth/authorize";
/// Where tokens are given.
pub const TOKEN: &str = "/oauth/token";
/// Where they are ended.
pub const REVOKE: &str = "/oauth/revoke";
/// Where services ask what they are worth.
pub const INTROSPECT: &str = "/oauth/introspect";

/// Everything else, relative to the mount's prefix.
pub static ENDPOINTS: [Endpoint; 6] = [
    open(KEYS),
    Endpoint::public("GET", AUTHORIZE),
    Endpoint::public("POST", AUTHORIZE).hashing(),
    Endpoint::client("POST", TOKEN),
    Endpoint::client("POST", REVOKE),
    Endpoint::client("POST", INTROSPECT),
];

/// Whether an endpoint is for people who log in to a client.
pub fn is_login(endpoint: &Endpoint) -> bool {
    endpoint.path == AUTHORIZE
}

/// Whether an endpoint gives tokens to clients, which may bring a proof for them (RFC 9449 section 5).
pub fn gives_tokens(endpoint: &Endpoint) -> bool {
    endpoint.path == TOKEN && matches!(endpoint.exposure, Exposure::Client)
}

/// Where the description of a protected resource is: between the host and the path of its address (RFC 9728 section 3).
pub fn resource_metadata(resource: &str) -> String {
    let behind = resource.find("://").map_or(0, |at| at + 3);
    let path = resource.get(behind..).and_then(|rest| rest.find('/')).map(|at| behind + at);
    let (origin, path) = resource.split_at(path.unwrap_or(resource.len()));
    format!("{origin}{}{}", RESOURCE.path, path.trim_end_matches('/'))
}

const fn open(path: &'static str) -> Endpoint {
    let endpoint = Endpoint::public("GET", path);
    Endpoint { served: Served::Keys, limits: Limits::Own(&[]), ..endpoint }
}

impl Endpoint {
    /// Clients of the standard issuer may reach it: identity looks at what they bring to prove who they are.
    pub(super) const fn client(method: &'static str, path: &'static str) -> Self {
        Self { exposure: Exposure::Client, ..Self::public(method, path) }
    }

    /// Browsers may reach it, with the cookies they have.
    pub(super) const fn browser(method: &'static str, path: &'static str) -> Self {
        Self { exposure: Exposure::Browser, ..Self::public(method, path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_described_between_its_host_and_its_path() {
        for (resource, expected) in [
            ("https://a.example", "https://a.example/.well-known/oauth-protected-resource"),
            (
                "https://a.example:8443/x/y",
                "https://a.example:8443/.well-known/oauth-protected-resource/x/y",
            ),
        ] {
            assert_eq!(resource_metadata(resource), expected);
        }
    }
}
