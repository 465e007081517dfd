//! Making a token of the standard profile (RFC 9068), and a client's own (RFC 6749 section 4.4).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{AT_JWT, Grant, GrantFault, ProvenClient, Server, Wanted, targets};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, audit, mount_keys::issuer_keys, tokens},
    model::{
        AccountId, Confirmation, MountName, SecretString, SessionId, Timestamp, TokenId,
        confirmation::Thumbprint,
    },
    store::{AuditRecord, ClientRecord, IssuedRecord, StoreError},
};

/// A token just made.
#[derive(Debug)]
pub struct Issued {
    /// Compact JWS.
    pub token: SecretString,
    /// Seconds it lives.
    pub expires_in: u64,
    /// Its scopes, blank separated.
    pub scope: String,
    /// The refresh token beside it, where there is one.
    pub refresh_token: Option<SecretString>,
    /// Whether each use of it is signed with the client's key, so that it is no bearer token.
    pub signs: bool,
}

/// What a token says.
pub(super) struct Content<'a> {
    /// To whom it goes.
    pub(super) client: &'a ClientRecord,
    /// What it is bound to.
    pub(super) bound: Option<Confirmation>,
    /// Whom it is about.
    pub(super) subject: &'a str,
    /// The account, where it is about one.
    pub(super) account: Option<&'a AccountId>,
    /// The session it ends with.
    pub(super) session: Option<&'a SessionId>,
    /// The token it is made from.
    pub(super) parent: Option<&'a TokenId>,
    /// Scopes.
    pub(super) scopes: &'a [String],
    /// Audiences; at least one.
    pub(super) audiences: &'a [String],
    /// No later than this.
    pub(super) ends_by: Option<Timestamp>,
    /// Further claims: roles, names, who acts.
    pub(super) more: Map<String, Value>,
}

/// A token with what the store notes of it.
pub(super) struct Made {
    pub(super) issued: Issued,
    pub(super) record: IssuedRecord,
}

impl Identity {
    /// A token in which a client acts for itself.
    pub async fn grant_to_client(
        &self,
        mount: &MountName,
        client: &ProvenClient,
        wanted: &Wanted,
        by: &Actor,
    ) -> Result<Issued, IdentityError> {
        client.may(Grant::ClientCredentials)?;
        let server = self.server(mount)?;
        let now = self.now();
        let (client, bound) = (&client.record, client.bound);
        let scopes = targets::scopes(&server.own, wanted.scope.as_deref(), client, &[])?;
        let usual = [server.own.audience.to_string()];
        let audiences = if wanted.resources.is_empty() {
            usual.to_vec()
        } else {
            let all: Vec<String> = usual.into_iter().chain(client.resources.clone()).collect();
            targets::audiences(wanted, client, &server.own, &all)?
        };
        let content = Content {
            client,
            bound,
            subject: client.id.as_str(),
            account: None,
            session: None,
            parent: None,
            scopes: &scopes,
            audiences: &audiences,
            ends_by: None,
            more: Map::from_iter([("roles".to_owned(), json!(client.roles))]),
        };
        let made = self.make_token(&server, &content, now)?;
        self.note(&server, made, Grant::ClientCredentials.as_str(), by, now).await
    }

    /// Writes a token down. It must be noted before anybody has it.
    pub(super) fn make_token(
        &self,
        server: &Server,
        content: &Content<'_>,
        now: Timestamp,
    ) -> Result<Made, IdentityError> {
        let own = &server.own;
        let ends = [content.ends_by, content.client.expires_at];
        let end = ends.into_iter().flatten().fold(now + own.access_lifetime, Timestamp::min);
        let expires_in = end.secs().saturating_sub(now.secs());
        let lives = u64::try_from(expires_in).ok().filter(|left| *left > 0);
        let expires_in = lives.ok_or(IdentityError::Grant(GrantFault::Grant))?;
        let id: TokenId = self.inner.uuid()?.into();
        let scope = content.scopes.join(" ");
        let mut claims = content.more.clone();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", (*own.issuer).into());
        set("sub", content.subject.into());
        set(
            "aud",
            match content.audiences {
                [one] => one.as_str().into(),
                many => json!(many),
            },
        );
        set("client_id", content.client.id.as_str().into());
        set("iat", now.secs().into());
        set("exp", end.secs().into());
        set("jti", id.as_str().into());
        set("scope", scope.as_str().into());
        if let Some(session) = content.session {
            set("sid", session.as_str().into());
        }
        if let Some(bound) = &content.bound {
            let members = [("jkt", bound.key), ("x5t#S256", bound.certificate)];
            let written = |(name, print): (&str, Option<Thumbprint>)| {
                Some((name.to_owned(), URL_SAFE_NO_PAD.encode(print?).into()))
            };
            set("cnf", Value::Object(members.into_iter().filter_map(written).collect()));
        }
        let key = self.inner.signing_key(&issuer_keys(&server.mount.name))?;
        let token = tokens::compact_as(&key, AT_JWT, true, &claims)?;
        let record = IssuedRecord {
            id,
            mount: server.mount.name.clone(),
            client: content.client.id.clone(),
            account: content.account.cloned(),
            session: content.session.cloned(),
            parent: content.parent.cloned(),
            created_at: now,
            expires_at: end,
        };
        let signs = content.bound.is_some_and(|bound| bound.key.is_some());
        let issued = Issued { token, expires_in, scope, refresh_token: None, signs };
        Ok(Made { issued, record })
    }

    /// Notes a token in the store with the event that tells of it, and hands it out.
    pub(super) async fn note(
        &self,
        server: &Server,
        made: Made,
        grant: &str,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Issued, IdentityError> {
        let Made { issued, record } = made;
        let told = told_of(server, &record, grant, &issued.scope, by, now);
        match self.inner.store.insert_issued(&record, &[told]).await {
            // Client, session or parent ended while this ran.
            Err(StoreError::Changed) => Err(IdentityError::Grant(GrantFault::Grant)),
            other => Ok(other.map(|()| issued)?),
        }
    }
}

/// The event that a token was issued.
pub(super) fn told_of(
    server: &Server,
    record: &IssuedRecord,
    grant: &str,
    scope: &str,
    by: &Actor,
    now: Timestamp,
) -> AuditRecord {
    AuditRecord {
        realm: Some(server.mount.realm.clone()),
        mount: Some(server.mount.name.clone()),
        account: record.account.clone(),
        details: json!({
            "client": record.client.as_str(),
            "grant": grant,
            "token": record.id.as_str(),
            "scope": scope,
            "session": record.session.as_ref().map(SessionId::as_str),
            "parent": record.parent.as_ref().map(TokenId::as_str),
        }),
        ..audit::event(EventKind::TokenIssued, by, now)
    }
}
