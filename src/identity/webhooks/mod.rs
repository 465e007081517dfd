//! Webhooks: who is told of what happens. Subscriptions here; `spread` reads the log for them, `deliver` carries, `retry`
//! says when again.
//!
//! What happened stands in the audit log, written in the transaction of the change itself. A subscription is a place in that
//! log, so nothing is lost whenever the process ends, and nothing is told that did not happen. A delivery may arrive twice
//! (the answer may be lost); its event id stays the same.

mod deliver;
mod manage;
mod retry;
mod rules;
mod spread;
#[cfg(test)]
mod tests;
mod types;

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

pub use types::*;

/// How a contract words what happened. Pure; implemented by `dialects`.
pub trait Herald: Debug + Send + Sync {
    /// Every event type there is to subscribe to.
    fn known(&self) -> &'static [&'static str];

    /// What is told of an occurrence: event types with their data; empty: nothing.
    fn told(&self, occurrence: &Occurrence<'_>) -> Vec<(&'static str, Value)>;

    /// The event type and data of a test.
    fn test(&self) -> (&'static str, Value);

    /// The whole body of one event.
    fn body(&self, event: &Event<'_>) -> Value;

    /// Header fields beside `Content-Type`. `signature`: HMAC-SHA256 of the body in lower-case hex.
    fn headers(&self, stamp: &Stamp<'_>, signature: &str) -> Vec<(&'static str, String)>;
}

/// Something to be sent to a receiver.
#[derive(Debug)]
pub struct Letter {
    /// Where to; any text that was once accepted, so the carrier judges it anew.
    pub url: String,
    /// Header fields. They may hold credentials of the receiver: never logged.
    pub headers: Vec<(String, String)>,
    /// The very bytes that were signed.
    pub body: Vec<u8>,
    /// Deadline of the whole exchange.
    pub timeout: Duration,
    /// Whether `http` and addresses of our own networks are allowed.
    pub allow_private: bool,
}

/// Why nothing was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarryFault {
    /// Nothing is sent to such an address.
    Forbidden,
    /// No name, no connection, or it broke.
    Unreachable,
    /// Not within the deadline.
    Timeout,
}

impl CarryFault {
    /// One word for lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden_address",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
        }
    }
}

/// Carries letters. Implemented by `courier`.
#[async_trait]
pub trait Carrier: Debug + Send + Sync {
    /// Posts a letter and gives the status of the answer. Redirects are answers.
    async fn post(&self, letter: &Letter) -> Result<u16, CarryFault>;
}
