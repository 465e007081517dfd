//! Success bodies of tmws. Numbers are JSON integers, times end in `Z`, every body is an object.

use serde::Serialize;

use crate::{
    dialects::health::{HealthFacts, Members},
    identity::{Account, ApiKey, Granted, NewKeyText, RotatedKey},
    model::{Timestamp, secret::ExposeSecret},
    pipeline::Toll,
};

/// Login and refresh. Only login carries `user`.
#[derive(Serialize)]
pub struct Tokens {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Brief>,
}

#[derive(Debug, Serialize)]
struct Brief {
    id: String,
    username: Option<String>,
    email: Option<String>,
    roles: Vec<String>,
    agent_namespace: Option<String>,
}

/// Writes granted tokens down; `with_user` for the login.
pub fn tokens(granted: &Granted, with_user: bool) -> Tokens {
    let account = &granted.account;
    Tokens {
        access_token: granted.access_token.expose_secret().to_owned(),
        // A mount of this contract always has refresh tokens.
        refresh_token: granted
            .refresh_token
            .as_ref()
            .map_or_else(String::new, |token| token.expose_secret().to_owned()),
        token_type: "bearer",
        expires_in: granted.expires_in,
        user: with_user.then(|| Brief {
            id: account.id.to_string(),
            username: account.username.clone(),
            email: account.email.clone(),
            roles: account.roles.clone(),
            agent_namespace: account.tenant.clone(),
        }),
    }
}

/// The user object: nothing of the password, not even when it was changed.
#[derive(Debug, Serialize)]
pub struct User {
    id: String,
    username: Option<String>,
    email: Option<String>,
    full_name: Option<String>,
    roles: Vec<String>,
    agent_namespace: Option<String>,
    is_active: bool,
    created_at: String,
    updated_at: String,
    last_login: Option<String>,
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            username: account.username,
            email: account.email,
            full_name: account.full_name,
            roles: account.roles,
            agent_namespace: account.tenant,
            is_active: account.enabled,
            created_at: account.created_at.iso(),
            updated_at: account.updated_at.iso(),
            last_login: account.last_login_at.map(Timestamp::iso),
        }
    }
}

/// Facts of a key that its creation repeats flat and under `key_info` (trap 8).
#[derive(Clone, Debug, Serialize)]
struct KeyInfo {
    key_id: String,
    name: String,
    description: Option<String>,
    scopes: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
    allowed_ips: Vec<String>,
    rate_limit_per_hour: Option<u32>,
    is_active: bool,
}

impl From<&ApiKey> for KeyInfo {
    fn from(key: &ApiKey) -> Self {
        Self {
            key_id: key.id.to_string(),
            name: key.name.clone(),
            description: key.description.clone(),
            scopes: key.scopes.names(),
            created_at: key.created_at.iso(),
            expires_at: key.expires_at.map(Timestamp::iso),
            allowed_ips: key.allowed_ips.iter().map(|net| plain(*net)).collect(),
            rate_limit_per_hour: key.rate_limit_per_hour,
            is_active: key.active,
        }
    }
}

/// A key just made. The only reply that ever holds its text.
#[derive(Serialize)]
pub struct Created {
    api_key: String,
    #[serde(flatten)]
    flat: KeyInfo,
    key_info: KeyInfo,
}

impl From<&NewKeyText> for Created {
    fn from(new: &NewKeyText) -> Self {
        let info = KeyInfo::from(&new.key);
        Self { api_key: new.text.expose_secret().to_owned(), flat: info.clone(), key_info: info }
    }
}

/// A key's successor.
#[derive(Serialize)]
pub struct Rotated {
    #[serde(flatten)]
    created: Created,
    replaces: String,
    old_valid_until: String,
}

impl From<&RotatedKey> for Rotated {
    fn from(rotated: &RotatedKey) -> Self {
        Self {
            created: Created::from(&rotated.new),
            replaces: rotated.replaces.to_string(),
            old_valid_until: rotated.old_valid_until.iso(),
        }
    }
}

/// The caller's keys.
#[derive(Debug, Serialize)]
pub struct KeyList {
    api_keys: Vec<Listed>,
    total: usize,
}

#[derive(Debug, Serialize)]
struct Listed {
    key_id: String,
    name: String,
    description: Option<String>,
    key_prefix: String,
    scopes: Vec<String>,
    is_active: bool,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    usage_count: u64,
    total_requests: u64,
}

impl From<Vec<ApiKey>> for KeyList {
    fn from(keys: Vec<ApiKey>) -> Self {
        let api_keys: Vec<_> = keys.into_iter().map(Listed::from).collect();
        Self { total: api_keys.len(), api_keys }
    }
}

impl From<ApiKey> for Listed {
    fn from(key: ApiKey) -> Self {
        Self {
            key_id: key.id.to_string(),
            scopes: key.scopes.names(),
            name: key.name,
            description: key.description,
            key_prefix: key.hint,
            is_active: key.active,
            created_at: key.created_at.iso(),
            expires_at: key.expires_at.map(Timestamp::iso),
            last_used_at: key.last_used_at.map(Timestamp::iso),
            usage_count: key.usage_count,
            total_requests: key.usage_count,
        }
    }
}

/// A key's own facts, limit and usage. A key without a limit of its own has null in all three limit fields.
#[derive(Debug, Serialize)]
pub struct CurrentKey {
    #[serde(flatten)]
    info: KeyInfo,
    key_prefix: String,
    last_used_at: Option<String>,
    limit: Option<u32>,
    remaining: Option<u32>,
    reset: Option<i64>,
    usage_count: u64,
}

impl CurrentKey {
    /// `now` turns the time until the limit is full again into an epoch second.
    pub fn new(key: ApiKey, allowance: Option<&Toll>, now: Timestamp) -> Self {
        Self {
            info: KeyInfo::from(&key),
            key_prefix: key.hint,
            last_used_at: key.last_used_at.map(Timestamp::iso),
            limit: allowance.map(|toll| toll.window.limit),
            remaining: allowance.map(|toll| toll.remaining),
            // Rounded up: at that second it is full, not shortly before.
            reset: allowance.map(|toll| (now + toll.reset_after).0.saturating_add(999) / 1000),
            usage_count: key.usage_count,
        }
    }
}

/// A key just revoked.
#[derive(Debug, Serialize)]
pub struct Deleted {
    message: &'static str,
    key_id: String,
}

impl From<ApiKey> for Deleted {
    fn from(key: ApiKey) -> Self {
        Self { message: "API key revoked", key_id: key.id.to_string() }
    }
}

/// `GET /health`; the same shape with 503 when the store does not answer.
pub fn health(facts: &HealthFacts) -> Members {
    let word = facts.word();
    vec![
        ("status", word.into()),
        ("timestamp", facts.now.iso().into()),
        ("components", serde_json::json!({ "database": word, "authentication": "enabled" })),
        ("auth_mode", "jwt_and_api_key".into()),
        ("security_level", "standard".into()),
    ]
}

/// A single address is written as one, as it was most likely given.
fn plain(net: ipnet::IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
