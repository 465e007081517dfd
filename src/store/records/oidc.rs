//! Logins that an OpenID provider has proven, and the sessions they open.

use serde_json::Value;

use super::{AccountRecord, ForeignKey, SessionRecord};
use crate::model::{AccountId, Digest, MountName, SessionId, Timestamp};

/// A login that a provider has proven.
#[derive(Clone, Debug)]
pub struct OidcLogin {
    /// Who, by `iss` and `sub`.
    pub key: ForeignKey,
    /// What the provider says of the person.
    pub profile: Value,
    /// Made if nobody is known by this key; `None`: then nobody comes in.
    pub create: Option<AccountRecord>,
    /// An address that the provider has proven: its account is joined if the account has proven it as well.
    pub join: Option<String>,
    /// The session to open; its account is filled in.
    pub session: SessionRecord,
    /// What the provider calls its own session.
    pub sid: Option<String>,
    /// The session that the browser had here before, by the digest of its secret: it ends.
    pub replaces: Option<Digest>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OidcLogged {
    /// The session is open.
    Done {
        /// Whose.
        account: AccountId,
        /// How the account came to be that of this person.
        joined: Joined,
        /// Sessions that ended for it.
        ended: Vec<SessionId>,
    },
    /// Nobody here is known by this key. Nothing is written.
    Unknown,
    /// The account may not log in. Nothing is written.
    Disabled(AccountId),
}

/// How a person and an account are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// They were before.
    Before,
    /// By the address that both have proven.
    ByEmail,
    /// The account was made for the person.
    Created,
}

/// A session for whose person an OpenID provider has vouched.
#[derive(Clone, Debug)]
pub struct OidcSession {
    /// The session, ended or not.
    pub session: SessionRecord,
    /// Whose.
    pub account: AccountRecord,
    /// By `iss` and `sub`.
    pub key: ForeignKey,
    /// What the provider last said of the person.
    pub profile: Value,
}

/// Which sessions a provider says have ended there.
#[derive(Clone, Debug)]
pub struct OidcLogout {
    /// Of this mount.
    pub mount: MountName,
    /// The provider.
    pub issuer: String,
    /// The person, where it names one.
    pub subject: Option<String>,
    /// The session, where it names one; else all of the person.
    pub sid: Option<String>,
    /// Realm of the mount.
    pub realm: crate::model::RealmName,
    /// Purpose under which the id of the token is remembered.
    pub purpose: String,
    /// Digest of that id.
    pub token: Digest,
    /// Until then the token would be good.
    pub ends: Timestamp,
}

/// A person of a provider and the account behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRecord {
    /// Which provider, and what it calls the person.
    pub key: ForeignKey,
    /// The last login, or the moment at which both were joined.
    pub updated_at: Timestamp,
}
