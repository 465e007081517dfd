//! Webhooks and their deliveries.

use serde_json::Value;

use super::{ChainedRecord, Ciphertext};
use crate::model::{MountName, RealmName, Timestamp};

/// A subscription.
#[derive(Clone, Debug)]
pub struct WebhookRecord {
    /// Id.
    pub id: String,
    /// Realm.
    pub realm: RealmName,
    /// Mount.
    pub mount: MountName,
    /// Where the receiver is.
    pub url: String,
    /// Which events.
    pub events: Vec<String>,
    /// Signs the bodies; sealed.
    pub secret: Ciphertext,
    /// Further header fields; sealed.
    pub headers: Ciphertext,
    /// Whether anything is sent.
    pub active: bool,
    /// Free text.
    pub description: Option<String>,
    /// Retry policy.
    pub retry: Value,
    /// Filters.
    pub filters: Value,
    /// Up to which event of the log it was told (read only; ignored on insert and update).
    pub read_to: u64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// Something to be told to one subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDelivery {
    /// Id.
    pub id: String,
    /// Id of the event, the same for all subscriptions.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The bytes that are signed and sent.
    pub body: String,
    /// Made.
    pub created_at: Timestamp,
    /// Not tried after that.
    pub expires_at: Timestamp,
}

/// A delivery and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRecord {
    /// What is told.
    pub what: NewDelivery,
    /// To which subscription.
    pub webhook: String,
    /// `pending`, `retrying`, `delivered`, `failed`.
    pub status: String,
    /// Tries so far.
    pub tries: u32,
    /// The newest of them.
    pub attempts: Value,
    /// When it is tried next, unless it is done with.
    pub next_at: Timestamp,
    /// When it was done with, one way or the other.
    pub done_at: Option<Timestamp>,
}

/// What a try made of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// New status.
    pub status: &'static str,
    /// Tries so far.
    pub tries: u32,
    /// The newest of them.
    pub attempts: Value,
    /// Next try; `None`: it is done with.
    pub next_at: Option<Timestamp>,
}

/// An event of the log with the hash that identifies it.
#[derive(Clone, Debug)]
pub struct Happened {
    /// The event in its place.
    pub chained: ChainedRecord,
    /// Hash over it and all before it: no other event has it.
    pub hash: Vec<u8>,
}
