//! Agent tokens.

use serde_json::Value;

use crate::model::{AccountId, MountName, RealmName, SessionId, Timestamp, TokenId};

/// An agent token: what it was granted, never its text.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentTokenRecord {
    /// `jti`.
    pub id: TokenId,
    /// On whose behalf.
    pub account: AccountId,
    /// Session it ends with; `None` where an API key asked for it.
    pub session: Option<SessionId>,
    /// Mount.
    pub mount: MountName,
    /// Type of the agent.
    pub kind: String,
    /// Granted.
    pub capabilities: Vec<String>,
    /// Told to the agent.
    pub restrictions: Value,
    /// What it was asked for.
    pub task_context: Value,
    /// Issued.
    pub created_at: Timestamp,
    /// End by itself.
    pub expires_at: Timestamp,
}

/// An agent token that has expired.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpiredAgent {
    /// `jti`.
    pub id: TokenId,
    /// On whose behalf.
    pub account: AccountId,
    /// Realm of the account.
    pub realm: RealmName,
    /// Mount.
    pub mount: MountName,
    /// Session it would have ended with.
    pub session: Option<SessionId>,
    /// Type of the agent.
    pub kind: String,
    /// Issued.
    pub created_at: Timestamp,
    /// When it expired.
    pub expires_at: Timestamp,
}
