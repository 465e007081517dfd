//! Principal and route to [`Permit`]: the only place one is made.

use std::sync::Arc;

use http::Method;

use super::{
    Authn, Policy,
    deny::{Deny, Lack},
    policy::decide::{as_get, forbidden},
    route::Route,
    view::RequestView,
};
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

/// `authz = { scopes = { GET = "READ", "*" = "WRITE" }, roles = ["ADMIN"], match = "all", capabilities = { "*" = "file:read" } }`.
///
/// Agents are judged by `capabilities` alone, everybody else by `scopes` and `roles`; by the mount's policy where the rule
/// names capabilities only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteRule {
    /// Method to scope; `None` is `*`. A method without an entry is refused when the list is not empty.
    pub scopes: Vec<(Option<http::Method>, Arc<str>)>,
    /// Roles, of which one is enough; empty asks for none.
    pub roles: Vec<Arc<str>>,
    /// Whether scopes *and* roles must fit (`all`, the default) or one of them (`any`).
    pub all: bool,
    /// Method to the capability that an agent needs; `None` is `*`. A method without an entry is refused to agents.
    pub capabilities: Vec<(Option<http::Method>, Arc<str>)>,
}

/// Proof that this caller may use this route. Only [`authorize`] makes one.
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
    if route.authn == Authn::Public {
        // A public route reads no credential, so it can ask for nothing.
        return match route.authz {
            Authz::Authenticated => Ok(Permit { principal: None, route: route.clone() }),
            Authz::Policy | Authz::Rule(_) => Err(Deny::MissingCredential),
        };
    }
    let Some(who) = who else { return Err(Deny::MissingCredential) };
    if who.mount != route.mount.name {
        // No credential is valid on two mounts; the authentication stage has made sure, and this holds if it did not.
        return Err(forbidden("access").because(Lack::of("another mount")));
    }
    let policy = &*route.mount.policy;
    match &route.authz {
        Authz::Authenticated => {}
        Authz::Policy => policy.authorize(&who, view.method, path)?,
        Authz::Rule(rule) => rule.judge(policy, &who, view.method, path)?,
    }
    Ok(Permit { principal: Some(who), route: route.clone() })
}

impl RouteRule {
    /// What an agent needs for this method.
    pub fn capability(&self, method: &Method) -> Option<&Arc<str>> {
        entry(&self.capabilities, method)
    }

    /// Whether this caller may do this; the mount's policy decides where the rule says nothing about it.
    pub fn judge(
        &self,
        policy: &Policy,
        who: &Principal,
        method: &Method,
        path: &str,
    ) -> Result<(), Deny> {
        if self.leaves_to_policy(who) {
            return policy.authorize(who, method, path);
        }
        if self.admits(policy, who, method) {
            return Ok(());
        }
        let action = policy.action(method, path).map_or("access", |action| action);
        Err(forbidden(action).because(self.lack(policy, who, method)))
    }

    /// Whether it says nothing about this caller, because it speaks of agents only.
    fn leaves_to_policy(&self, who: &Principal) -> bool {
        let agents_only = self.scopes.is_empty() && self.roles.is_empty();
        agents_only && !self.capabilities.is_empty() && who.agent.is_none()
    }

    /// What a caller lacks whom this rule does not admit.
    fn lack(&self, policy: &Policy, who: &Principal, method: &Method) -> Lack {
        let mut lack = Lack { either: !self.all, ..Lack::of("route rule") };
        if who.agent.is_some() {
            lack.capability = self.capability(method).cloned();
            return lack;
        }
        let scope = entry(&self.scopes, method).filter(|scope| !holds(policy, who, scope));
        if !self.roles.is_empty() && !self.roles.iter().any(|role| who.roles.contains(role)) {
            lack.roles.clone_from(&self.roles);
        }
        // Where both are asked for and the method has no scope, no role is enough.
        let hopeless = self.all && !self.scopes.is_empty() && entry(&self.scopes, method).is_none();
        if hopeless {
            lack.roles.clear();
        }
        lack.scopes.extend(scope.cloned());
        lack
    }

    fn admits(&self, policy: &Policy, who: &Principal, method: &Method) -> bool {
        if let Some(agent) = &who.agent {
            // An agent has what it was granted, and nothing of its account's roles.
            return self.capability(method).is_some_and(|needed| agent.may(needed));
        }
        let scopes = || entry(&self.scopes, method).is_some_and(|scope| holds(policy, who, scope));
        let roles = || self.roles.iter().any(|role| who.roles.contains(role));
        match (self.scopes.is_empty(), self.roles.is_empty()) {
            // A rule that asks for nothing is a mistake, not a permission.
            (true, true) => false,
            (false, true) => scopes(),
            (true, false) => roles(),
            (false, false) if self.all => scopes() && roles(),
            (false, false) => scopes() || roles(),
        }
    }
}

/// What this method needs: its own entry before `*`.
fn entry<'a>(table: &'a [(Option<Method>, Arc<str>)], method: &Method) -> Option<&'a Arc<str>> {
    let method = as_get(method);
    let named = table.iter().find(|(own, _)| own.as_ref() == Some(method));
    let any = || table.iter().find(|(own, _)| own.is_none());
    named.or_else(any).map(|(_, needed)| needed)
}

/// Whether the caller holds a scope: by its credential where that carries scopes, else by its roles. A credential
/// never reaches further than its owner's roles, where the table says what those hold.
fn holds(policy: &Policy, who: &Principal, scope: &str) -> bool {
    match &who.scopes {
        None => policy.roles_hold(&who.roles, scope),
        Some(own) => {
            policy.covers(own.iter(), scope)
                && (policy.role_scopes.is_empty() || policy.roles_hold(&who.roles, scope))
        }
    }
}

#[cfg(test)]
mod tests;
