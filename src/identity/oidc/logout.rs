//! The end of a session: by the person here, or by the provider when the person has logged out there (Back-Channel Logout 1.0).

use serde_json::json;

use super::{OidcFault, OidcSettings, told};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, MountSettings, oauth::about},
    issuer::Trouble,
    model::{Digest, MountName, SecretString, SessionId, opaque, secret::ExposeSecret},
    pipeline::jwt::{LogoutClaims, Presented},
    store::{AuditRecord, OidcLogout, StoreError},
};

impl Identity {
    /// Ends the session of a browser, if it has one, and tells where the browser goes next: to the provider, so that it logs
    /// out there as well, or to a page of ours. No token goes along: addresses end up in logs.
    pub async fn log_out_oidc(
        &self,
        mount: &MountName,
        secret: Option<&SecretString>,
        by: &Actor,
    ) -> Result<String, IdentityError> {
        let (mount, oidc) = self.oidc_of(mount)?;
        let here = oidc.after_logout.to_string();
        let digest = secret.and_then(|text| opaque::digest(text.expose_secret()));
        let Some(digest) = digest else { return Ok(here) };
        let found = self.inner.store.oidc_session(&mount.name, &digest).await?;
        let Some(found) = found.filter(|found| found.session.ended_at.is_none()) else {
            return Ok(here);
        };
        let now = self.now();
        let told = AuditRecord {
            account: Some(found.account.id),
            ..about(
                EventKind::Logout,
                &mount,
                json!({ "session": found.session.id.as_str() }),
                by,
                now,
            )
        };
        let (inner, id) = (self.inner.clone(), found.session.id);
        self.to_the_end(async move { inner.end(Some(id), None, now, told).await }).await?;
        Ok(self.away(&oidc).unwrap_or(here))
    }

    /// The provider's page for logging out (RP-Initiated Logout 1.0), where it has one and has been heard.
    fn away(&self, oidc: &OidcSettings) -> Option<String> {
        let mut url = self.openid(oidc).ok()?.known()?.end_session.clone()?;
        let back = format!("{}{}", oidc.origin, oidc.after_logout);
        url.query_pairs_mut()
            .append_pair("client_id", &oidc.party.client_id)
            .append_pair("post_logout_redirect_uri", &back);
        Some(url.into())
    }

    /// Ends what a provider says has ended there: the sessions of one of its sessions, or all of a person.
    pub async fn provider_logged_out(
        &self,
        mount: &MountName,
        token: &SecretString,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        const INVALID: IdentityError = IdentityError::Oidc(OidcFault::LogoutToken);
        let (mount, oidc) = self.oidc_of(mount)?;
        let presented = Presented::read(token.expose_secret()).ok_or(INVALID)?;
        let (provider, now) = (self.openid(&oidc)?, self.now());
        let claims = provider.judge(|keys| oidc.party.logout_token(&presented, keys, now)).await;
        let claims = claims.map_err(|trouble| match trouble {
            Trouble::Away(_) => told(&oidc, "logout_token", trouble),
            Trouble::Wrong(_) | Trouble::Refused => INVALID,
        })?;
        self.end_named(&mount, &oidc, claims, by).await
    }

    pub(super) async fn end_named(
        &self,
        mount: &MountSettings,
        oidc: &OidcSettings,
        claims: LogoutClaims,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let now = self.now();
        let logout = OidcLogout {
            mount: mount.name.clone(),
            issuer: oidc.party.issuer.to_string(),
            subject: claims.subject,
            sid: claims.session,
            realm: mount.realm.clone(),
            purpose: format!("oidc-logout:{}", mount.name),
            token: Digest::of(claims.id.as_bytes()),
            ends: claims.ends,
        };
        let event = about(EventKind::SessionEnded, mount, json!({}), by, now);
        let issuer = oidc.party.issuer.clone();
        let told = move |ended: &[SessionId]| {
            let one = |id: &SessionId| AuditRecord {
                details: json!({ "by": &*issuer, "session": id.as_str() }),
                ..event.clone()
            };
            ended.iter().map(one).collect()
        };
        let inner = self.inner.clone();
        self.to_the_end(async move {
            match inner.store.oidc_logout(&logout, now, told).await {
                Ok(ended) => {
                    inner.forget_sessions(ended, now);
                    Ok(())
                }
                Err(StoreError::Spent) => Err(IdentityError::Oidc(OidcFault::LogoutToken)),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}
