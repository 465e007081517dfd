//! What a token is worth (RFC 7662), and its end before its time (RFC 7009).

use serde_json::{Map, Value, json};

use super::{Grant, ProvenClient, Server};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, audit, settings::RefreshForm},
    model::{MountName, SecretString, Timestamp, TokenId},
    store::AuditRecord,
};

/// Claims that the answer repeats.
const TOLD: [&str; 13] = [
    "iss",
    "sub",
    "aud",
    "client_id",
    "iat",
    "exp",
    "nbf",
    "jti",
    "scope",
    "username",
    "roles",
    "act",
    "cnf",
];

impl Identity {
    /// What a token of this mount says while it is good, of either profile; else that it is not. Nothing is told of why.
    pub async fn introspect(
        &self,
        mount: &MountName,
        client: &ProvenClient,
        token: &SecretString,
    ) -> Result<Value, IdentityError> {
        client.may(Grant::Introspection)?;
        let server = self.server(mount)?;
        let Some(subject) = self.subject_of(&server, token, self.now()) else {
            return Ok(json!({ "active": false }));
        };
        let mut told = Map::from_iter([("active".to_owned(), true.into())]);
        for name in TOLD {
            if let Some(value) = subject.claims.get(name) {
                told.insert(name.to_owned(), value.clone());
            }
        }
        // RFC 9449 section 6.2.
        let bound = subject.who.bound.is_some_and(|to| to.key.is_some());
        told.insert("token_type".to_owned(), if bound { "DPoP" } else { "Bearer" }.into());
        Ok(Value::Object(told))
    }

    /// Ends a token that was issued to this client, and all that were made from it. What is no such token is none: then
    /// there is nothing to do (RFC 7009 section 2.2).
    pub async fn revoke_issued(
        &self,
        mount: &MountName,
        client: &ProvenClient,
        token: &SecretString,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let (server, now) = (self.server(mount)?, self.now());
        if self.revoke_login(&server, client, token, by, now).await? {
            return Ok(());
        }
        let subject = self.subject_of(&server, token, now).filter(|subject| subject.standard);
        let Some(id) = subject.and_then(|subject| subject.who.token) else { return Ok(()) };
        let Some(issued) = self.inner.store.issued(&server.mount.name, &id, now).await? else {
            return Ok(());
        };
        if issued.client != *client.id() {
            return Ok(());
        }
        let told = AuditRecord {
            realm: Some(server.mount.realm.clone()),
            mount: Some(server.mount.name.clone()),
            account: issued.account,
            details: json!({ "client": client.id().as_str(), "token": id.as_str() }),
            ..audit::event(EventKind::TokenRevoked, by, now)
        };
        self.end_issued(id, told).await
    }

    /// A refresh token of the client: the whole login ends (RFC 7009 section 2.1). `false`: it is none.
    async fn revoke_login(
        &self,
        server: &Server,
        client: &ProvenClient,
        token: &SecretString,
        by: &Actor,
        now: Timestamp,
    ) -> Result<bool, IdentityError> {
        let form = RefreshForm::Opaque;
        let Some(text) = self.inner.presented(&server.mount, form, token, now) else {
            return Ok(false);
        };
        let Some(state) = self.inner.store.refresh_lookup(&text.id).await? else {
            return Ok(false);
        };
        if state.token.digest != text.digest || state.client.as_ref() != Some(client.id()) {
            return Ok(false);
        }
        let session = state.session.id;
        let told = AuditRecord {
            realm: Some(server.mount.realm.clone()),
            mount: Some(server.mount.name.clone()),
            account: Some(state.account.id),
            details: json!({ "client": client.id().as_str(), "session": session.as_str() }),
            ..audit::event(EventKind::TokenRevoked, by, now)
        };
        let inner = self.inner.clone();
        self.to_the_end(async move { inner.end(Some(session), None, now, told).await }).await?;
        Ok(true)
    }

    /// In the store, then in the view, to the end.
    async fn end_issued(&self, id: TokenId, told: AuditRecord) -> Result<(), IdentityError> {
        let (inner, now) = (self.inner.clone(), self.now());
        self.to_the_end(async move {
            for token in inner.store.end_issued(&id, now, &[told]).await? {
                inner.forget_token(token.id, token.expires_at);
            }
            Ok(())
        })
        .await
    }
}
