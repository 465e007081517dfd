//! Sessions: what a client is given, and how everything that hangs on one ends.
//!
//! Always in this order: the store, then the revocation view, then the acknowledgement.

use std::sync::Arc;

use serde_json::json;

use super::{
    Account, Actor, EventKind, Granted, Identity, IdentityError, Inner, MountSettings, Session,
    audit,
    state::State,
    tokens::{self, Bearer},
};
use crate::{
    model::{AccountId, MountName, Principal, RealmName, SecretString, SessionId, Timestamp},
    store::{AuditRecord, RevokedToken, SessionRecord, SessionsToEnd, Spare},
};

/// The session that stays when all others of its account end.
#[derive(Clone, Copy, Debug)]
pub struct Spared<'a> {
    /// It.
    pub session: &'a SessionId,
    /// Its mount, for the log.
    pub mount: &'a MountName,
    /// Its realm, for the log.
    pub realm: &'a RealmName,
}

impl Identity {
    /// Ends the caller's access token, and the session of `refresh` if it is the caller's, else the caller's session.
    pub async fn logout(
        &self,
        caller: &Principal,
        refresh: Option<&SecretString>,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let now = self.now();
        let named = match refresh {
            Some(text) => self.session_of_refresh(caller, text).await?,
            None => None,
        };
        let session = named.or_else(|| caller.session.clone());
        let revoked = caller.token.clone().map(|id| RevokedToken {
            id,
            expires_at: self.inner.token_end(caller.expires_at, now),
        });
        let told = AuditRecord {
            realm: Some(caller.realm.clone()),
            mount: Some(caller.mount.clone()),
            account: Some(caller.subject.clone()),
            details: json!({ "session": session.as_ref().map(SessionId::as_str) }),
            ..audit::event(EventKind::Logout, by, now)
        };
        let inner = self.inner.clone();
        self.to_the_end(async move { inner.end(session, revoked, now, told).await }).await
    }

    /// Live sessions.
    pub async fn sessions(
        &self,
        realm: Option<&RealmName>,
        account: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<Session>, IdentityError> {
        let live = self.inner.store.live_sessions(realm, account, self.now(), limit).await?;
        Ok(live.into_iter().map(shown).collect())
    }

    /// One session, ended or not.
    pub async fn session(&self, id: &SessionId) -> Result<Option<Session>, IdentityError> {
        Ok(self.inner.store.session(id).await?.map(shown))
    }

    /// Ends one session and everything issued in it.
    pub async fn end_session(&self, id: &SessionId, by: &Actor) -> Result<(), IdentityError> {
        let now = self.now();
        let session = self.inner.store.session(id).await?.ok_or(IdentityError::NotFound)?;
        if session.ended_at.is_some() {
            // Whoever ended it may not have come to tell the view.
            self.inner.forget_sessions(vec![session.id], now);
            return Ok(());
        }
        let told = AuditRecord {
            realm: Some(session.realm),
            mount: Some(session.mount),
            account: Some(session.account),
            details: audit::done_by(by, [("session", id.as_str().into())]),
            ..audit::event(EventKind::SessionEnded, by, now)
        };
        let (inner, id) = (self.inner.clone(), id.clone());
        self.to_the_end(async move { inner.end(Some(id), None, now, told).await }).await
    }

    /// Ends one of the caller's own sessions. Somebody else's, and one that has ended, is [`IdentityError::NotFound`].
    pub async fn end_own_session(
        &self,
        account: &AccountId,
        id: &SessionId,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let found = self.inner.store.session(id).await?.ok_or(IdentityError::NotFound)?;
        let now = self.now();
        if found.account != *account || found.ended_at.is_some() || found.expires_at <= now {
            return Err(IdentityError::NotFound);
        }
        self.end_session(id, by).await
    }

    /// Ends every session of an account but this one.
    pub async fn end_other_sessions(
        &self,
        account: &AccountId,
        spare: Spared<'_>,
        by: &Actor,
    ) -> Result<usize, IdentityError> {
        let now = self.now();
        let told = AuditRecord {
            realm: Some(spare.realm.clone()),
            mount: Some(spare.mount.clone()),
            account: Some(account.clone()),
            details: audit::done_by(by, [("spared", spare.session.as_str().into())]),
            ..audit::event(EventKind::SessionEnded, by, now)
        };
        let which = SessionsToEnd::Account(account.clone(), Spare::One(spare.session.clone()));
        let inner = self.inner.clone();
        self.to_the_end(async move {
            let ended = inner.store.end_sessions(&which, None, now, &[told]).await?;
            let count = ended.len();
            inner.forget_sessions(ended, now);
            Ok(count)
        })
        .await
    }

    /// What a client is given in a session: a new access token, beside this refresh token where the mount has some.
    pub(super) fn granted(
        &self,
        mount: &MountSettings,
        account: Account,
        session: (&SessionId, Timestamp),
        refresh_token: Option<SecretString>,
        now: Timestamp,
    ) -> Result<Granted, IdentityError> {
        let key = self.inner.signing_key(&mount.name)?;
        let token = self.inner.uuid()?.into();
        let scopes = scopes_of(mount, &account);
        let (session, end) = session;
        let agents = mount.agents.as_ref().map(|agents| agents.policy.runnable(&account.roles));
        let agents = agents.unwrap_or_default();
        let bearer = Bearer { account: &account, session, scopes: &scopes, agents: &agents };
        let minted = tokens::mint(&mount.tokens, &key, &bearer, &token, now)?;
        Ok(Granted {
            access_token: minted.text,
            expires_in: minted.expires_in,
            refresh_token,
            session_expires_in: end.since(now).as_secs(),
            session: session.clone(),
            account,
        })
    }

    /// The session of a refresh token, if token and session are the caller's at this mount.
    async fn session_of_refresh(
        &self,
        caller: &Principal,
        text: &SecretString,
    ) -> Result<Option<SessionId>, IdentityError> {
        let mount = self.inner.state().mount(&caller.mount)?;
        let form = mount.tokens.refresh_form;
        let Some(text) = self.inner.presented(&mount, form, text, self.now()) else {
            return Ok(None);
        };
        let Some(state) = self.inner.store.refresh_lookup(&text.id).await? else {
            return Ok(None);
        };
        let own = state.token.digest == text.digest
            && state.session.account == caller.subject
            && state.session.mount == caller.mount;
        Ok(own.then_some(state.session.id))
    }
}

impl Inner {
    /// Ends a session and a token in the store, then in the view. The view takes both also when the store had ended
    /// them before: then the first time may have been cut off in between.
    pub(super) async fn end(
        &self,
        session: Option<SessionId>,
        token: Option<RevokedToken>,
        now: Timestamp,
        told: AuditRecord,
    ) -> Result<(), IdentityError> {
        match (&session, &token) {
            (Some(id), _) => {
                let which = SessionsToEnd::One(id.clone());
                self.store.end_sessions(&which, token.as_ref(), now, &[told]).await?;
            }
            (None, Some(token)) => self.store.revoke_token(token, &[told]).await?,
            (None, None) => {}
        }
        if let Some(token) = token {
            self.feed.end_token(token.id, token.expires_at);
        }
        self.forget_sessions(session.into_iter().collect(), now);
        Ok(())
    }

