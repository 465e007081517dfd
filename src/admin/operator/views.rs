//! What the operator sees: identity's values with ISO times. No hash and no secret, but a new key's text, once.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    identity::{
        Account, ApiKey, AuditEntry, Client, LiveToken, NewClientSecret, NewKeyText, RotatedKey,
        Session,
    },
    model::{Timestamp, secret::ExposeSecret},
};

/// An account.
#[derive(Serialize, ToSchema)]
pub(super) struct UserView {
    pub(super) id: String,
    realm: String,
    username: Option<String>,
    email: Option<String>,
    full_name: Option<String>,
    roles: Vec<String>,
    tenant: Option<String>,
    enabled: bool,
    email_verified: bool,
    created_at: String,
    updated_at: String,
    last_login_at: Option<String>,
}

impl From<Account> for UserView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            realm: account.realm.to_string(),
            username: account.username,
            email: account.email,
            full_name: account.full_name,
            roles: account.roles,
            tenant: account.tenant,
            enabled: account.enabled,
            email_verified: account.email_verified,
            created_at: account.created_at.iso(),
            updated_at: account.updated_at.iso(),
            last_login_at: account.last_login_at.map(Timestamp::iso),
        }
    }
}

/// An API key.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyView {
    pub(super) id: String,
    mount: String,
    owner: String,
    name: String,
    description: Option<String>,
    /// First characters of the secret.
    hint: String,
    scopes: Vec<String>,
    allowed_ips: Vec<String>,
    rate_limit_per_hour: Option<u32>,
    active: bool,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    last_used_at: Option<String>,
    usage_count: u64,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            mount: key.mount.to_string(),
            owner: key.owner.to_string(),
            name: key.name,
            description: key.description,
            hint: key.hint,
            scopes: key.scopes.names(),
            allowed_ips: key.allowed_ips.iter().map(ToString::to_string).collect(),
            rate_limit_per_hour: key.rate_limit_per_hour,
            active: key.active,
            created_at: key.created_at.iso(),
            expires_at: key.expires_at.map(Timestamp::iso),
            revoked_at: key.revoked_at.map(Timestamp::iso),
            last_used_at: key.last_used_at.map(Timestamp::iso),
            usage_count: key.usage_count,
        }
    }
}

/// A key just made; its text is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeyView {
    /// The whole key as the client must send it.
    api_key: String,
    key: KeyView,
}

impl From<NewKeyText> for NewKeyView {
    fn from(new: NewKeyText) -> Self {
        Self { api_key: new.text.expose_secret().to_owned(), key: new.key.into() }
    }
}

/// A key's successor.
#[derive(Serialize, ToSchema)]
pub(super) struct RotatedView {
    /// The whole new key as the client must send it.
    api_key: String,
    key: KeyView,
    /// Id of the old key.
    replaces: String,
    old_valid_until: String,
}

impl From<RotatedKey> for RotatedView {
    fn from(rotated: RotatedKey) -> Self {
        let NewKeyView { api_key, key } = rotated.new.into();
        Self {
            api_key,
            key,
            replaces: rotated.replaces.to_string(),
            old_valid_until: rotated.old_valid_until.iso(),
        }
    }
}

/// A client of a standard issuer.
#[derive(Serialize, ToSchema)]
pub(super) struct ClientView {
    pub(super) id: String,
    mount: String,
    name: String,
    grants: Vec<String>,
    scopes: Vec<String>,
    roles: Vec<String>,
    resources: Vec<String>,
    redirect_uris: Vec<String>,
    /// Whether it proves itself with a key instead of a secret.
    signs: bool,
    active: bool,
    created_at: String,
    expires_at: Option<String>,
    disabled_at: Option<String>,
}

impl From<Client> for ClientView {
    fn from(client: Client) -> Self {
        Self {
            id: client.id.to_string(),
            mount: client.mount.to_string(),
            name: client.name,
            grants: client.grants,
            scopes: client.scopes,
            roles: client.roles,
            resources: client.resources,
            redirect_uris: client.redirect_uris,
            signs: client.signs,
            active: client.active,
            created_at: client.created_at.iso(),
            expires_at: client.expires_at.map(Timestamp::iso),
            disabled_at: client.disabled_at.map(Timestamp::iso),
        }
    }
}

/// A client just made, or given another secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct NewClientView {
    /// Null where it proves itself with a key.
    client_secret: Option<String>,
    client: ClientView,
}

impl From<NewClientSecret> for NewClientView {
    fn from(new: NewClientSecret) -> Self {
        let client_secret = new.secret.map(|text| text.expose_secret().to_owned());
        Self { client_secret, client: new.client.into() }
    }
}

/// A login session.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionView {
    id: String,
    mount: String,
    realm: String,
    account: String,
    name: Option<String>,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
    address: Option<String>,
    user_agent: Option<String>,
    device: Option<serde_json::Value>,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            mount: session.mount.to_string(),
            realm: session.realm.to_string(),
            account: session.account.to_string(),
            name: session.name,
            created_at: session.created_at.iso(),
            last_seen_at: session.last_seen_at.iso(),
            expires_at: session.expires_at.iso(),
            address: session.address.map(|address| address.to_string()),
            user_agent: session.user_agent,
            device: session.device,
        }
    }
}

/// A token of an agent, or of the standard issuer, that lives.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenView {
    /// Its `jti`.
    id: String,
    mount: String,
    /// The client it was issued to; null: the contract issued it to an agent.
    client: Option<String>,
    agent: Option<String>,
    /// On whose behalf; null: the client's own.
    account: Option<String>,
    name: Option<String>,
    session: Option<String>,
    created_at: String,
    expires_at: String,
}

impl From<LiveToken> for TokenView {
    fn from(token: LiveToken) -> Self {
        Self {
            id: token.id.to_string(),
            mount: token.mount.to_string(),
            client: token.client.map(|id| id.to_string()),
            agent: token.agent,
            account: token.account.map(|id| id.to_string()),
            name: token.name,
            session: token.session.map(|id| id.to_string()),
            created_at: token.created_at.iso(),
            expires_at: token.expires_at.iso(),
        }
    }
}

/// A recorded event.
#[derive(Serialize, ToSchema)]
pub(super) struct EventView {
    /// Node that wrote it.
    node: String,
    /// Position in that node's chain.
    seq: u64,
    event_type: String,
    timestamp: String,
    realm: Option<String>,
    mount: Option<String>,
    user_id: Option<String>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    details: serde_json::Value,
}

impl From<AuditEntry> for EventView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            node: entry.node,
            seq: entry.seq,
            event_type: entry.event_type,
            timestamp: entry.timestamp.iso(),
            realm: entry.realm,
            mount: entry.mount,
            user_id: entry.user_id,
            ip_address: entry.ip_address,
            user_agent: entry.user_agent,
            request_id: entry.request_id,
            details: entry.details,
        }
    }
}

/// A recorded event as it is exported.
#[derive(Serialize, ToSchema)]
pub(super) struct ExportedEvent {
    #[serde(flatten)]
    event: EventView,
    /// Hash of the event and of all before it.
    hash: String,
}

impl From<(AuditEntry, String)> for ExportedEvent {
    fn from((entry, hash): (AuditEntry, String)) -> Self {
        Self { event: entry.into(), hash }
    }
}

/// A part of one node's audit log.
#[derive(Serialize, ToSchema)]
pub(super) struct Exported {
    /// Every node that has a chain of its own.
    pub(super) nodes: Vec<String>,
    /// Oldest first.
    pub(super) events: Vec<ExportedEvent>,
    /// Whether there are more.
    pub(super) more: bool,
}
