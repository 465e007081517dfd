//! What a token is worth (RFC 7662), and its end before its time (RFC 7009).

use serde_json::{Map, Value, json};

use super::{Grant, ProvenClient};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, audit},
    model::{MountName, SecretString, TokenId},
    store::AuditRecord,
};

/// Claims that the answer repeats.
const TOLD: [&str; 12] = [
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
        told.insert("token_type".to_owned(), "Bearer".into());
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
