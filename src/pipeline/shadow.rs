//! Requirements that a route does not enforce yet: judged beside those it does, counted, never refused by. What is
//! enforced is written without them, so nothing here can open a route.

use std::sync::Arc;

use http::Method;
use serde::Serialize;

use super::{Authn, Limit, Policy, authz::RouteRule, deny::Deny};
use crate::model::Principal;

/// Of one route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shadow {
    /// Limits known before authentication.
    pub early_limits: Vec<Arc<Limit>>,
    /// Limits that need the caller.
    pub late_limits: Vec<Arc<Limit>>,
    /// Kinds of credentials that would be asked for.
    pub authn: Option<Authn>,
    /// The rule that would be asked.
    pub authz: Option<RouteRule>,
}

impl Shadow {
    /// Nothing in it is nothing at all.
    pub fn or_none(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    /// What the rule would say of a proven caller.
    pub fn refuses(
        &self,
        policy: &Policy,
        who: Option<&Principal>,
        method: &Method,
        path: &str,
    ) -> Option<Deny> {
        let (rule, who) = (self.authz.as_ref()?, who?);
        rule.judge(policy, who, method, path).err()
    }

    /// Its rules in words, with the kind of each.
    pub fn rules(&self) -> Vec<String> {
        let limits = self.early_limits.iter().chain(&self.late_limits);
        let mut rules: Vec<String> = limits.map(|limit| limit_rule(&limit.name)).collect();
        rules.extend(self.authn.as_ref().map(|_| AUTHN_RULE.to_owned()));
        rules.extend(self.authz.as_ref().map(|_| AUTHZ_RULE.to_owned()));
        rules
    }
}

/// How a limit is called in reports.
pub fn limit_rule(name: &str) -> String {
    format!("limit {name}")
}

/// How the asked-for credential is called.
pub const AUTHN_RULE: &str = "credential";
/// How the rule of the route is called.
pub const AUTHZ_RULE: &str = "route rule";

/// One requirement that a request did not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which.
    pub rule: String,
    /// Reason code of the refusal that did not happen.
    pub reason: &'static str,
    /// What the caller lacked.
    pub missing: Option<String>,
    /// It could not be told: a dependency could not be asked.
    pub undetermined: bool,
}

impl Hit {
    /// Writes a refusal down that does not happen.
    pub fn new(rule: impl Into<String>, deny: &Deny) -> Self {
        Self {
            rule: rule.into(),
            reason: deny.reason(),
            missing: deny.missing(),
            undetermined: deny.status().is_server_error(),
        }
    }
}

/// What one rule of one route would have refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShadowLine {
    /// The rule.
    pub rule: String,
    /// Mount.
    pub mount: String,
    /// Route; empty for requests that found none.
    pub route: String,
    /// Reason code; empty while nothing would have been refused.
    pub reason: String,
    /// Requests.
    pub count: u64,
    /// Requests of which it could not be told.
    pub undetermined: u64,
    /// Callers, about: accounts, else client addresses.
    pub callers: u64,
    /// Since when it is counted.
    pub since: String,
    /// The first and the last of them.
    pub first: Option<String>,
    /// See [`Self::first`].
    pub last: Option<String>,
    /// Ids of some of the last.
    pub samples: Vec<String>,
}
