//! What would have been refused: judged beside the way of a request, counted by rule, route and reason.
//!
//! What is asked in the shadow of a route is `pipeline/shadow.rs`. A shadowed limit counts in a bucket of its own and charges no other. Counters are in memory and bounded; they begin with
//! the process and outlive reloads.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Live, Shared,
    admit::prove,
    ctx::{Ctx, Trail},
    live::UNMATCHED,
    possession::Arrival,
};
use crate::{
    limit::LimitError,
    model::{Principal, Timestamp},
    pipeline::{
        Charge, Deny, Limit, RequestView, Route,
        quota::{self, counted_address},
        shadow::{AUTHN_RULE, AUTHZ_RULE, Hit, ShadowLine, limit_rule},
    },
};

/// Rules that are told apart; a configuration has fewer.
const MAX_RULES: usize = 4096;
/// Request ids kept of each.
const SAMPLES: usize = 10;
/// Bits by which callers are told apart: enough to tell thousands with an error of a few in a hundred.
const BITS: usize = 4096;

// In boxes: hardly any route has something in the shadow, and the others must not carry the space.

/// The limits that need no caller.
pub(super) async fn early(edge: &Shared, route: &Route, view: &RequestView<'_>, trail: &mut Trail) {
    let Some(own) = &route.shadow else { return };
    let charges = quota::charges(&own.early_limits, &route.name, None, view.client.address);
    Box::pin(limits(edge, trail, &charges)).await;
}

/// The late limits, of a caller who is refused as well.
pub(super) async fn late(
    edge: &Shared,
    route: &Route,
    who: Option<&Principal>,
    view: &RequestView<'_>,
    trail: &mut Trail,
) {
    let Some(own) = &route.shadow else { return };
    let charges = quota::charges(&own.late_limits, &route.name, who, view.client.address);
    Box::pin(limits(edge, trail, &charges)).await;
}

/// Those of them that also count a caller whose credential was refused.
pub(super) async fn unproven(
    edge: &Shared,
    route: &Route,
    view: &RequestView<'_>,
    trail: &mut Trail,
) {
    let Some(own) = &route.shadow else { return };
    let anybody = own.late_limits.iter().filter(|limit| limit.counts_anybody());
    let anybody: Vec<_> = anybody.cloned().collect();
    let charges = quota::charges(&anybody, &route.name, None, view.client.address);
    Box::pin(limits(edge, trail, &charges)).await;
}

/// Those of a mount, for a request that no route of it takes.
pub(super) async fn unrouted(
    edge: &Shared,
    shadowed: &[Arc<Limit>],
    address: IpAddr,
    trail: &mut Trail,
) {
    if !shadowed.is_empty() {
        let charges = quota::charges(shadowed, UNMATCHED, None, address);
        Box::pin(limits(edge, trail, &charges)).await;
    }
}

/// The credential and the rule, of a request that passes.
pub(super) async fn permitted(
    edge: &Shared,
    live: &Live,
    route: &Route,
    (who, path): (Option<&Principal>, &str),
    view: &RequestView<'_>,
    arrival: &Arrival<'_>,
    trail: &mut Trail,
) {
    let Some(own) = &route.shadow else { return };
    if let Some(asks) = &own.authn {
        // A guess is not charged to its address: this request is not refused.
        let mut nobody = ();
        // A proof was used by the request itself, if it was.
        let arrival = Arrival { counts: false, ..*arrival };
        let proven = prove(edge, live, (asks, route), view, arrival, &mut nobody);
        if let Err(deny) = Box::pin(proven).await {
            trail.shadowed.push(Hit::new(AUTHN_RULE, &deny));
        }
    }
    if let Some(deny) = own.refuses(&route.mount.policy, who, view.method, path) {
        trail.shadowed.push(Hit::new(AUTHZ_RULE, &deny));
    }
}

