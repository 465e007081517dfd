//! Routes, and the table that finds the one route of a request.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method};

use super::{Authn, Authz, Limit, Mount, ProofRule, deny::Deny, shadow::Shadow};
use crate::model::Issuer;

mod build;
mod table;
mod tree;

pub use build::{RouteConflict, RouteError, RouteTableBuilder};
pub use table::RouteTable;

/// Where a permitted request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A named upstream of the configuration; the edge holds its pool under the same name.
    Upstream(Arc<str>),
    /// The identity plane, over the private socket.
    Identity,
}

/// Which form of a trailing slash the upstream wants. `/x` and `/x/` match alike whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TrailingSlash {
    /// As the client sent it.
    #[default]
    Keep,
    /// Always with.
    Add,
    /// Never (but `/` stays, and so does an empty last segment, `//`).
    Strip,
}

/// Path forms that are refused unless a route opts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PathAllowances {
    /// `%2F`.
    pub encoded_slash: bool,
    /// `;` and `%3B`.
    pub semicolon: bool,
    /// `//` inside the path.
    pub empty_segment: bool,
}

/// Deadlines toward the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP or socket connect.
    pub connect: Duration,
    /// From the request's end to the response header.
    pub first_byte: Duration,
    /// Between two reads or writes of bodies.
    pub between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(30),
            between_bytes: Duration::from_secs(30),
        }
    }
}

/// Headers an operator adds or removes, applied before the gateway's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules {
    /// Removed from the request toward the upstream.
    pub request_remove: Vec<HeaderName>,
    /// Set on the request toward the upstream. Identity and forwarding names are refused at load.
    pub request_set: Vec<(HeaderName, HeaderValue)>,
    /// Removed from the upstream's response.
    pub response_remove: Vec<HeaderName>,
    /// Set on the response.
    pub response_set: Vec<(HeaderName, HeaderValue)>,
}

/// A signed statement about the caller, for one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// `aud`.
    pub audience: Arc<str>,
    /// Its life.
    pub lifetime: Duration,
}

/// One compiled rule: what it matches and everything that follows from a match.
#[derive(Debug)]
pub struct Route {
    /// Name in the configuration, unique; generated routes of a contract are called `mount:METHOD path`.
    pub name: Arc<str>,
    /// The path it was declared with: `/users/{id}`. A label for figures; no request is compared with it.
    pub template: Arc<str>,
    /// The mount it belongs to: error shape, tokens, policy, CORS.
    pub mount: Arc<Mount>,
    /// Where it goes.
    pub target: Target,
    /// Which credentials it takes.
    pub authn: Authn,
    /// What the caller must be allowed.
    pub authz: Authz,
    /// Limits known before authentication, checked first.
    pub early_limits: Vec<Arc<Limit>>,
    /// Limits that need the caller.
    pub late_limits: Vec<Arc<Limit>>,
    /// What is judged beside all this and refuses nothing.
    pub shadow: Option<Box<Shadow>>,
    /// Header rules of the operator.
    pub headers: HeaderRules,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Largest request body in bytes.
    pub body_limit: u64,
    /// Trailing slash toward the upstream.
    pub trailing_slash: TrailingSlash,
    /// Whether `Authorization` and `X-API-Key` go on to the upstream.
    pub forward_credential: bool,
    /// Whether the path may hold a secret: the log shows the template instead.
    pub secret_path: bool,
    /// Whether every answer costs a password hash, so that none is begun where no place is free for that.
    pub hashes: bool,
    /// Path forms it opts into.
    pub allows: PathAllowances,
    /// Whether its upstream is told of the caller under our signature.
    pub assertion: Option<Assertion>,
    /// Marked as streaming: the gap between bytes is an hour, and a WebSocket upgrade is passed on.
    pub streaming: bool,
    /// Which proof it asks for beside a token.
    pub proof: ProofRule,
    /// Whether its proofs must carry a nonce of ours.
    pub proof_nonce: bool,
    /// How long what runs on it may outlive the end of its credential; what ends it before ends it at once.
    pub stream_grace: Duration,
    /// Names of the issuers outside whose callers it takes. None on the endpoints of a contract, which are for accounts of
    /// ours.
    pub issuers: Arc<[Arc<str>]>,
    /// Where a browser without a good session is sent to log in: an address to which its own is added.
    pub login: Option<Arc<str>>,
}

impl Route {
    /// Whether it takes a caller that this issuer vouches for; `None`: we ourselves.
    pub fn takes_issuer(&self, issuer: Option<&Issuer>) -> bool {
        issuer.is_none_or(|issuer| self.issuers.contains(&issuer.name))
    }
}

/// What a route matches, as given to the table's builder. Paths are relative to the mount's prefix.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// `/a/b`, `/a/{id}`, `/a/**`; `**` only as the last segment and also matches `/a` itself.
    pub path: String,
    /// Methods; empty means any. `GET` includes `HEAD`.
    pub methods: Vec<Method>,
    /// Whether the contract owns this path: another method on it is 405 even when a wider route would match.
    pub owned: bool,
    /// What happens where another mount claims the same method and path.
    pub overlap: Overlap,
}

/// What happens where routes of two mounts claim one method and path at one place. Declared by contracts; everything
/// else is a conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// They stand in each other's way.
    #[default]
    None,
    /// This route takes the requests whose query has this parameter, and leaves the rest to the other.
    WhenQuery(&'static str),
    /// Both have it: one answers for all.
    Union,
}

/// One place of a mount: a listener, perhaps hosts, perhaps a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Listener name.
    pub listener: Arc<str>,
    /// Exact host names in lower case, without port; empty means any host.
    pub hosts: Vec<Arc<str>>,
    /// Prefix such as `/v2`, without a trailing slash; empty for the root.
    pub prefix: Arc<str>,
}

/// A route found for a request.
#[derive(Debug)]
pub struct Found<'t> {
    /// The route.
    pub route: &'t Arc<Route>,
    /// Length in bytes of the mount's prefix on the canonical path. [`super::CanonicalPath::behind`] gives what follows:
    /// the route's path.
    pub prefix_len: usize,
    /// Routes of other mounts for which this one answers ([`Overlap::Union`]).
    pub joined: &'t [Arc<Route>],
}

/// No route: why, and whose error shape tells it. `mount` is `None` only where nothing listens for this host.
#[derive(Debug)]
pub struct Missed<'t> {
    /// `NoRoute`, `MethodNotAllowed`, or `Malformed` for a path form that the matched route does not take.
    pub deny: Deny,
    /// The mount that has the path, else the default mount of the place.
    pub mount: Option<&'t Arc<Mount>>,
}

#[cfg(test)]
mod tests;
