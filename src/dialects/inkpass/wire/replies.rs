//! Success bodies of inkpass. Ids are texts, numbers JSON integers, times end in `Z`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    identity::{
        self, Account, ApiKey, Granted, NewKeyText, Organisation, Permission, PreparedFactor, Team,
    },
    model::{Principal, SecretString, Timestamp, secret::ExposeSecret},
};

/// Who registered.
#[derive(Debug, Serialize)]
pub struct Registered {
    user_id: String,
    email: String,
    organization_id: String,
    status: &'static str,
    message: &'static str,
}

impl From<Account> for Registered {
    fn from(account: Account) -> Self {
        Self {
            user_id: account.id.to_string(),
            status: status(&account),
            email: account.email.unwrap_or_default(),
            organization_id: account.tenant.unwrap_or_default(),
            message: "Registration successful",
        }
    }
}

/// Login and refresh: at a refresh the token stays the same and is sent back, which harms nobody.
#[derive(Serialize)]
pub struct Tokens {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    token_type: &'static str,
    expires_in: u64,
}

impl From<&Granted> for Tokens {
    fn from(granted: &Granted) -> Self {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        Self {
            access_token: text(&granted.access_token),
            refresh_token: granted.refresh_token.as_ref().map(text),
            token_type: "bearer",
            expires_in: granted.expires_in,
        }
    }
}

/// Who a login is.
#[derive(Debug, Serialize)]
pub struct Me {
    id: String,
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
    organization_id: String,
    status: &'static str,
    two_fa_enabled: bool,
    auth_type: &'static str,
    created_at: String,
    updated_at: String,
}

impl From<Account> for Me {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            status: status(&account),
            email: account.email.unwrap_or_default(),
            first_name: account.first_name,
            last_name: account.last_name,
            organization_id: account.tenant.unwrap_or_default(),
            two_fa_enabled: account.second_factor,
            auth_type: "user",
            created_at: account.created_at.iso(),
            updated_at: account.updated_at.iso(),
        }
    }
}

/// Which key a key is. Of one that the operator chose nothing is known but what it may.
#[derive(Debug, Serialize)]
pub struct KeyFacts {
    id: String,
    name: String,
    organization_id: String,
    user_id: Option<String>,
    scopes: Vec<String>,
    auth_type: &'static str,
}

impl KeyFacts {
    /// From what the edge proved, and the stored key if there is one.
    pub fn new(caller: &Principal, stored: Option<ApiKey>) -> Self {
        let id = caller.key.as_ref().map(ToString::to_string).unwrap_or_default();
        let scopes = caller.scopes.iter().flat_map(|scopes| scopes.iter()).map(str::to_owned);
        let named = caller.username.as_deref().unwrap_or(&id).to_owned();
        Self {
            user_id: stored.as_ref().map(|key| key.owner.to_string()),
            name: stored.map_or(named, |key| key.name),
            organization_id: caller.tenant.as_deref().unwrap_or_default().to_owned(),
            scopes: scopes.collect(),
            auth_type: "api_key",
            id,
        }
    }
}

/// Answer to `check`.
#[derive(Debug, Serialize)]
pub struct Checked<'a> {
    /// The answer.
    pub has_permission: bool,
    /// What was asked.
    pub resource: &'a str,
    /// What was asked.
    pub action: &'a str,
    /// About whom.
    pub user_id: &'a str,
    /// In which organisation.
    pub organization_id: &'a str,
}

/// Answer to `permissions/check`.
#[derive(Debug, Serialize)]
pub struct PermittedAnswer<'a> {
    /// The answer.
    pub allowed: bool,
    /// What was asked.
    pub resource: &'a str,
    /// What was asked.
    pub action: &'a str,
}

/// The own account after a change.
#[derive(Debug, Serialize)]
pub struct Profile {
    id: String,
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
    organization_id: String,
}

impl From<Account> for Profile {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.unwrap_or_default(),
            first_name: account.first_name,
            last_name: account.last_name,
            organization_id: account.tenant.unwrap_or_default(),
        }
    }
}

/// A second factor that waits for its first code.
#[derive(Serialize)]
pub struct FactorSetup {
    secret: String,
    qr_code: String,
    uri: String,
}

impl FactorSetup {
    /// With the picture of the address, as a data URI.
    pub fn new(prepared: &PreparedFactor, qr_code: String) -> Self {
        Self {
            secret: prepared.secret.expose_secret().to_owned(),
            qr_code,
            uri: prepared.uri.expose_secret().to_owned(),
        }
    }
}

/// Backup codes, shown once.
#[derive(Serialize)]
pub struct BackupCodes {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    backup_codes: Vec<String>,
}

impl BackupCodes {
    /// With a sentence, where the contract has one.
    pub fn new(message: Option<&'static str>, codes: &[SecretString]) -> Self {
        let backup_codes = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
        Self { message, backup_codes }
    }
}

/// A permission. Conditions are a map, never null.
#[derive(Debug, Serialize)]
pub struct PermissionItem {
    id: String,
    organization_id: String,
    resource: String,
    action: String,
    conditions: Arc<Map<String, Value>>,
    created_at: String,
}