/// Charges limits that are not enforced, each by itself: what one refuses says nothing of the others.
async fn limits(edge: &Shared, trail: &mut Trail, charges: &[Charge<'_>]) {
    for charge in charges {
        let deny = match edge.parts.limiter.check(std::slice::from_ref(charge)).await {
            Ok(_) => continue,
            Err(LimitError::Limited(toll)) => Deny::RateLimited(toll),
            Err(LimitError::Unavailable(_)) => Deny::Unavailable { dependency: "limiter" },
        };
        trail.shadowed.push(Hit::new(limit_rule(charge.key.limit), &deny));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    mount: String,
    route: String,
    rule: String,
    reason: &'static str,
}

struct Tally {
    count: u64,
    undetermined: u64,
    first: Timestamp,
    last: Timestamp,
    samples: VecDeque<String>,
    callers: Box<[u64; BITS / 64]>,
}

/// The counters.
pub(super) struct Shadows {
    since: Timestamp,
    names: RandomState,
    tallies: Mutex<HashMap<Key, Tally>>,
}

impl Shadows {
    pub(super) fn new(since: Timestamp) -> Self {
        Self { since, names: RandomState::new(), tallies: Mutex::default() }
    }

    /// Counts and logs what a request would have been refused for.
    pub(super) fn note(&self, shared: &Shared, ctx: &Ctx) {
        let Some(caller) = &ctx.caller else { return };
        let now = shared.parts.clock.now();
        let mount = ctx.mount().name.as_str();
        let route = ctx.trail.route.as_ref().map_or("", |own| &own.route.name);
        let subject = ctx.trail.principal.as_ref().map(|who| who.subject.as_str());
        let request_id = caller.facts.request_id.as_str();
        let who = match subject {
            Some(subject) => self.names.hash_one(subject),
            None => self.names.hash_one(counted_address(caller.facts.address)),
        };
        for hit in &ctx.trail.shadowed {
            shared.parts.metrics.shadow_refusal(&hit.rule, route, hit.reason);
            tracing::info!(
                event = "would_refuse",
                request_id,
                mount,
                route,
                rule = %hit.rule,
                reason = hit.reason,
                missing = hit.missing.as_deref().unwrap_or_default(),
                subject = subject.unwrap_or_default(),
                client = %caller.facts.address,
            );
            let key = Key {
                mount: mount.to_owned(),
                route: route.to_owned(),
                rule: hit.rule.clone(),
                reason: hit.reason,
            };
            self.count(key, hit.undetermined, (request_id, who), now);
        }
    }

    fn count(&self, key: Key, undetermined: bool, (id, who): (&str, u64), now: Timestamp) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.len() >= MAX_RULES && !tallies.contains_key(&key) {
            return;
        }
        let tally = tallies.entry(key).or_insert_with(|| Tally::new(now));
        tally.count += u64::from(!undetermined);
        tally.undetermined += u64::from(undetermined);
        tally.last = now;
        if tally.samples.len() >= SAMPLES {
            tally.samples.pop_front();
        }
        tally.samples.push_back(id.to_owned());
        tally.mark(who);
    }

    /// Every rule of the configuration in force, and every one that was counted before.
    pub(super) fn report(&self, live: &Live) -> Vec<ShadowLine> {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<ShadowLine> = tallies
            .iter()
            .map(|(key, tally)| ShadowLine {
                rule: key.rule.clone(),
                mount: key.mount.clone(),
                route: key.route.clone(),
                reason: key.reason.to_owned(),
                count: tally.count,
                undetermined: tally.undetermined,
                callers: tally.callers(),
                since: self.since.iso(),
                first: Some(tally.first.iso()),
                last: Some(tally.last.iso()),
                samples: tally.samples.iter().cloned().collect(),
            })
            .collect();
        drop(tallies);
        for (mount, route, rule) in unmet(live) {
            let known =
                |line: &ShadowLine| line.mount == mount && line.route == route && line.rule == rule;
            if !lines.iter().any(known) {
                lines.push(ShadowLine {
                    rule,
                    mount,
                    route,
                    reason: String::new(),
                    count: 0,
                    undetermined: 0,
                    callers: 0,
                    since: self.since.iso(),
                    first: None,
                    last: None,
                    samples: Vec::new(),
                });
            }
        }
        lines.sort_by(|a, b| {
            (&a.mount, &a.route, &a.rule, &a.reason).cmp(&(&b.mount, &b.route, &b.rule, &b.reason))
        });
        lines
    }
}

/// Every rule that stands in the shadow: mount, route, rule.
fn unmet(live: &Live) -> Vec<(String, String, String)> {
    let routes = live.snapshot.routes.routes();
    let of_route = |route: &&Arc<Route>| {
        let rules = route.shadow.as_ref().map(|shadow| shadow.rules()).unwrap_or_default();
        let (mount, name) = (route.mount.name.to_string(), route.name.to_string());
        rules.into_iter().map(move |rule| (mount.clone(), name.clone(), rule)).collect::<Vec<_>>()
    };
    routes.iter().flat_map(of_route).collect()
}

impl Tally {
    fn new(now: Timestamp) -> Self {
        Self {
            count: 0,
            undetermined: 0,
            first: now,
            last: now,
            samples: VecDeque::new(),
            callers: Box::new([0; BITS / 64]),
        }
    }

    fn mark(&mut self, who: u64) {
        let bit = usize::try_from(who % BITS as u64).unwrap_or(0);
        if let Some(word) = self.callers.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    /// Linear counting (Whang, Vander-Zanden and Taylor 1990): how many marks leave so many bits empty.
    fn callers(&self) -> u64 {
        let marked: u32 = self.callers.iter().map(|word| word.count_ones()).sum();
        let all = BITS as f64;
        let empty = (all - f64::from(marked)).max(1.0);
        (-all * (empty / all).ln()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(rule: &str) -> Key {
        Key { mount: "m".into(), route: "r".into(), rule: rule.into(), reason: "rate_limited" }
    }

    #[test]
    fn what_is_counted_is_reported_with_the_last_ids_and_about_how_many_callers() {
        let shadows = Shadows::new(Timestamp(1_000));
        for number in 0..500_u64 {
            let who = shadows.names.hash_one(number % 100);
            shadows.count(key("a"), false, (&format!("req_{number}"), who), Timestamp(2_000));
        }
        shadows.count(key("a"), true, ("req_x", 1), Timestamp(3_000));
        let snapshot = crate::edge::testing::snapshot();
        let live = Live::build(
            Arc::new(snapshot),
            &[],
            Arc::default(),
            None,
            &crate::telemetry::Metrics::new().unwrap(),
            crate::edge::CacheSizes::default(),
        );
        let lines = shadows.report(&live);
        let [line] = &*lines else { panic!("{lines:?}") };
        assert_eq!((line.count, line.undetermined), (500, 1));
        assert!((90..=112).contains(&line.callers), "{}", line.callers);
        assert_eq!(line.samples.len(), SAMPLES);
        assert_eq!(line.samples.last().map(String::as_str), Some("req_x"));
        assert_eq!(line.last, Some(Timestamp(3_000).iso()));
    }

    #[test]
    fn no_flood_of_rules_takes_more_than_its_share_of_memory() {
        let shadows = Shadows::new(Timestamp(0));
        for number in 0..=MAX_RULES {
            shadows.count(key(&number.to_string()), false, ("req", 1), Timestamp(1));
        }
        assert_eq!(shadows.tallies.lock().unwrap().len(), MAX_RULES);
    }
}
