//! What the edge is told of a session that a browser login has opened.

use std::sync::Arc;

use super::OidcSettings;
use crate::{
    identity::{IdentityError, Inner, MountSettings},
    model::{AuthMethod, Digest, Principal, SessionId, Timestamp},
    pipeline::SessionEvidence,
    store::OidcSession,
};

impl Inner {
    /// A session of this mount, as far as its provider is still the one that has vouched.
    pub(in crate::identity) async fn oidc_evidence(
        &self,
        mount: &MountSettings,
        oidc: &OidcSettings,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        let found = self.store.oidc_session(&mount.name, secret).await?;
        let own = found.filter(|found| {
            found.session.realm == mount.realm && found.key.provider == *oidc.party.issuer
        });
        Ok(own.map(|found| {
            let id = &found.session.id;
            self.touches.learn(id, found.session.last_seen_at);
            // What was used here is known at once, and in the store only later.
            let here = self.touches.last(id);
            Arc::new(evidence(found, here, oidc))
        }))
    }
}

fn evidence(found: OidcSession, here: Option<Timestamp>, oidc: &OidcSettings) -> SessionEvidence {
    let OidcSession { session, account, profile, .. } = found;
    let ended = session.ended_at.is_some() || !account.enabled();
    let last = here.map_or(session.last_seen_at, |here| here.max(session.last_seen_at));
    let idle_until = last + oidc.idle;
    // The account's own address, else the one that the provider says it has proven.
    let verified = profile.get("email_verified").and_then(serde_json::Value::as_bool);
    let said = profile.get("email").and_then(serde_json::Value::as_str);
    let said = said.filter(|_| verified == Some(true)).map(str::to_owned);
    let principal = Principal {
        subject: account.id,
        username: account.username.map(Into::into),
        email: account.email.or(said).map(Into::into),
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
    SessionEvidence { principal: Arc::new(principal), ended, idle_until: Some(idle_until) }
}
