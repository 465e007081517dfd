//! Identities that an outside provider vouches for, and who of them may come.

use serde_json::Value;

use super::{AccountRecord, Ciphertext, SessionRecord};
use crate::model::{AccountId, Digest, MountName, RealmName, Timestamp};

/// Which person, in the words of the provider: accounts are joined by this and by nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ForeignKey {
    /// Realm.
    pub realm: RealmName,
    /// Provider.
    pub provider: String,
    /// The person's id there.
    pub subject: String,
}

/// The one token set of a person at a provider, encrypted.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignTokens {
    /// Access token; `None`: dropped, or refused by the provider.
    pub access: Option<Ciphertext>,
    /// Refresh token, where the provider gives one.
    pub refresh: Option<Ciphertext>,
    /// End of the access token.
    pub expires_at: Option<Timestamp>,
    /// Counts every change of the set; a refresh is held against it.
    pub generation: i64,
}

/// A person of a provider with the account behind.
#[derive(Clone, Debug)]
pub struct ForeignIdentity {
    /// Who.
    pub key: ForeignKey,
    /// The account.
    pub account: AccountRecord,
    /// Its number, where contracts show integers.
    pub number: i64,
    /// What the provider last said about the person.
    pub profile: Value,
    /// Tokens.
    pub tokens: ForeignTokens,
}

/// A session by its secret, with everything its endpoints need, from one query.
#[derive(Clone, Debug)]
pub struct ForeignSession {
    /// The session, ended or not.
    pub session: SessionRecord,
    /// Whose.
    pub identity: ForeignIdentity,
}

/// A login that a provider has proven, to be written down at once with the code that hands it on.
#[derive(Clone, Debug)]
pub struct ForeignLogin {
    /// Who.
    pub key: ForeignKey,
    /// Made if there is no account of this person yet; else only names and times of it are taken.
    pub account: AccountRecord,
    /// What the provider says.
    pub profile: Value,
    /// The new token set; replaces the old one.
    pub tokens: ForeignTokens,
    /// Purpose, digest and life of the exchange code.
    pub code: super::CodeRecord,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedIn {
    /// Written down, for this account.
    Done(AccountId),
    /// Not on the allow list (any more). Nothing is written.
    NotAllowed,
    /// The account may not log in. Nothing is written.
    Disabled(AccountId),
}

/// An exchange code traded for a session: of many at once exactly one gets it.
#[derive(Clone, Debug)]
pub struct Redeem {
    /// Realm.
    pub realm: RealmName,
    /// Purpose under which the code was kept.
    pub purpose: String,
    /// Under which it is remembered as spent until its end.
    pub spent: String,
    /// Digest of the presented code.
    pub digest: Digest,
    /// The session to open; its account is the code's.
    pub session: SessionRecord,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The session is open, for this account.
    Opened(AccountId),
    /// The code was traded before; the session of then lives on.
    Again(Option<AccountId>),
    /// No such code, or too late.
    Unknown,
}

/// One entry of an allow list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowEntry {
    /// Who.
    pub key: ForeignKey,
    /// Number of the entry, counted in its realm.
    pub number: i64,
    /// Free text.
    pub comment: Option<String>,
    /// Whether it counts.
    pub active: bool,
    /// Made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// Numbers of a provider's people and of its allow list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForeignCounts {
    /// Accounts.
    pub accounts: i64,
    /// Those of them that may log in.
    pub active_accounts: i64,
    /// Active entries.
    pub active_entries: i64,
    /// Entries.
    pub entries: i64,
}

/// Events to look for.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// Of this mount.
    pub mount: MountName,
    /// Of this kind; `None`: of any.
    pub event: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Behind so many newer ones.
    pub offset: u64,
}

/// An event with the number of the account it is about.
#[derive(Clone, Debug)]
pub struct NumberedEvent {
    /// The event.
    pub event: super::ChainedRecord,
    /// The account's number, where it has one.
    pub number: Option<i64>,
}
