//! Accounts of a realm.

use serde_json::Value;

use crate::model::{AccountId, Digest, RealmName, SecretString, SessionId, Timestamp};

/// Whether an account may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// It may.
    Active,
    /// Made, but the address is not yet proven and the realm asks for that.
    Pending,
    /// Switched off by an administrator.
    Disabled,
    /// Removed softly; the name stays taken.
    Deleted,
}

impl AccountStatus {
    /// The stored spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the stored spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Pending, Self::Disabled, Self::Deleted]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// One account, whole.
#[derive(Clone, Debug)]
pub struct AccountRecord {
    /// UUID, lower case.
    pub id: AccountId,
    /// Realm.
    pub realm: RealmName,
    /// Login name as given; unique in the realm without case.
    pub username: Option<String>,
    /// Address as given; unique in the realm without case.
    pub email: Option<String>,
    /// PHC or bcrypt text; `None`: no password login.
    pub password_hash: Option<SecretString>,
    /// When the password was last set.
    pub password_changed_at: Option<Timestamp>,
    /// Whether it may log in.
    pub status: AccountStatus,
    /// Role names.
    pub roles: Vec<String>,
    /// Organisation or namespace.
    pub tenant: Option<String>,
    /// Whole name.
    pub full_name: Option<String>,
    /// First name, where a contract has it apart.
    pub first_name: Option<String>,
    /// Last name, where a contract has it apart.
    pub last_name: Option<String>,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// Encrypted TOTP seed.
    pub totp_secret: Option<super::Ciphertext>,
    /// When the second factor was switched on.
    pub totp_enabled_at: Option<Timestamp>,
    /// Free-form map of the user.
    pub preferences: Value,
    /// Counts changes of password, status and roles; [`NewSession`](super::NewSession) is held against it.
    pub version: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Last successful login.
    pub last_login_at: Option<Timestamp>,
}

impl AccountRecord {
    /// An active account without names, roles or password, to be filled with `..`.
    pub fn new(id: AccountId, realm: RealmName, now: Timestamp) -> Self {
        Self {
            id,
            realm,
            username: None,
            email: None,
            password_hash: None,
            password_changed_at: None,
            status: AccountStatus::Active,
            roles: Vec::new(),
            tenant: None,
            full_name: None,
            first_name: None,
            last_name: None,
            email_verified: false,
            totp_secret: None,
            totp_enabled_at: None,
            preferences: Value::Object(serde_json::Map::new()),
            version: 0,
            created_at: now,
            updated_at: now,
            last_login_at: None,
        }
    }

    /// Whether it may log in now.
    pub fn enabled(&self) -> bool {
        self.status == AccountStatus::Active
    }
}

/// Answer of an all-or-nothing insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// All of them.
    All,
    /// None of them: `(index, field)` of every record whose field is taken, within the batch or in the store.
    None(Vec<(usize, &'static str)>),
}

/// An account after a change, and the sessions that ended with it.
#[derive(Clone, Debug)]
pub struct AccountChange {
    /// After the change.
    pub account: AccountRecord,
    /// Sessions of the account that have ended, where the change ends any; tell the revocation view. Not only those that
    /// this very call ended: an earlier one may have been committed without its caller learning of it.
    pub ended: Vec<SessionId>,
}

/// A new password.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// Whose.
    pub account: AccountId,
    /// The new hash.
    pub hash: SecretString,
    /// Only if the account's version is still this one; `None` for the operator.
    pub expected_version: Option<i64>,
    /// Sessions to end with it; `None` ends none.
    pub end: Option<super::Spare>,
    /// Failure counts to clear: digests of the account's folded names.
    pub clear_failures: Vec<Digest>,
    /// Now.
    pub now: Timestamp,
}

/// A change of an account: what is `None` stays as it is.
#[derive(Clone, Debug)]
pub struct AccountUpdate {
    /// Whose.
    pub account: AccountId,
    /// Only if the account's version is still this one.
    pub expected_version: Option<i64>,
    /// Address.
    pub email: Option<String>,
    /// Whether the address is proven.
    pub email_verified: Option<bool>,
    /// New hash.
    pub password_hash: Option<SecretString>,
    /// Status.
    pub status: Option<AccountStatus>,
    /// Role names.
    pub roles: Option<Vec<String>>,
    /// Whole name.
    pub full_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Free-form map.
    pub preferences: Option<Value>,
    /// Sessions to end with it; `None` ends none.
    pub end: Option<super::Spare>,
    /// Purposes whose codes of this account are void with it.
    pub void_codes: Vec<&'static str>,
    /// Failure counts to clear.
    pub clear_failures: Vec<Digest>,
    /// What is to be delivered because of it.
    pub parcels: Vec<super::OutboxRecord>,
    /// Now.
    pub now: Timestamp,
}

impl AccountUpdate {
    /// No change yet, to be filled with `..`.
    pub fn new(account: AccountId, now: Timestamp) -> Self {
        Self {
            account,
            expected_version: None,
            email: None,
            email_verified: None,
            password_hash: None,
            status: None,
            roles: None,
            full_name: None,
            first_name: None,
            last_name: None,
            preferences: None,
            end: None,
            void_codes: Vec::new(),
            clear_failures: Vec::new(),
            parcels: Vec::new(),
            now,
        }
    }

    /// Whether it touches what a login is judged by.
    pub fn counts_version(&self) -> bool {
        self.password_hash.is_some() || self.status.is_some() || self.roles.is_some()
    }
}

/// A page of a realm's accounts, removed ones left out.
#[derive(Clone, Debug)]
pub struct AccountQuery {
    /// Realm.
    pub realm: RealmName,
    /// Part of a name or address, in any case.
    pub search: Option<String>,
    /// Only with this role.
    pub role: Option<String>,
    /// Only such that may or may not log in.
    pub enabled: Option<bool>,
    /// How many to pass over.
    pub offset: u32,
    /// How many at most.
    pub limit: u32,
}
