//! Clients: made, listed, given other secrets, disabled and removed. Only the operator does that.

use std::time::Duration;

use serde_json::{Value, json};

use super::client_rules;
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, audit},
    model::{
        ClientId, MountName, RealmName, SecretString, Timestamp, TokenId, api_key::hex, opaque,
    },
    store::{AuditRecord, ClientRecord},
};

/// A request for a client.
#[derive(Clone, Debug, Default)]
pub struct NewClient {
    /// Name.
    pub name: String,
    /// Scopes it may have.
    pub scopes: Vec<String>,
    /// Its roles where it acts for itself.
    pub roles: Vec<String>,
    /// What it may do, as [`super::GRANTS`] spells it.
    pub grants: Vec<String>,
    /// Resources beside the mount's own.
    pub resources: Vec<String>,
    /// Where browsers may be sent back to.
    pub redirect_uris: Vec<String>,
    /// Its public keys; then it has no secret.
    pub jwks: Option<Value>,
    /// Life; `None`: no end.
    pub lifetime: Option<Duration>,
}

/// A client as the operator sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// Mount.
    pub mount: MountName,
    /// Name.
    pub name: String,
    /// Scopes it may have.
    pub scopes: Vec<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// What it may do.
    pub grants: Vec<String>,
    /// Resources beside the mount's own.
    pub resources: Vec<String>,
    /// Where browsers may be sent back to.
    pub redirect_uris: Vec<String>,
    /// Whether it proves itself with a key instead of a secret.
    pub signs: bool,
    /// Neither disabled nor expired.
    pub active: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// End by itself.
    pub expires_at: Option<Timestamp>,
    /// Disabled since.
    pub disabled_at: Option<Timestamp>,
}

/// A client just made, or given another secret; the only moment its text exists.
#[derive(Debug)]
pub struct NewClientSecret {
    /// The client.
    pub client: Client,
    /// Its secret; `None` where it proves itself with a key.
    pub secret: Option<SecretString>,
}

impl Identity {
    /// Makes a client of a mount's standard issuer.
    pub async fn create_client(
        &self,
        mount: &MountName,
        new: NewClient,
        by: &Actor,
    ) -> Result<NewClientSecret, IdentityError> {
        let server = self.server(mount)?;
        let rules = self.inner.state().rules(&server.mount.realm)?;
        client_rules::acceptable(&rules, &new)?;
        let now = self.now();
        let (secret, digest) = match &new.jwks {
            Some(_) => (None, None),
            None => {
                let (text, digest) = self.new_secret()?;
                (Some(text), Some(digest))
            }
        };
        let mut id = [0; 12];
        self.inner.random.fill(&mut id).map_err(|_| IdentityError::Internal)?;
        let record = ClientRecord {
            id: format!("client_{}", hex(&id)).into(),
            mount: server.mount.name.clone(),
            realm: server.mount.realm.clone(),
            name: new.name,
            secret: digest,
            spare_secret: None,
            jwks: new.jwks,
            scopes: sorted(new.scopes),
            roles: sorted(new.roles),
            grants: sorted(new.grants),
            resources: sorted(new.resources),
            redirect_uris: sorted(new.redirect_uris),
            created_at: now,
            updated_at: now,
            expires_at: new.lifetime.map(|life| now + life),
            disabled_at: None,
        };
        let facts = [
            ("client", record.id.as_str().into()),
            ("scopes", json!(record.scopes)),
            ("roles", json!(record.roles)),
            ("grants", json!(record.grants)),
        ];
        let told = AuditRecord {
            details: audit::done_by(by, facts),
            ..about(EventKind::ClientCreated, &record.mount, &record.realm, by, now)
        };
        self.inner.store.insert_client(&record, &[told]).await?;
        Ok(NewClientSecret { client: shown(record, now), secret })
    }

