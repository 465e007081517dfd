//! Values of webhooks: subscriptions as they are asked for and shown, and what happened as it is told.

use std::{net::IpAddr, time::Duration};

use serde_json::{Map, Value};

use crate::{
    identity::{Account, Session},
    model::{MountName, SecretString, Timestamp},
};

/// How waits grow from try to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// 1, 2, 4, 8, …
    Exponential,
    /// 1, 2, 3, 4, …
    Linear,
    /// 1, 1, 1, …
    Fixed,
}

impl Backoff {
    /// Every one with its name.
    pub const ALL: [(&'static str, Backoff); 3] = [
        ("exponential", Backoff::Exponential),
        ("linear", Backoff::Linear),
        ("fixed", Backoff::Fixed),
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::Linear => "linear",
            Self::Fixed => "fixed",
        }
    }
}

/// How often a receiver is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries of one round.
    pub max_attempts: u32,
    /// How waits grow.
    pub backoff: Backoff,
    /// First wait.
    pub initial_delay: Duration,
    /// Longest wait.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::Exponential,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
        }
    }
}

/// Narrows a subscription. Empty lists narrow nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Only events about accounts with one of these roles.
    pub user_roles: Vec<String>,
    /// Of the events about agents, only those about these types.
    pub agent_types: Vec<String>,
}

/// A subscription as asked for; in a change, what is `None` stays as it is.
#[derive(Debug, Default)]
pub struct WebhookWish {
    /// Where to.
    pub url: Option<String>,
    /// Event types; `*` and `user.*` stand for several.
    pub events: Option<Vec<String>>,
    /// Signs the bodies; made here if none is given.
    pub secret: Option<SecretString>,
    /// Whether anything is sent.
    pub active: Option<bool>,
    /// Free text.
    pub description: Option<String>,
    /// Further header fields.
    pub headers: Option<Map<String, Value>>,
    /// How often it is tried.
    pub retry: Option<RetryPolicy>,
    /// Filters.
    pub filters: Option<Filters>,
}

/// A subscription as others may see it: no secret, and of its header fields only the names.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Id.
    pub id: String,
    /// Where to.
    pub url: String,
    /// Event types.
    pub events: Vec<String>,
    /// Whether anything is sent.
    pub active: bool,
    /// Free text.
    pub description: Option<String>,
    /// Names of further header fields.
    pub header_names: Vec<String>,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// Filters.
    pub filters: Filters,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A subscription just made; the only moment its secret is shown.
#[derive(Debug)]
pub struct NewWebhook {
    /// It.
    pub webhook: Webhook,
    /// What signs its bodies.
    pub secret: SecretString,
}

/// A delivery and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookDelivery {
    /// Id.
    pub id: String,
    /// Subscription.
    pub webhook: String,
    /// Event.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// `pending`, `retrying`, `delivered`, `failed`. A failed one with a next try is one whose round is over.
    pub status: String,
    /// The newest tries.
    pub attempts: Vec<Attempt>,
    /// When it is tried next; `None`: done with.
    pub next_retry: Option<Timestamp>,
    /// Made.
    pub created_at: Timestamp,
}

/// One try.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Attempt {
    /// From 1.
    pub attempt: u32,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What was answered; `None`: nothing.
    pub status_code: Option<u16>,
    /// Why nothing was answered.
    pub fault: Option<String>,
    /// How long it took.
    pub response_time_ms: u64,
}

/// Something that happened, with what is known of it.
#[derive(Debug)]
pub struct Occurrence<'a> {
    /// Name in the audit log: `LOGIN_SUCCESS`, …
    pub event: &'a str,
    /// Facts of the log.
    pub details: &'a Value,
    /// When.
    pub at: Timestamp,
    /// Account it is about, as it is now.
    pub account: Option<&'a Account>,
    /// Session it is about.
    pub session: Option<&'a Session>,
    /// Client address.
    pub address: Option<IpAddr>,
}

/// One event, ready to be worded.
#[derive(Debug)]
pub struct Event<'a> {
    /// Id.
    pub id: &'a str,
    /// Type.
    pub kind: &'a str,
    /// When.
    pub at: Timestamp,
    /// Where the operator says this is: `production`, …
    pub environment: &'a str,
    /// Which store tells it.
    pub instance: &'a str,
    /// Mount it is told for.
    pub mount: &'a MountName,
    /// What the contract says about it.
    pub data: Value,
    /// Request that caused it.
    pub request_id: Option<&'a str>,
    /// Client program that caused it.
    pub user_agent: Option<&'a str>,
}

/// What the header fields of a delivery say.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Event id.
    pub event_id: &'a str,
    /// Event type.
    pub event_type: &'a str,
    /// When it was made into a delivery.
    pub at: Timestamp,
}
