//! Asking the table. Whatever no row names is refused.

use std::{borrow::Cow, sync::Arc};

use http::Method;

use super::{Policy, ResourceRule, ScopeRule};
use crate::{
    model::{Principal, ScopeSet},
    pipeline::deny::{Deny, Lack},
};

impl Policy {
    /// What a request would do, in the table's words; `HEAD` is `GET`. `None`: no rule names it.
    pub fn action(&self, method: &Method, path: &str) -> Option<&Arc<str>> {
        let method = as_get(method);
        self.actions
            .iter()
            .find(|rule| {
                (rule.methods.is_empty() || rule.methods.contains(method))
                    && rule.path.as_ref().is_none_or(|pattern| pattern.matches(path))
            })
            .map(|rule| &rule.action)
    }

    /// Whether the roles grant the request's action on its resource, and the credential's scopes, if it has any, reach.
    pub fn authorize(&self, who: &Principal, method: &Method, path: &str) -> Result<(), Deny> {
        let Some(action) = self.action(method, path) else {
            let word = method.as_str().to_ascii_lowercase();
            return Err(forbidden(&word).because(Lack::of("no action")));
        };
        let resource = self.resource(path);
        let granted = resource.is_some_and(|resource| resource.grants(&who.roles, action));
        let reached = who
            .scopes
            .as_ref()
            .is_none_or(|scopes| self.scopes_reach(scopes, action, as_get(method), path));
        if granted && reached {
            return Ok(());
        }
        let mut lack = match resource {
            None => Lack::of("no resource"),
            Some(resource) if !granted => resource.lack(action),
            Some(_) => Lack::of("policy scopes"),
        };
        if !reached {
            lack.scopes = self.reaching(action, as_get(method), path);
        }
        Err(forbidden(action).because(lack))
    }

    /// The resource a path belongs to: the one with the most specific pattern, of equals the first.
    pub fn resource(&self, path: &str) -> Option<&ResourceRule> {
        let mut best: Option<(&[u8], &ResourceRule)> = None;
        for resource in &self.resources {
            for pattern in resource.paths.iter().filter(|pattern| pattern.matches(path)) {
                let rank = pattern.specificity();
                if best.is_none_or(|(known, _)| rank > known) {
                    best = Some((rank, resource));
                }
            }
        }
        best.map(|(_, resource)| resource)
    }

    /// Whether one of these scopes includes `wanted` (whole words, any case), directly or over [`Policy::includes`].
    pub fn covers<'a>(&self, scopes: impl Iterator<Item = &'a str> + Clone, wanted: &str) -> bool {
        if scopes.clone().any(|scope| scope.eq_ignore_ascii_case(wanted)) {
            return true;
        }
        let mut open: Vec<&str> = scopes.collect();
        let mut seen: Vec<&str> = Vec::new();
        while let Some(scope) = open.pop() {
            if scope.eq_ignore_ascii_case(wanted) {
                return true;
            }
            // Inclusions may form a circle; each name is opened once.
            if !seen.contains(&scope) {
                seen.push(scope);
                let included = self.includes.iter().filter(|(name, _)| **name == *scope);
                open.extend(included.flat_map(|(_, names)| names.iter().map(|name| &**name)));
            }
        }
        false
    }

    /// Whether roles hold a scope by [`Policy::role_scopes`], for callers whose credential carries none.
    pub fn roles_hold(&self, roles: &[Arc<str>], wanted: &str) -> bool {
        let held = self
            .role_scopes
            .iter()
            .filter(|(role, _)| roles.contains(role))
            .flat_map(|(_, scopes)| scopes.iter().map(|scope| &**scope));
        self.covers(held, wanted)
    }

    /// The scopes of which one would reach.
    fn reaching(&self, action: &str, method: &Method, path: &str) -> Vec<Arc<str>> {
        let rules = self.scopes.iter().filter(|rule| rule.reaches(action, method, path));
        let mut names: Vec<_> = rules.map(|rule| rule.scope.clone()).collect();
        names.dedup();
        names
    }

    fn scopes_reach(&self, scopes: &ScopeSet, action: &str, method: &Method, path: &str) -> bool {
        self.scopes
            .iter()
            .any(|rule| scopes.contains(&rule.scope) && rule.reaches(action, method, path))
    }
}

impl ResourceRule {
    /// What a caller lacks to whom it grants nothing: a role that has the action.
    fn lack(&self, action: &str) -> Lack {
        let grants = |actions: &[Arc<str>]| {
            actions.iter().any(|own| matches!(&**own, "*") || **own == *action)
        };
        let roles = self.grants.iter().filter(|(_, actions)| grants(actions));
        let roles = roles.map(|(role, _)| role.clone()).collect();
        Lack { roles, ..Lack::of(format!("resource {}", self.resource)) }
    }

    fn grants(&self, roles: &[Arc<str>], action: &str) -> bool {
        self.grants.iter().any(|(role, actions)| {
            roles.contains(role) && actions.iter().any(|own| &**own == "*" || **own == *action)
        })
    }
}

impl ScopeRule {
    fn reaches(&self, action: &str, method: &Method, path: &str) -> bool {
        (self.actions.is_empty() || self.actions.iter().any(|own| **own == *action))
            && (self.methods.is_empty() || self.methods.contains(method))
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path)))
            && !self.except.iter().any(|pattern| pattern.matches(path))
    }
}

/// `HEAD` asks for what `GET` asks for.
pub(in crate::pipeline) fn as_get(method: &Method) -> &Method {
    if *method == Method::HEAD { &Method::GET } else { method }
}

/// The refusal, without a copy for the usual words.
pub(in crate::pipeline) fn forbidden(action: &str) -> Deny {
    const KNOWN: [&str; 5] = ["read", "create", "update", "delete", "execute"];
    let action = match KNOWN.into_iter().find(|known| *known == action) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(action.to_owned()),
    };
    Deny::forbidden(action)
}