impl From<Permission> for PermissionItem {
    fn from(permission: Permission) -> Self {
        Self {
            id: permission.id.to_string(),
            organization_id: permission.organisation.to_string(),
            resource: permission.resource,
            action: permission.action,
            conditions: permission.conditions,
            created_at: permission.created_at.iso(),
        }
    }
}

/// What a member was granted.
#[derive(Debug, Serialize)]
pub struct Grants {
    user_id: String,
    email: String,
    permissions: Vec<PermissionItem>,
}

impl Grants {
    /// Of this account.
    pub fn new(account: Account, permissions: Vec<Permission>) -> Self {
        Self {
            user_id: account.id.to_string(),
            email: account.email.unwrap_or_default(),
            permissions: permissions.into_iter().map(PermissionItem::from).collect(),
        }
    }
}

/// A group.
#[derive(Debug, Serialize)]
pub struct Group {
    id: String,
    name: String,
    description: Option<String>,
    organization_id: String,
    created_at: String,
}

impl From<Team> for Group {
    fn from(team: Team) -> Self {
        Self {
            id: team.id.to_string(),
            name: team.name,
            description: team.description,
            organization_id: team.organisation.to_string(),
            created_at: team.created_at.iso(),
        }
    }
}

/// A key in a list: no secret.
#[derive(Debug, Serialize)]
pub struct KeyItem {
    id: String,
    name: String,
    user_id: String,
    scopes: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

impl From<ApiKey> for KeyItem {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            scopes: key.scopes.names(),
            name: key.name,
            user_id: key.owner.to_string(),
            created_at: key.created_at.iso(),
            expires_at: key.expires_at.map(Timestamp::iso),
            last_used_at: key.last_used_at.map(Timestamp::iso),
        }
    }
}

/// A key just made. The only reply that ever holds its text, under both names that clients read (trap 4).
#[derive(Serialize)]
pub struct KeyMade {
    key: String,
    api_key: String,
    organization_id: String,
    #[serde(flatten)]
    item: KeyItem,
}

impl KeyMade {
    /// In this organisation.
    pub fn new(made: NewKeyText, organisation: &str) -> Self {
        let text = made.text.expose_secret().to_owned();
        Self {
            key: text.clone(),
            api_key: text,
            organization_id: organisation.to_owned(),
            item: made.key.into(),
        }
    }
}

/// A key whose scopes were replaced.
#[derive(Debug, Serialize)]
pub struct KeyScopes {
    id: String,
    name: String,
    scopes: Vec<String>,
}

impl From<ApiKey> for KeyScopes {
    fn from(key: ApiKey) -> Self {
        Self { id: key.id.to_string(), scopes: key.scopes.names(), name: key.name }
    }
}

/// How a key was used.
#[derive(Debug, Serialize)]
pub struct KeyUsage {
    id: String,
    name: String,
    last_used_at: Option<String>,
    created_at: String,
    usage_count: u64,
}

impl From<ApiKey> for KeyUsage {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            last_used_at: key.last_used_at.map(Timestamp::iso),
            created_at: key.created_at.iso(),
            usage_count: key.usage_count,
        }
    }
}

/// A user of the caller's organisation.
#[derive(Debug, Serialize)]
pub struct Member {
    id: String,
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
    status: &'static str,
    two_fa_enabled: bool,
    organization_id: String,
    role: String,
}

impl From<identity::Member> for Member {
    fn from(member: identity::Member) -> Self {
        let account = member.account;
        Self {
            id: account.id.to_string(),
            status: status(&account),
            email: account.email.unwrap_or_default(),
            first_name: account.first_name,
            last_name: account.last_name,
            two_fa_enabled: account.second_factor,
            organization_id: member.organisation.to_string(),
            role: member.role,
        }
    }
}

/// A member in the list of an organisation.
#[derive(Debug, Serialize)]
pub struct MemberItem {
    id: String,
    email: String,
    status: &'static str,
    role: String,
}

impl From<identity::Member> for MemberItem {
    fn from(member: identity::Member) -> Self {
        Self {
            id: member.account.id.to_string(),
            status: status(&member.account),
            email: member.account.email.unwrap_or_default(),
            role: member.role,
        }
    }
}

/// An organisation in a list.
#[derive(Debug, Serialize)]
pub struct OrganizationItem {
    id: String,
    name: String,
    slug: String,
}

impl From<Organisation> for OrganizationItem {
    fn from(organisation: Organisation) -> Self {
        Self { id: organisation.id.to_string(), name: organisation.name, slug: organisation.slug }
    }
}

/// One organisation.
#[derive(Debug, Serialize)]
pub struct OrganizationWhole {
    #[serde(flatten)]
    item: OrganizationItem,
    settings: Map<String, Value>,
    created_at: String,
}

impl From<Organisation> for OrganizationWhole {
    fn from(organisation: Organisation) -> Self {
        Self {
            created_at: organisation.created_at.iso(),
            settings: Map::new(),
            item: organisation.into(),
        }
    }
}

fn status(account: &Account) -> &'static str {
    if account.enabled { "active" } else { "inactive" }
}
