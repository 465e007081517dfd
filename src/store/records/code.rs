//! One-time codes.

use serde_json::Value;

use crate::model::{AccountId, Digest, RealmName, Timestamp};

/// A code that works once: reset, verification, OAuth state, exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeRecord {
    /// Realm.
    pub realm: RealmName,
    /// What it is for; a code of one purpose is none of another.
    pub purpose: String,
    /// SHA-256 of the code (with the account in it, where codes are short).
    pub digest: Digest,
    /// Account, where there is one already.
    pub account: Option<AccountId>,
    /// What belongs to it; never secret in clear.
    pub payload: Value,
    /// Made.
    pub created_at: Timestamp,
    /// End by itself.
    pub expires_at: Timestamp,
}

/// A code as somebody presents it.
#[derive(Clone, Debug)]
pub struct CodeProof {
    /// Realm.
    pub realm: RealmName,
    /// What it should be good for.
    pub purpose: String,
    /// Its digest.
    pub digest: Digest,
    /// Whose it must be. Short codes are counted per account: a wrong one is a try against the account's code.
    pub account: Option<AccountId>,
    /// Tries that a code of an account has; the last wrong one voids it.
    pub attempts: u32,
    /// Now.
    pub now: Timestamp,
}

/// What a presented code is worth. Nothing is burnt yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// It is good.
    Right(CodeRecord),
    /// Unknown, used, expired, wrong, or wrong too often.
    Wrong,
}
