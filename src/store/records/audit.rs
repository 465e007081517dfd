//! Audit events and their chain.

use std::{borrow::Cow, net::IpAddr};

use serde_json::Value;

use crate::model::{AccountId, MountName, RealmName, Timestamp};

/// A fact to record, in the same transaction as the change it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// `LOGIN_SUCCESS`, …
    pub event: Cow<'static, str>,
    /// Realm, if any.
    pub realm: Option<RealmName>,
    /// Mount, if any.
    pub mount: Option<MountName>,
    /// Account it is about.
    pub account: Option<AccountId>,
    /// Client address.
    pub ip: Option<IpAddr>,
    /// Client program.
    pub user_agent: Option<String>,
    /// Request id.
    pub request_id: Option<String>,
    /// Further facts, never secret.
    pub details: Value,
}

impl AuditRecord {
    /// An event without further facts, to be filled with `..`.
    pub fn new(event: impl Into<Cow<'static, str>>, at: Timestamp) -> Self {
        Self {
            at,
            event: event.into(),
            realm: None,
            mount: None,
            account: None,
            ip: None,
            user_agent: None,
            request_id: None,
            details: Value::Object(serde_json::Map::new()),
        }
    }
}

/// A recorded fact in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainedRecord {
    /// Node whose chain it is.
    pub node: String,
    /// Place, from 1 without gaps.
    pub seq: u64,
    /// The fact.
    pub record: AuditRecord,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// This record, or its link to the one before, is not what was written.
    Edited {
        /// Its place.
        seq: u64,
    },
    /// Records are missing before this place.
    Gap {
        /// The first missing place.
        seq: u64,
    },
    /// The newest records are missing.
    Cut {
        /// The first missing place.
        seq: u64,
    },
}

/// Result of checking this node's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Records that were read.
    pub checked: u64,
    /// The first fault; `None`: the chain is whole.
    pub fault: Option<AuditFault>,
}

/// Which part of a node's log is wanted, oldest first.
#[derive(Clone, Debug, Default)]
pub struct AuditRange {
    /// Whose; `None`: this node's.
    pub node: Option<String>,
    /// Behind this place.
    pub after: u64,
    /// At this moment or later.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}
