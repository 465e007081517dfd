//! Requests to and answers from [`super::Identity`]: plain values in the core's words.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::{
    AccountId, ClientFacts, KeyId, MountName, RealmName, ScopeSet, SecretString, SessionId,
    Timestamp,
};

/// On whose behalf something is done, for rules that need the address and for the audit log.
#[derive(Clone, Debug)]
pub struct Actor {
    /// A client behind the edge, or `None` for the operator.
    pub client: Option<ClientFacts>,
    /// The proven account, if any.
    pub account: Option<AccountId>,
}

impl Actor {
    /// The operator, by socket or operator token.
    pub const fn operator() -> Self {
        Self { client: None, account: None }
    }

    /// An unproven client.
    pub const fn client(facts: ClientFacts) -> Self {
        Self { client: Some(facts), account: None }
    }

    /// Client address, if there is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.client.as_ref().map(|client| client.address)
    }
}

/// A login attempt.
#[derive(Debug)]
pub struct Login {
    /// Login name or e-mail address.
    pub name: String,
    /// Password as sent; any string.
    pub password: SecretString,
    /// Free-form device facts of the client, kept with the session.
    pub device: Option<serde_json::Value>,
    /// Whether the client asks to be remembered for longer, where the mount knows that.
    pub remember: bool,
    /// Code of the second factor, for accounts that have one.
    pub second_factor: Option<SecretString>,
}

impl Login {
    /// With nothing but name and password.
    pub fn new(name: String, password: SecretString) -> Self {
        Self { name, password, device: None, remember: false, second_factor: None }
    }
}

/// Tokens issued at login or refresh.
#[derive(Debug)]
pub struct Granted {
    /// Compact JWS.
    pub access_token: SecretString,
    /// Seconds it lives from now.
    pub expires_in: u64,
    /// Refresh token as the client must send it back; `None` where the mount has none.
    pub refresh_token: Option<SecretString>,
    /// Seconds until the session ends by itself, and the refresh token with it.
    pub session_expires_in: u64,
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub account: Account,
}

/// An account as others may see it: no hash, no secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account {
    /// UUID.
    pub id: AccountId,
    /// Realm.
    pub realm: RealmName,
    /// Login name.
    pub username: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Whole name.
    pub full_name: Option<String>,
    /// First name, where a contract has it apart.
    pub first_name: Option<String>,
    /// Last name, where a contract has it apart.
    pub last_name: Option<String>,
    /// Free-form map of the user.
    pub preferences: serde_json::Value,
    /// Role names.
    pub roles: Vec<String>,
    /// Organisation or namespace (`agent_namespace`).
    pub tenant: Option<String>,
    /// Whether it may log in.
    pub enabled: bool,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// Whether a login needs a second factor.
    pub second_factor: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Last successful login.
    pub last_login_at: Option<Timestamp>,
}

/// Whether a new password must meet the realm's creation rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordPolicy {
    /// It must.
    Enforce,
    /// Operator's choice, with a warning in the log (bootstrap accounts).
    Bypass,
}

/// What proves that somebody reads mail at an address: the code, and the address where the code is short.
#[derive(Debug)]
pub struct Proof {
    /// The code as typed or as it stood in the link.
    pub code: SecretString,
    /// The address it was sent to; needed for codes of digits.
    pub email: Option<String>,
}

/// A stranger's request for an account.
#[derive(Debug)]
pub struct Registration {
    /// Login name, where the contract has one.
    pub username: Option<String>,
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: SecretString,
    /// Whole name.
    pub full_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Free-form map.
    pub preferences: Option<serde_json::Value>,
    /// Name of the organisation, in realms that give every account one; `None`: made from the account's own names.
    pub organisation: Option<String>,
    /// Whether a code to prove the address is sent at once.
    pub send_verification: bool,
}

impl Registration {
    /// With nothing but address and password; no code is sent.
    pub fn new(email: String, password: SecretString) -> Self {
        Self {
            username: None,
            email,
            password,
            full_name: None,
            first_name: None,
            last_name: None,
            preferences: None,
            organisation: None,
            send_verification: false,
        }
    }
}

