//! The end of a request: its access line, its figures, and its place among the refusals.

use std::time::Duration;

use pingora::proxy::Session;

use super::{Shared, ctx::Ctx};
use crate::{
    pipeline::{Deny, Outcome, Target},
    telemetry::{AccessLine, AccessLog, metrics::StreamKind},
};

/// Shown for a client that left before it could be answered; never sent.
const CLIENT_CLOSED: u16 = 499;

/// Writes down how a request ended. Nothing here waits.
pub(super) fn finish(shared: &Shared, session: &Session, ctx: &Ctx) {
    let total = ctx.ended.map_or_else(|| ctx.started.elapsed(), |at| at - ctx.started);
    let end = End::of(session, ctx);
    if let Some(kind) = end.ended {
        stream_ended(shared, ctx, &end, kind, total);
    }
    let upstream = ctx.upstream.took();
    let (metrics, public) = match &ctx.trail.route {
        Some(route) => (Some(&route.metrics), route.public.as_ref()),
        None => ctx.live.unrouted(ctx.mount()),
    };
    if let Some(public) = public {
        public.finished(ctx.method(session).as_str(), total);
    }
    if let Some(metrics) = metrics {
        metrics.finished(end.outcome, end.reason, end.status, total, upstream);
    }
    if let Some(front) = ctx.front() {
        shared.parts.metrics.forward_auth_answered(&front.listener.name, end.outcome);
    }
    shared.agent_uses.note(ctx, ctx.method(session), &*shared.parts.clock);
    shared.refusals.note(ctx, end.status, end.reason, &*shared.parts.clock);
    if !ctx.trail.shadowed.is_empty() {
        shared.shadows.note(shared, ctx);
    }
    if ctx.deny.is_some() {
        let now = shared.parts.clock.now();
        shared.recent.note(ctx, ctx.method(session).as_str(), end.status, now);
    }
    if shared.parts.access.is_on() {
        line(&shared.parts.access, session, ctx, &end, total, upstream);
    }
}

struct End {
    status: u16,
    outcome: Outcome,
    reason: &'static str,
    /// What its credential took along.
    ended: Option<StreamKind>,
}

impl End {
    fn of(session: &Session, ctx: &Ctx) -> Self {
        let sent = session.as_downstream().response_written().map(|reply| reply.status.as_u16());
        let (status, reason) = match (&ctx.deny, sent) {
            _ if ctx.client_gone => (sent.unwrap_or(CLIENT_CLOSED), "client_closed"),
            // What it was told is a success of HTTP with a failure inside, or what a proxy understands.
            (Some(deny), Some(_)) if ctx.grpc || ctx.front().is_some() => {
                (deny.status().as_u16(), deny.reason())
            }
            (Some(deny), sent) => (sent.unwrap_or(0), deny.reason()),
            (None, Some(sent)) => (sent, ctx.trail.reason.unwrap_or("ok")),
            (None, None) => (0, Deny::Internal.reason()),
        };
        // Identity refuses in its own words: what it gave a reason for was not permitted.
        let outcome = match (&ctx.deny, ctx.trail.reason) {
            (None, Some(_)) if status >= 500 => Outcome::Undetermined,
            (None, Some(_)) => Outcome::Refused,
            _ => ctx.outcome(),
        };
        let by_us = ctx.deny.is_some() && ctx.conn.as_ref().is_some_and(|conn| conn.is_ended());
        // Who loses a place at an upstream to others loses it with another reason.
        let by_us = by_us && ctx.deny != Some(Deny::Unavailable { dependency: "upstream" });
        Self { status, outcome, reason, ended: ctx.in_flight.kind().filter(|_| by_us) }
    }
}

fn stream_ended(shared: &Shared, ctx: &Ctx, end: &End, kind: StreamKind, total: Duration) {
    shared.parts.metrics.stream_ended(kind, end.reason);
    let trail = &ctx.trail;
    tracing::info!(
        event = "stream_ended",
        request_id = ctx.request_id(),
        kind = kind.as_str(),
        reason = end.reason,
        route = trail.route.as_ref().map(|route| &*route.route.name),
        subject = trail.principal.as_ref().map(|who| who.subject.as_str()),
        after_secs = total.as_secs(),
    );
}

fn line(
    log: &AccessLog,
    session: &Session,
    ctx: &Ctx,
    end: &End,
    total: Duration,
    upstream: Option<Duration>,
) {
    let Some(caller) = &ctx.caller else { return };
    let trail = &ctx.trail;
    let who = trail.principal.as_deref();
    let route = trail.route.as_ref().map(|route| &*route.route);
    let deny = ctx.deny.as_ref();
    let (rule, missing) = (deny.and_then(Deny::rule), deny.and_then(Deny::missing));
    log.write(&AccessLine {
        request_id: &caller.facts.request_id,
        method: ctx.method(session).as_str(),
        asked_by: ctx.front().map(|front| &*front.listener.name),
        host: &trail.host,
        path: &trail.shown_path(),
        status: end.status,
        outcome: end.outcome,
        reason: end.reason,
        rule: rule.as_deref(),
        missing: missing.as_deref(),
        mount: trail.mount.as_ref().map_or("", |mount| mount.name.as_str()),
        route: route.map_or("", |route| &route.name),
        subject: who.map(|who| who.subject.as_str()).or(trail.subject.as_deref()),
        auth: who.map(|who| who.method.as_str()),
        key_id: who.and_then(|who| who.key.as_ref()).map(|key| key.as_str()),
        client: caller.facts.address,
        upstream: ctx.admitted.as_ref().filter(|_| ctx.front().is_none()).and(route).map(|route| {
            match &route.target {
                Target::Upstream(name) => &**name,
                Target::Identity => "identity",
            }
        }),
        ended: end.ended.map(StreamKind::as_str),
        backend: ctx.upstream.node.as_ref().map(|node| &**node.label()),
        duration: total,
        upstream_duration: upstream,
        bytes_in: ctx.body_in,
        bytes_out: session.as_downstream().body_bytes_sent() as u64,
        user_agent: caller.facts.user_agent.as_deref(),
    });
}
