//! Principal and route to [`Permit`]: the only place one is made.

use std::sync::Arc;

use super::{deny::Deny, route::Route, view::RequestView};
use crate::model::Principal;

/// What a route asks of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authz {
    /// Nothing beyond `authn` (public routes; endpoints of the contract whose handler looks at the object).
    Authenticated,
    /// The mount's policy table decides.
    Policy,
    /// The route's own rule.
    Rule(RouteRule),
}

/// `authz = { scopes = { GET = "READ", "*" = "WRITE" }, roles = ["ADMIN"], match = "all" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRule {
    /// Method to scope; `None` is `*`. A method without an entry is refused when the list is not empty.
    pub scopes: Vec<(Option<http::Method>, Arc<str>)>,
    /// Roles, of which one is enough; empty asks for none.
    pub roles: Vec<Arc<str>>,
    /// Whether scopes *and* roles must fit (`all`, the default) or one of them (`any`).
    pub all: bool,
}

/// Proof that this caller may use this route. Only [`Authz::authorize`] makes one.
#[derive(Clone, Debug)]
pub struct Permit {
    principal: Option<Arc<Principal>>,
    route: Arc<Route>,
}

impl Permit {
    /// The caller; `None` on a public route.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.principal.as_ref()
    }

    /// The route that was permitted.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }
}

/// Decides whether `who` may use `route` for this request. `path` is the path behind the mount's prefix.
pub fn authorize(
    route: &Arc<Route>,
    who: Option<Arc<Principal>>,
    view: &RequestView<'_>,
    path: &str,
) -> Result<Permit, Deny> {
    let _ = (route, &who, view, path);
    unimplemented!()
}