/// A change of an account: what is `None` stays as it is.
#[derive(Debug, Default)]
pub struct AccountChanges {
    /// New address; it counts as unproven.
    pub email: Option<String>,
    /// New password.
    pub password: Option<SecretString>,
    /// Whole name.
    pub full_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Free-form map, replaced as a whole.
    pub preferences: Option<serde_json::Value>,
    /// Roles. An administrator's alone.
    pub roles: Option<Vec<String>>,
    /// Whether it may log in. An administrator's alone.
    pub enabled: Option<bool>,
    /// Whether the address counts as proven. An administrator's alone.
    pub email_verified: Option<bool>,
}

/// Which accounts an administrator wants to see.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Part of a name or address, in any case.
    pub search: Option<String>,
    /// Only with this role.
    pub role: Option<String>,
    /// Only such that may or may not log in.
    pub enabled: Option<bool>,
}

/// One page of accounts.
#[derive(Clone, Debug)]
pub struct AccountPage {
    /// The page.
    pub accounts: Vec<Account>,
    /// How many there are in all.
    pub total: u64,
}

/// Something that leaves the house, opened for a try.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Id; the same at every try.
    pub id: String,
    /// Realm.
    pub realm: RealmName,
    /// Mount on whose behalf it leaves.
    pub mount: MountName,
    /// What is inside. It may hold a code: never logged.
    pub content: serde_json::Value,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Of no use after that.
    pub expires_at: Timestamp,
}

/// What became of a try to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrived.
    Arrived,
    /// Not this time; again after this long.
    Later(Duration),
    /// It never will; why, without addresses or codes.
    Never(String),
}

/// A new account.
#[derive(Debug)]
pub struct NewAccount {
    /// Login name.
    pub username: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Password.
    pub password: SecretString,
    /// Whether the creation rule holds.
    pub policy: PasswordPolicy,
    /// Whole name.
    pub full_name: Option<String>,
    /// Roles; `None`: the realm's default role.
    pub roles: Option<Vec<String>>,
    /// Organisation or namespace.
    pub tenant: Option<String>,
}

/// A new API key.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// Name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Scope names in any case.
    pub scopes: Vec<String>,
    /// Life time; `None`: no end.
    pub lifetime: Option<Duration>,
    /// Addresses it may be used from, as texts (`10.0.0.1`, `10.0.0.0/8`); empty: any.
    pub allowed_ips: Vec<String>,
    /// Requests per hour; `None`: unlimited.
    pub rate_limit_per_hour: Option<u32>,
}

/// An API key as others may see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApiKey {
    /// Public id, prefix included.
    pub id: KeyId,
    /// Mount it is valid at.
    pub mount: MountName,
    /// Owner.
    pub owner: AccountId,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// First characters of the secret.
    pub hint: String,
    /// Scopes.
    pub scopes: ScopeSet,
    /// Addresses; empty: any.
    pub allowed_ips: Vec<IpNet>,
    /// Requests per hour.
    pub rate_limit_per_hour: Option<u32>,
    /// Neither revoked nor expired.
    pub active: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// End by itself.
    pub expires_at: Option<Timestamp>,
    /// Revocation.
    pub revoked_at: Option<Timestamp>,
    /// Last use, batched: may lag by some seconds.
    pub last_used_at: Option<Timestamp>,
    /// Number of requests, batched like `last_used_at` but including what is not yet written.
    pub usage_count: u64,
}

/// A key just made; the only moment its text exists.
#[derive(Debug)]
pub struct NewKeyText {
    /// Its record.
    pub key: ApiKey,
    /// The whole text.
    pub text: SecretString,
}

/// A key's successor.
#[derive(Debug)]
pub struct RotatedKey {
    /// The new key.
    pub new: NewKeyText,
    /// The old key's id.
    pub replaces: KeyId,
    /// Until when the old key is valid.
    pub old_valid_until: Timestamp,
}