    /// Ends what was opened at a mount while it served another realm: accounts of that realm have no business there.
    pub(super) async fn end_foreign_sessions(
        &self,
        state: &State,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        for mount in state.mounts() {
            let told = AuditRecord {
                realm: Some(mount.realm.clone()),
                mount: Some(mount.name.clone()),
                details: json!({ "reason": "mount_serves_another_realm" }),
                ..audit::event(EventKind::SessionEnded, &Actor::operator(), now)
            };
            let (name, realm) = (&mount.name, &mount.realm);
            let ended = self.store.end_foreign_sessions(name, realm, now, &[told]).await?;
            // The longer of both memories: tokens of the old settings may live longer than those of the new.
            self.feed.end_sessions(ended, now + state.remember().max(self.state().remember()));
        }
        Ok(())
    }

    /// Tells the revocation view of sessions that the store has ended.
    pub(super) fn forget_sessions(&self, ended: Vec<SessionId>, now: Timestamp) {
        self.feed.end_sessions(ended, now + self.state().remember());
    }

    /// Until when an ended access token must be known: its own end and the leeway that the edge grants.
    fn token_end(&self, expires_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let margin = std::time::Duration::from_secs(120);
        expires_at.map_or(now + self.state().remember(), |end| end + margin)
    }
}

/// What the account's roles may hand out at this mount, each once.
fn scopes_of(mount: &MountSettings, account: &Account) -> Vec<Arc<str>> {
    let mut scopes: Vec<Arc<str>> = Vec::new();
    for (role, granted) in &mount.role_scopes {
        if account.roles.iter().any(|own| **own == **role) {
            scopes.extend(
                granted.iter().filter(|scope| !scopes.contains(scope)).cloned().collect::<Vec<_>>(),
            );
        }
    }
    scopes
}

/// A session as others may see it.
pub(super) fn shown(session: SessionRecord) -> Session {
    Session {
        id: session.id,
        mount: session.mount,
        realm: session.realm,
        account: session.account,
        name: session.name,
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
        expires_at: session.expires_at,
        address: session.ip,
        user_agent: session.user_agent,
        device: session.device,
    }
}
