//! Sessions, refresh families, refresh tokens, revoked access tokens and login failures.

use std::{net::IpAddr, time::Duration};

use serde_json::Value;

use super::AccountRecord;
use crate::model::{
    AccountId, ClientId, Digest, MountName, RealmName, SessionId, Timestamp, TokenId,
};

/// A login session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// Public handle; it is no secret by itself.
    pub id: SessionId,
    /// Digest of the session secret, in contracts whose session id is a bearer secret.
    pub secret: Option<Digest>,
    /// Realm.
    pub realm: RealmName,
    /// Mount it was opened at.
    pub mount: MountName,
    /// Whose.
    pub account: AccountId,
    /// Login name or e-mail of the account (read only; ignored on insert).
    pub name: Option<String>,
    /// Opened.
    pub created_at: Timestamp,
    /// Last refresh.
    pub last_seen_at: Timestamp,
    /// Absolute end.
    pub expires_at: Timestamp,
    /// Ended before its time.
    pub ended_at: Option<Timestamp>,
    /// Address at login.
    pub ip: Option<IpAddr>,
    /// `User-Agent` at login.
    pub user_agent: Option<String>,
    /// Device facts as the client sent them.
    pub device: Option<Value>,
}

/// The chain of refresh tokens of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyRecord {
    /// Id; the seed from which successors are derived names it.
    pub id: String,
    /// Session.
    pub session: SessionId,
    /// Reusable tokens are never spent; the others rotate.
    pub reusable: bool,
    /// Generation of the one unspent token.
    pub generation: i64,
    /// Made.
    pub created_at: Timestamp,
    /// Absolute end.
    pub expires_at: Timestamp,
    /// Ended before its time.
    pub ended_at: Option<Timestamp>,
}

/// One refresh token: its digest and place in the family, never its text.
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshRecord {
    /// Public half, or `jti` where the token is a JWT.
    pub id: String,
    /// Family.
    pub family: String,
    /// Place in the family, from 0.
    pub generation: i64,
    /// SHA-256 of the secret half or of the whole token.
    pub digest: Digest,
    /// Issued.
    pub issued_at: Timestamp,
    /// End by itself.
    pub expires_at: Timestamp,
    /// When it was traded in; never for reusable ones.
    pub spent_at: Option<Timestamp>,
}

/// What a login opens.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session.
    pub session: SessionRecord,
    /// Its family; `None` in contracts without refresh tokens.
    pub family: Option<(FamilyRecord, RefreshRecord)>,
    /// [`AccountRecord::version`] that was judged; otherwise [`StoreError::Changed`](crate::store::StoreError).
    pub account_version: i64,
    /// Failure counts to clear: digests of the account's folded names.
    pub clear_failures: Vec<Digest>,
    /// The second factor's code to take; [`StoreError::Spent`](crate::store::StoreError) if it was taken before.
    pub factor: Option<super::SpentFactor>,
}

/// Everything needed to judge a refresh token, from one query.
#[derive(Clone, Debug)]
pub struct RefreshState {
    /// The presented token.
    pub token: RefreshRecord,
    /// Its family; the successor is unspent while `family.generation == token.generation + 1`.
    pub family: FamilyRecord,
    /// Its session.
    pub session: SessionRecord,
    /// Its account.
    pub account: AccountRecord,
    /// The client of the standard issuer that it is for; `None`: the contract's own login.
    pub client: Option<ClientId>,
}

/// A rotation: trades the token of `generation` for `successor`.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// The presented token's id.
    pub token: String,
    /// Its family.
    pub family: String,
    /// Its generation, which must still be the family's.
    pub generation: i64,
    /// The next token, `generation + 1`.
    pub successor: RefreshRecord,
    /// New absolute end of session and family (the old one, where the end must not move).
    pub expires_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// Of many rotations of one token at once exactly one wins.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// The successor is stored.
    Won,
    /// Nothing changed; the state as it is now, `None` when the token is gone.
    Lost(Option<Box<RefreshState>>),
}

/// Which of an account's sessions stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spare {
    /// None: all end.
    Nothing,
    /// This one.
    One(SessionId),
}

/// Sessions to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionsToEnd {
    /// This one.
    One(SessionId),
    /// Those of an account.
    Account(AccountId, Spare),
}

/// A session that was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSession {
    /// Which.
    pub id: SessionId,
    /// When.
    pub ended_at: Timestamp,
}

/// An access token that ends before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedToken {
    /// `jti`.
    pub id: TokenId,
    /// When it would have ended by itself.
    pub expires_at: Timestamp,
}

/// A failed login to count.
#[derive(Clone, Debug)]
pub struct LoginFailure {
    /// Realm.
    pub realm: RealmName,
    /// Digest of the folded login name, so that the table holds no list of guessed names.
    pub name: Digest,
    /// Now.
    pub now: Timestamp,
    /// The failure in a row that locks.
    pub threshold: u32,
    /// For how long.
    pub lock_for: Duration,
}

/// Failures in a row of one login name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureState {
    /// How many.
    pub count: u32,
    /// Locked until then; in the past: lifted.
    pub locked_until: Option<Timestamp>,
    /// Whether this very failure set the lock.
    pub locked_now: bool,
}

impl FailureState {
    /// Time until it unlocks; `None`: not locked.
    pub fn locked_for(&self, now: Timestamp) -> Option<Duration> {
        self.locked_until.filter(|until| *until > now).map(|until| until.since(now))
    }
}
