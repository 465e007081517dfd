//! Clients of the standard issuer, and what was issued to them.

use serde_json::Value;

use crate::model::{
    AccountId, ClientId, Digest, MountName, RealmName, SessionId, Timestamp, TokenId,
};

use super::{AccountRecord, CodeRecord, FamilyRecord, RefreshRecord, RevokedToken};

/// A client: a service account, or an application that people log in to.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientRecord {
    /// `client_id`.
    pub id: ClientId,
    /// Mount it belongs to.
    pub mount: MountName,
    /// Realm of the mount.
    pub realm: RealmName,
    /// Name.
    pub name: String,
    /// SHA-256 of the secret; `None` where it proves itself with a key.
    pub secret: Option<Digest>,
    /// The secret before, and until when it is still good.
    pub spare_secret: Option<(Digest, Timestamp)>,
    /// Its public keys.
    pub jwks: Option<Value>,
    /// Scopes it may have.
    pub scopes: Vec<String>,
    /// Its roles where it acts for itself.
    pub roles: Vec<String>,
    /// What it may do.
    pub grants: Vec<String>,
    /// Resources it may have tokens for.
    pub resources: Vec<String>,
    /// Where browsers may be sent back to.
    pub redirect_uris: Vec<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// End by itself.
    pub expires_at: Option<Timestamp>,
    /// Disabled since.
    pub disabled_at: Option<Timestamp>,
}

impl ClientRecord {
    /// Neither disabled nor expired.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.disabled_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// An access token of the standard issuer, never its text.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedRecord {
    /// `jti`.
    pub id: TokenId,
    /// Mount.
    pub mount: MountName,
    /// To whom.
    pub client: ClientId,
    /// On whose behalf; `None`: the client's own.
    pub account: Option<AccountId>,
    /// Session it ends with.
    pub session: Option<SessionId>,
    /// The token it was made from.
    pub parent: Option<TokenId>,
    /// Issued.
    pub created_at: Timestamp,
    /// End by itself.
    pub expires_at: Timestamp,
}

/// An access token that lives and was noted when it was issued: an agent's, or one of the standard issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveToken {
    /// `jti`.
    pub id: TokenId,
    /// Mount.
    pub mount: MountName,
    /// Realm.
    pub realm: Option<RealmName>,
    /// The client it was issued to; `None`: the contract issued it.
    pub client: Option<ClientId>,
    /// Type of the agent, where the contract issued it to one.
    pub agent: Option<String>,
    /// On whose behalf; `None`: the client's own.
    pub account: Option<AccountId>,
    /// Login name or e-mail of the account.
    pub name: Option<String>,
    /// Session it ends with.
    pub session: Option<SessionId>,
    /// Issued.
    pub created_at: Timestamp,
    /// End by itself.
    pub expires_at: Timestamp,
}

/// Which of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveTokens<'a> {
    /// Only of this realm.
    pub realm: Option<&'a RealmName>,
    /// Only on behalf of this account.
    pub account: Option<&'a AccountId>,
    /// Only this one.
    pub id: Option<&'a TokenId>,
}

/// What ended with a client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndedGrants {
    /// Access tokens.
    pub tokens: Vec<RevokedToken>,
    /// Sessions that people opened for it.
    pub sessions: Vec<SessionId>,
}

/// A login for a client, beside its session.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSession {
    /// Which.
    pub client: ClientId,
    /// What it may have.
    pub scopes: Vec<String>,
    /// For which resources.
    pub audiences: Vec<String>,
    /// The code that its browser brings it.
    pub code: CodeRecord,
}

/// A client's login as it is kept.
#[derive(Clone, Debug)]
pub struct ClientLogged {
    /// Which client.
    pub client: ClientId,
    /// What it may have.
    pub scopes: Vec<String>,
    /// For which resources.
    pub audiences: Vec<String>,
    /// Whose login.
    pub account: AccountRecord,
}

/// A code being traded for tokens.
#[derive(Clone, Debug)]
pub struct RedeemedGrant {
    /// Realm of the code.
    pub realm: RealmName,
    /// Its purpose.
    pub purpose: String,
    /// Itself.
    pub digest: Digest,
    /// What is remembered of it.
    pub spent: CodeRecord,
    /// The session it was made in.
    pub session: SessionId,
    /// New end of the session.
    pub ends: Timestamp,
    /// Refresh tokens, where the client may have some.
    pub refresh: Option<(FamilyRecord, RefreshRecord)>,
    /// The access token.
    pub token: IssuedRecord,
    /// Now.
    pub now: Timestamp,
}
