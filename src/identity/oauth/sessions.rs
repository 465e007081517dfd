//! Exchange code to session, and what the holder of a session may ask: who that is, and to be logged out.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    ForeignFault, OpenedSession, Person,
    login::{about, code_purpose},
};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, Inner, MountSettings},
    model::{
        AccountId, AuthMethod, Digest, MountName, Principal, SecretString, SessionId, Timestamp,
        opaque, secret::ExposeSecret,
    },
    pipeline::SessionEvidence,
    store::{
        AuditRecord, ForeignIdentity, ForeignSession, Redeem, Redeemed, SessionRecord, StoreError,
    },
};

impl Identity {
    /// Trades an exchange code for a session. Of two at once one gets it; a second use is told to the audit log, and
    /// leaves the session alone.
    pub async fn exchange(
        &self,
        mount: &MountName,
        code: &SecretString,
        by: &Actor,
    ) -> Result<OpenedSession, IdentityError> {
        const INVALID: IdentityError = IdentityError::Foreign(ForeignFault::Code);
        let (mount, oauth) = self.provider_of(mount)?;
        let digest = opaque::digest(code.expose_secret()).ok_or(INVALID)?;
        let (secret, secret_digest) = self.secret()?;
        let now = self.now();
        let (id, lifetime) = (self.inner.uuid()?, oauth.session_lifetime);
        let session = session_record(&mount, id, secret_digest, now, lifetime, by);
        let expires_at = session.expires_at;
        let facts = json!({ "session": session.id.as_str() });
        let told = about(EventKind::SessionOpened, &mount, facts, by, now);
        let facts = json!({ "reason": ForeignFault::CodeSpent.reason() });
        let on_reuse = about(EventKind::LoginFailed, &mount, facts, by, now);
        let purpose = code_purpose(&mount);
        let spent = format!("spent-{purpose}");
        let redeem = Redeem { realm: mount.realm.clone(), purpose, spent, digest, session };
        match self.inner.store.redeem_for_session(&redeem, now, &told, &on_reuse).await {
            Ok(Redeemed::Opened(_)) => Ok(OpenedSession { secret, expires_at }),
            Ok(Redeemed::Again(_)) => Err(IdentityError::Foreign(ForeignFault::CodeSpent)),
            // Disabled since the login: the code opens nothing.
            Ok(Redeemed::Unknown) | Err(StoreError::Changed) => Err(INVALID),
            Err(error) => Err(error.into()),
        }
    }

    /// Whose session this is.
    pub async fn person(
        &self,
        mount: &MountName,
        session: &SecretString,
    ) -> Result<Person, IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        Ok(person(self.session_of(&mount, &oauth, session).await?.identity))
    }

    /// Whose session this is, by the public id of one that is proven.
    pub async fn person_of(
        &self,
        mount: &MountName,
        session: &SessionId,
    ) -> Result<Person, IdentityError> {
        let (_, oauth) = self.provider_of(mount)?;
        let found = self.inner.store.foreign_session_by_id(&oauth.provider, session).await?;
        Ok(person(found.ok_or(IdentityError::NotFound)?.identity))
    }

    /// Ends a session by its secret; the provider's tokens go with the person's last one.
    pub async fn log_out_session(
        &self,
        mount: &MountName,
        session: &SecretString,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let found = self.session_of(&mount, &oauth, session).await?;
        let now = self.now();
        let facts = json!({ "session": found.session.id.as_str() });
        let told = AuditRecord {
            account: Some(found.identity.account.id.clone()),
            ..about(EventKind::Logout, &mount, facts, by, now)
        };
        match self.end_one(found, told).await? {
            true => Ok(()),
            // Another logout was faster.
            false => Err(IdentityError::Foreign(ForeignFault::Session)),
        }
    }

    /// Ends a session in the store, then in the view; `false` if it had ended before.
    pub(super) async fn end_one(
        &self,
        found: ForeignSession,
        told: AuditRecord,
    ) -> Result<bool, IdentityError> {
        let (inner, now) = (self.inner.clone(), self.now());
        self.to_the_end(async move {
            let (id, account) = (found.session.id, found.identity.account.id);
            let ended = inner.store.end_foreign_session(&id, &account, now, &[told]).await?;
            inner.forget_sessions(vec![id], now);
            Ok(ended)
        })
        .await
    }
}

impl Inner {
    /// What the edge is told of a session of this mount.
    pub(in crate::identity) async fn session_evidence(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        let settings = self.state().mount(mount)?;
        if let Some(oidc) = &settings.oidc {
            return self.oidc_evidence(&settings, oidc, secret).await;
        }
        let Some(oauth) = &settings.oauth else { return Ok(None) };
        let found = self.store.foreign_session(&oauth.provider, secret).await?;
        let own = found.filter(|found| {
            found.session.mount == settings.name && found.session.realm == settings.realm
        });
        Ok(own.map(|found| Arc::new(evidence(found))))
    }
}

/// A session whose id on the wire is a secret. Its account is filled in by the store, which alone knows it for sure.
pub(in crate::identity) fn session_record(
    mount: &MountSettings,
    id: String,
    secret: Digest,
    now: Timestamp,
    lifetime: Duration,
    by: &Actor,
) -> SessionRecord {
    SessionRecord {
        id: id.into(),
        secret: Some(secret),
        realm: mount.realm.clone(),
        mount: mount.name.clone(),
        account: AccountId::from(""),
        name: None,
        created_at: now,
        last_seen_at: now,
        expires_at: now + lifetime,
        ended_at: None,
        ip: by.address(),
        user_agent: by.client.as_ref().and_then(|facts| facts.user_agent.clone()),
        device: None,
    }
}

fn evidence(found: ForeignSession) -> SessionEvidence {
    let ForeignSession { session, identity } = found;
    let ended = session.ended_at.is_some() || !identity.account.enabled();
    let account = identity.account;
    let principal = Principal {
        subject: account.id,
        username: account.username.map(Into::into),
        email: account.email.map(Into::into),
        realm: session.realm,
        mount: session.mount,
        tenant: account.tenant.map(Into::into),
        method: AuthMethod::Session,
        roles: account.roles.into_iter().map(Into::into).collect(),
        scopes: None,
        session: Some(SessionId::clone(&session.id)),
        token: None,
        key: None,
        agent: None,
        allowed_ips: Vec::new(),
        rate_limit_per_hour: None,
        expires_at: Some(session.expires_at),
        issuer: None,
        bound: None,
    };
    SessionEvidence { principal: Arc::new(principal), ended, idle_until: None }
}

pub(super) fn person(identity: ForeignIdentity) -> Person {
    let said = |name: &str| identity.profile.get(name).and_then(|text| text.as_str());
    Person {
        number: identity.number,
        email: said("email").map(str::to_owned),
        full_name: said("full_name").map(str::to_owned),
        enabled: identity.account.enabled(),
        created_at: identity.account.created_at,
        updated_at: identity.account.updated_at,
        subject: identity.key.subject,
    }
}
