//! What agents did with their tokens: the capability that a request needed, used or lacking, counted per token and minute.

use std::sync::Arc;

use http::Method;

use super::{
    counted::{Counted, MINUTE},
    ctx::Ctx,
};
use crate::{
    model::{AccountId, Clock, MountName, RealmName, SessionId, Timestamp, TokenId},
    pipeline::{Authz, Deny},
    telemetry::Metrics,
};

/// One line of the audit log to come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AgentUse {
    /// The minute, as the time it began.
    pub minute: Timestamp,
    /// The account for which the agent acts.
    pub account: AccountId,
    /// Its realm.
    pub realm: RealmName,
    /// Mount of the token.
    pub mount: MountName,
    /// The token, which is the agent.
    pub token: Option<TokenId>,
    /// Session that the token ends with.
    pub session: Option<SessionId>,
    /// Type of the agent.
    pub kind: Arc<str>,
    /// What the request needed.
    pub capability: Arc<str>,
    /// Whether it had that.
    pub used: bool,
}

/// The counters.
#[derive(Default)]
pub(super) struct AgentUses {
    lines: Counted<AgentUse>,
}

impl AgentUses {
    /// Counts a request of an agent on a route that asks for a capability; others pass by.
    pub(super) fn note(&self, ctx: &Ctx, method: &Method, clock: &dyn Clock) {
        let Some(who) = &ctx.trail.principal else { return };
        let (Some(agent), Some(route)) = (&who.agent, &ctx.trail.route) else { return };
        let Authz::Rule(rule) = &route.route.authz else { return };
        let Some(capability) = rule.capability(method) else { return };
        let used = ctx.admitted.is_some();
        // What was refused for another reason (a limit) says nothing of capabilities.
        if !used && !matches!(ctx.deny, Some(Deny::Forbidden { .. })) {
            return;
        }
        self.lines.count(AgentUse {
            minute: Timestamp(clock.now().millis().div_euclid(MINUTE).saturating_mul(MINUTE)),
            account: who.subject.clone(),
            realm: who.realm.clone(),
            mount: who.mount.clone(),
            token: who.token.clone(),
            session: who.session.clone(),
            kind: agent.kind.clone(),
            capability: capability.clone(),
            used,
        });
    }

    /// Takes all lines out with how many they stand for, oldest first.
    pub(super) fn drain(&self, metrics: &Metrics) -> Vec<(AgentUse, u64)> {
        let mut lines: Vec<_> = self.lines.take(metrics).into_iter().collect();
        lines.sort_by_key(|(line, _)| line.minute);
        lines
    }
}
