//! What the logins through a provider give: plain values.

use serde_json::Value;

use crate::model::{SecretString, SessionId, Timestamp};

/// A person of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Number of its account.
    pub number: i64,
    /// The provider's id.
    pub subject: String,
    /// Address, as the provider says.
    pub email: Option<String>,
    /// Whole name, as the provider says.
    pub full_name: Option<String>,
    /// Whether it may log in.
    pub enabled: bool,
    /// First login.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A session just opened; the only moment its secret exists.
#[derive(Debug)]
pub struct OpenedSession {
    /// The secret id.
    pub secret: SecretString,
    /// Its end.
    pub expires_at: Timestamp,
}

/// The provider's token for the holder of a session.
#[derive(Clone, Debug)]
pub struct ProviderToken {
    /// The provider's own.
    pub access_token: SecretString,
    /// Its end.
    pub expires_at: Timestamp,
    /// Number of the account.
    pub number: i64,
}

/// A live session as an administrator sees it: no secret.
#[derive(Clone, Debug)]
pub struct PersonSession {
    /// Public handle.
    pub id: SessionId,
    /// Whose.
    pub person: Person,
    /// Opened.
    pub created_at: Timestamp,
    /// Its end.
    pub expires_at: Timestamp,
}

/// Live sessions of a mount.
#[derive(Clone, Debug)]
pub struct ForeignSessions {
    /// The newest of them.
    pub sessions: Vec<PersonSession>,
    /// How many there are.
    pub total: u64,
}

/// An entry of the allow list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Number of the entry; not that of an account.
    pub number: i64,
    /// The provider's id of the person.
    pub subject: String,
    /// Free text.
    pub comment: Option<String>,
    /// Whether it counts.
    pub active: bool,
    /// Made.
    pub created_at: Timestamp,
}

/// Counts for an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Accounts.
    pub accounts: i64,
    /// Those that may log in.
    pub active_accounts: i64,
    /// Active entries of the allow list.
    pub active_entries: i64,
    /// All entries.
    pub entries: i64,
}

/// An audit event of a mount.
#[derive(Clone, Debug, PartialEq)]
pub struct MountEvent {
    /// Place in the chain.
    pub seq: u64,
    /// `LOGIN_SUCCESS`, …
    pub event: String,
    /// Number of the account it is about.
    pub number: Option<i64>,
    /// Client address.
    pub ip: Option<String>,
    /// Client program.
    pub user_agent: Option<String>,
    /// Further facts.
    pub details: Value,
    /// When.
    pub at: Timestamp,
}

/// A page of them.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    /// Newest first.
    pub events: Vec<MountEvent>,
    /// How many there are on all pages.
    pub total: u64,
}