/// A login session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Session {
    /// Id.
    pub id: SessionId,
    /// Mount it was opened at.
    pub mount: MountName,
    /// Realm.
    pub realm: RealmName,
    /// Whose.
    pub account: AccountId,
    /// Login name or e-mail of the account.
    pub name: Option<String>,
    /// Opened.
    pub created_at: Timestamp,
    /// Last refresh.
    pub last_seen_at: Timestamp,
    /// Absolute end.
    pub expires_at: Timestamp,
    /// Address at login.
    pub address: Option<IpAddr>,
    /// `User-Agent` at login.
    pub user_agent: Option<String>,
    /// Device facts as sent.
    pub device: Option<serde_json::Value>,
}

/// What happened to an import.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ImportReport {
    /// Accounts made; zero when anything was refused.
    pub imported: usize,
    /// Refused lines.
    pub refused: Vec<RefusedLine>,
}

/// One refused line of an import.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefusedLine {
    /// From 1.
    pub line: usize,
    /// What is wrong, without the hash.
    pub why: String,
}

/// Event types of the audit log, upper snake case on the wire (contract tmws).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum EventKind {
    LoginSuccess,
    LoginFailed,
    LoginSuspicious,
    Logout,
    TokenRefresh,
    RefreshReuse,
    PasswordChange,
    PasswordResetRequested,
    PasswordReset,
    VerificationRequested,
    EmailVerified,
    CodeRefused,
    DeliveryGivenUp,
    AccountLocked,
    AccountCreated,
    AccountRegistered,
    AccountDeleted,
    AccountChanged,
    AccountDisabled,
    AccountEnabled,
    AccountsImported,
    ApiKeyCreated,
    ApiKeyRotated,
    ApiKeyChanged,
    ApiKeyRevoked,
    GroupChanged,
    PermissionChanged,
    PermissionGranted,
    SecondFactorEnabled,
    SecondFactorDisabled,
    SecondFactorUsed,
    BackupCodesRenewed,
    SessionEnded,
    SessionOpened,
    SigningKeyRotated,
    ClientCreated,
    ClientSecretRotated,
    ClientDisabled,
    ClientEnabled,
    ClientRemoved,
    ClientRefused,
    TokenIssued,
    TokenRevoked,
    AuthorizationCodeReuse,
    AgentAuthenticated,
    AgentRefused,
    AgentCapabilityDenied,
    AgentCapabilityUsed,
    AgentTokenExpired,
    WebhookCreated,
    WebhookChanged,
    WebhookDeleted,
    WebhookRepeated,
    PermissionDenied,
    RateLimitExceeded,
    AccountLinked,
    AccountUnlinked,
    UserAllowed,
    UserRemoved,
}

/// A fact to record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditEvent {
    /// What.
    pub kind: EventKind,
    /// Realm, if any.
    pub realm: Option<RealmName>,
    /// Mount, if any.
    pub mount: Option<MountName>,
    /// Account it is about.
    pub account: Option<AccountId>,
    /// Client address.
    pub address: Option<IpAddr>,
    /// Client program.
    pub user_agent: Option<Arc<str>>,
    /// Request id.
    pub request_id: Option<String>,
    /// Further facts, never secret.
    pub details: serde_json::Value,
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Node that wrote it.
    pub node: String,
    /// Position in the chain of that node.
    pub seq: u64,
    /// `LOGIN_SUCCESS`, …
    pub event_type: String,
    /// When.
    pub timestamp: Timestamp,
    /// Realm.
    pub realm: Option<String>,
    /// Mount.
    pub mount: Option<String>,
    /// Account.
    pub user_id: Option<String>,
    /// Address.
    pub ip_address: Option<String>,
    /// Client program.
    pub user_agent: Option<String>,
    /// Request id.
    pub request_id: Option<String>,
    /// Further facts.
    pub details: serde_json::Value,
}

/// Result of checking the chain of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditCheck {
    /// Events that were read.
    pub checked: u64,
    /// What is wrong; `None`: the chain is whole.
    pub fault: Option<String>,
}

/// Numbers for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Password hashes running.
    pub hashes_running: usize,
    /// Logins waiting for a hash permit.
    pub hashes_waiting: usize,
    /// Ended tokens and sessions held in memory.
    pub revocations: usize,
}
