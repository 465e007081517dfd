//! Refusals counted per caller, reason and minute, so that a flood is no flood of audit events.

use std::net::IpAddr;

use crate::{
    model::{AccountId, MountName, RealmName, Timestamp},
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
    /// Status sent.
    pub status: u16,
    /// How many in that minute.
    pub count: u64,
}

/// The counters.
#[derive(Default)]
pub(super) struct Refusals {}

impl Refusals {
    pub(super) fn drain(&self, metrics: &Metrics) -> Vec<RefusalCount> {
        let _ = metrics;
        Vec::new()
    }
}