    /// Clients of a mount or of all mounts, disabled ones included.
    pub async fn clients(
        &self,
        mount: Option<&MountName>,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<Client>, IdentityError> {
        let now = self.now();
        let page = self.inner.store.clients(mount, after, limit).await?;
        Ok(page.into_iter().map(|client| shown(client, now)).collect())
    }

    /// One client of a mount.
    pub async fn client(&self, mount: &MountName, id: &ClientId) -> Result<Client, IdentityError> {
        let found = self.inner.store.client(mount, id).await?.ok_or(IdentityError::NotFound)?;
        Ok(shown(found, self.now()))
    }

    /// Gives a client another secret; the old one is good for `overlap`. Its tokens go on.
    pub async fn rotate_client_secret(
        &self,
        mount: &MountName,
        id: &ClientId,
        overlap: Duration,
        by: &Actor,
    ) -> Result<NewClientSecret, IdentityError> {
        client_rules::acceptable_overlap(overlap)?;
        let (server, now) = (self.server(mount)?, self.now());
        let (text, digest) = self.new_secret()?;
        let told = told(EventKind::ClientSecretRotated, mount, &server.mount.realm, id, by, now);
        let store = &self.inner.store;
        let changed =
            store.rotate_client_secret(mount, id, &digest, now + overlap, now, &[told]).await?;
        Ok(NewClientSecret { client: shown(changed, now), secret: Some(text) })
    }

    /// Disables a client; all its tokens and logins end. Idempotent.
    pub async fn disable_client(
        &self,
        mount: &MountName,
        id: &ClientId,
        by: &Actor,
    ) -> Result<Client, IdentityError> {
        self.end_client(mount, id, false, by).await
    }

    /// Takes a client away; all its tokens and logins end.
    pub async fn remove_client(
        &self,
        mount: &MountName,
        id: &ClientId,
        by: &Actor,
    ) -> Result<Client, IdentityError> {
        self.end_client(mount, id, true, by).await
    }

    /// Lets a disabled client come back; what ended stays ended.
    pub async fn enable_client(
        &self,
        mount: &MountName,
        id: &ClientId,
        by: &Actor,
    ) -> Result<Client, IdentityError> {
        let (server, now) = (self.server(mount)?, self.now());
        let told = told(EventKind::ClientEnabled, mount, &server.mount.realm, id, by, now);
        Ok(shown(self.inner.store.enable_client(mount, id, now, &[told]).await?, now))
    }

    async fn end_client(
        &self,
        mount: &MountName,
        id: &ClientId,
        remove: bool,
        by: &Actor,
    ) -> Result<Client, IdentityError> {
        let realm = self.inner.state().mount(mount)?.realm.clone();
        let now = self.now();
        let kind = if remove { EventKind::ClientRemoved } else { EventKind::ClientDisabled };
        let told = told(kind, mount, &realm, id, by, now);
        let (inner, mount, id) = (self.inner.clone(), mount.clone(), id.clone());
        let ending = self.to_the_end(async move {
            let (client, ended) = inner.store.end_client(&mount, &id, remove, now, &[told]).await?;
            for token in ended.tokens {
                inner.forget_token(token.id, token.expires_at);
            }
            inner.forget_sessions(ended.sessions, now);
            Ok(client)
        });
        Ok(shown(ending.await?, now))
    }

    fn new_secret(&self) -> Result<(SecretString, crate::model::Digest), IdentityError> {
        opaque::issue(&*self.inner.random).map_err(|_| IdentityError::Internal)
    }
}

impl crate::identity::Inner {
    /// Tells the revocation view of a token that the store has ended.
    pub(in crate::identity) fn forget_token(&self, id: TokenId, expires_at: Timestamp) {
        const MARGIN: Duration = Duration::from_secs(120);
        self.feed.end_token(id, expires_at + MARGIN);
    }
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list.dedup();
    list
}

fn about(
    kind: EventKind,
    mount: &MountName,
    realm: &RealmName,
    by: &Actor,
    now: Timestamp,
) -> AuditRecord {
    AuditRecord {
        realm: Some(realm.clone()),
        mount: Some(mount.clone()),
        ..audit::event(kind, by, now)
    }
}

fn told(
    kind: EventKind,
    mount: &MountName,
    realm: &RealmName,
    id: &ClientId,
    by: &Actor,
    now: Timestamp,
) -> AuditRecord {
    AuditRecord {
        details: audit::done_by(by, [("client", id.as_str().into())]),
        ..about(kind, mount, realm, by, now)
    }
}

fn shown(client: ClientRecord, now: Timestamp) -> Client {
    Client {
        active: client.is_live(now),
        signs: client.jwks.is_some(),
        id: client.id,
        mount: client.mount,
        name: client.name,
        scopes: client.scopes,
        roles: client.roles,
        grants: client.grants,
        resources: client.resources,
        redirect_uris: client.redirect_uris,
        created_at: client.created_at,
        expires_at: client.expires_at,
        disabled_at: client.disabled_at,
    }
}
