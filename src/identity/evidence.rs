//! The edge's window: what the store knows of a key or a session, made into evidence.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{HangsOn, Identity, IdentityError, Lookup, StaticKey};
use crate::{
    model::{AccountId, AuthMethod, Digest, KeyId, MountName, Principal, SessionId, Timestamp},
    pipeline::{KeyEvidence, News, SessionEvidence},
    store::OwnedKey,
};

#[async_trait]
impl Lookup for Identity {
    async fn key(
        &self,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        let settings = self.inner.state().mount(mount)?;
        if StaticKey::is_static(id) {
            return self.static_evidence(&settings, id).await;
        }
        let found = self.inner.store.key(mount, id).await?;
        // A mount that was moved to another realm does not take the keys of the old one along.
        let own = found.filter(|found| found.key.realm == settings.realm);
        Ok(own.map(|found| Arc::new(evidence(found))))
    }

    async fn session(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        self.inner.session_evidence(mount, secret).await
    }

    fn is_hashing_full(&self) -> bool {
        self.inner.state().pool.is_full()
    }

    fn is_current(&self) -> bool {
        self.inner.following.pulse.is_current()
    }

    async fn becomes_current(&self) -> bool {
        self.inner.following.pulse.becomes_current().await
    }

    fn vouched_at(&self) -> Option<Instant> {
        self.inner.following.pulse.vouched_at()
    }

    fn stale_for(&self) -> Duration {
        self.inner.following.pulse.stale_for()
    }

    fn epoch(&self) -> u64 {
        self.inner.feed.epoch()
    }

    fn last_change(&self, on: HangsOn) -> u64 {
        self.inner.feed.last_change(on)
    }

    fn hangs_on(&self, key: Option<&KeyId>, owner: Option<&AccountId>) -> HangsOn {
        self.inner.feed.hangs_on(key, owner)
    }

    fn news(&self) -> broadcast::Receiver<News> {
        self.inner.feed.news()
    }

    fn used(&self, id: &KeyId, now: Timestamp) {
        // Of a key of the configuration the store knows nothing.
        if !StaticKey::is_static(id) {
            self.inner.usage.note(id, now);
        }
    }

    async fn assertion(
        &self,
        mount: &MountName,
        who: &Principal,
        audience: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(String, Timestamp), IdentityError> {
        self.sign_assertion(mount, who, audience, lifetime, now)
    }

    fn nonce_secret(&self) -> Option<[u8; 32]> {
        self.inner.refresh_key.nonce_secret()
    }

    fn seen(&self, id: &SessionId, now: Timestamp) {
        self.inner.touches.note(id, now);
    }
}

fn evidence(found: OwnedKey) -> KeyEvidence {
    let OwnedKey { key, owner } = found;
    let revoked = key.revoked_at.is_some() || !owner.enabled();
    let principal = Principal {
        subject: owner.id,
        username: owner.username.map(Into::into),
        email: owner.email.map(Into::into),
        realm: key.realm,
        mount: key.mount,
        tenant: owner.tenant.map(Into::into),
        method: AuthMethod::ApiKey,
        roles: owner.roles.into_iter().map(Into::into).collect(),
        scopes: Some(key.scopes),
        session: None,
        token: None,
        key: Some(key.id),
        agent: None,
        allowed_ips: key.allowed_ips,
        rate_limit_per_hour: key.rate_limit_per_hour,
        expires_at: key.expires_at,
        issuer: None,
        bound: None,
    };
    KeyEvidence {
        digest: key.digest,
        principal: Arc::new(principal),
        expires_at: key.expires_at,
        revoked,
    }
}
