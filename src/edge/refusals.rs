//! Refusals counted per caller, reason and minute, so that a flood is no flood of audit events.

use std::net::IpAddr;

use super::{
    counted::{Counted, MINUTE},
    ctx::Ctx,
};
use crate::{
    model::{AccountId, Clock, MountName, RealmName, Timestamp},
    pipeline::{Deny, Outcome, quota::counted_address},
    telemetry::Metrics,
};

/// Whom a refusal is counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RefusalSubject {
    /// A proven caller.
    Account {
        /// Its realm.
        realm: RealmName,
        /// Its id.
        id: AccountId,
    },
    /// Nobody proven: the client address (IPv6 by /64).
    Address(IpAddr),
}

/// One line of the audit log to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalCount {
    /// The minute, as the time it began.
    pub minute: Timestamp,
    /// Whom.
    pub subject: RefusalSubject,
    /// Mount, if one was found.
    pub mount: Option<MountName>,
    /// Stable reason code of the refusal.
    pub reason: &'static str,
    /// The rule that refused, where one has a name.
    pub rule: Option<Box<str>>,
    /// What the caller lacked for it.
    pub missing: Option<Box<str>>,
    /// Status sent.
    pub status: u16,
    /// How many in that minute.
    pub count: u64,
}

#[derive(PartialEq, Eq, Hash)]
struct Line {
    minute: i64,
    subject: RefusalSubject,
    mount: Option<MountName>,
    reason: &'static str,
    rule: Option<Box<str>>,
    missing: Option<Box<str>>,
    status: u16,
}

/// The counters.
#[derive(Default)]
pub(super) struct Refusals {
    lines: Counted<Line>,
}

impl Refusals {
    /// Counts a request that was refused, at the edge or by identity; others pass by. `status` and `reason` are what was
    /// answered.
    pub(super) fn note(&self, ctx: &Ctx, status: u16, reason: &'static str, clock: &dyn Clock) {
        let (status, reason) = match (&ctx.deny, ctx.trail.reason) {
            (Some(deny), _) if deny.outcome() == Outcome::Refused => {
                (deny.status().as_u16(), deny.reason())
            }
            // Identity records failed logins itself; what it forbids or holds back is counted here.
            (None, Some(_)) if matches!(status, 403 | 423 | 429) => (status, reason),
            _ => return,
        };
        let subject = match (&ctx.trail.principal, &ctx.caller) {
            (Some(who), _) => {
                RefusalSubject::Account { realm: who.realm.clone(), id: who.subject.clone() }
            }
            (None, Some(caller)) => RefusalSubject::Address(counted_address(caller.facts.address)),
            (None, None) => return,
        };
        self.lines.count(Line {
            minute: clock.now().millis().div_euclid(MINUTE),
            subject,
            mount: ctx.trail.mount.as_ref().map(|mount| mount.name.clone()),
            reason,
            rule: ctx.deny.as_ref().and_then(Deny::rule).map(Box::from),
            missing: ctx.deny.as_ref().and_then(Deny::missing).map(Box::from),
            status,
        });
    }

    /// Takes all lines out, oldest first.
    pub(super) fn drain(&self, metrics: &Metrics) -> Vec<RefusalCount> {
        let mut lines: Vec<_> = self
            .lines
            .take(metrics)
            .into_iter()
            .map(|(line, count)| RefusalCount {
                minute: Timestamp(line.minute.saturating_mul(MINUTE)),
                subject: line.subject,
                mount: line.mount,
                reason: line.reason,
                rule: line.rule,
                missing: line.missing,
                status: line.status,
                count,
            })
            .collect();
        lines.sort_by_key(|line| line.minute);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::{super::counted::MAX_LINES, *};

    fn line(minute: i64, last: u8, reason: &'static str) -> Line {
        let subject = RefusalSubject::Address([192, 0, 2, last].into());
        Line { minute, subject, mount: None, reason, rule: None, missing: None, status: 401 }
    }

    #[test]
    fn equal_refusals_of_a_minute_are_one_line() {
        let (refusals, metrics) = (Refusals::default(), Metrics::new().unwrap());
        for _ in 0..3 {
            refusals.lines.count(line(7, 1, "token_invalid"));
        }
        refusals.lines.count(line(8, 1, "token_invalid"));
        refusals.lines.count(line(7, 2, "token_invalid"));
        let drained = refusals.drain(&metrics);
        let counts: Vec<_> = drained.iter().map(|line| (line.minute.0, line.count)).collect();
        assert_eq!(counts.len(), 3);
        assert!(counts.contains(&(420_000, 3)));
        assert_eq!(counts.last(), Some(&(480_000, 1)));
        assert_eq!(refusals.drain(&metrics), []);
    }

    #[test]
    fn a_flood_of_callers_is_bounded_and_its_rest_is_a_metric() {
        let (refusals, metrics) = (Refusals::default(), Metrics::new().unwrap());
        for minute in 0..=MAX_LINES as i64 {
            refusals.lines.count(line(minute, 1, "token_invalid"));
        }
        assert_eq!(refusals.drain(&metrics).len(), MAX_LINES);
        assert!(metrics.render().contains("portcullis_audit_events_dropped_total 1"));
    }
}
