//! The provider's access token for the holder of a session: renewed when it is due, by one caller at a time.
//!
//! hh.ru renews a token only after its end, and takes each refresh token once. So a second renewal beside the first would
//! lose the person's tokens: callers in this process join one flight, and a compare-and-set in the store holds for all
//! others.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    ForeignFault, OAuthSettings, ProviderToken,
    client::{Provider, Renewed},
    login::{ACCESS, REFRESH, about},
    purpose,
};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, MountSettings},
    model::{MountName, SecretString},
    store::{AuditRecord, ForeignIdentity, ForeignTokens},
};

/// Renewed so long after its end: the provider's clock may be behind ours, and an early renewal is refused.
const BEHIND: Duration = Duration::from_secs(1);
const REFUSED: IdentityError = IdentityError::Foreign(ForeignFault::RenewalRefused);

impl Identity {
    /// The provider's token of a session's person. Renewed if it has expired, or if `force` asks for it; a provider that
    /// renews no good token leaves the present one.
    pub async fn provider_token(
        &self,
        mount: &MountName,
        session: &SecretString,
        force: bool,
        by: &Actor,
    ) -> Result<ProviderToken, IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let found = self.session_of(&mount, &oauth, session).await?.identity;
        if !force && !self.is_due(&found) {
            return self.opened(&found);
        }
        let seen = found.tokens.generation;
        let key = found.key.clone();
        let renewal = Renewal { mount, oauth, force, seen, by: by.clone() };
        let own = self.clone();
        let begin = async {
            // To the end also if this caller goes away: the refresh token is spent by then.
            let work = async move { own.renew(renewal, found).await };
            self.to_the_end(work).await
        };
        let renewed = self.inner.flights.join(&key, begin).await?;
        self.opened(&renewed)
    }

    /// Renews once. What was read before waiting may be old: it is read again first.
    async fn renew(
        &self,
        renewal: Renewal,
        found: ForeignIdentity,
    ) -> Result<Arc<ForeignIdentity>, IdentityError> {
        let now_so = self.inner.store.foreign_identity(&found.key).await?.ok_or(REFUSED)?;
        let renewed_meanwhile = now_so.tokens.generation != renewal.seen;
        if (renewed_meanwhile || !renewal.force) && !self.is_due(&now_so) {
            return Ok(Arc::new(now_so));
        }
        let Some(sealed) = &now_so.tokens.refresh else { return Err(REFUSED) };
        let refresh = self.unseal(&purpose(REFRESH, &now_so.key), sealed)?;
        let provider =
            Provider::new(&renewal.oauth, &self.inner.outgoing, &renewal.oauth.redirect_uri)?;
        match provider.renew(&refresh, self.now()).await? {
            Renewed::NotYet => Ok(Arc::new(now_so)),
            Renewed::Given(given) => {
                let mut tokens = self.sealed_tokens(&now_so.key, &given)?;
                // A provider that gives no new refresh token means the old one.
                tokens.refresh = tokens.refresh.or_else(|| now_so.tokens.refresh.clone());
                self.replace(&renewal, now_so, tokens, EventKind::TokenRefresh, json!({})).await
            }
            Renewed::Refused => {
                // It will never be renewed: forgotten, so that nobody asks the provider again and again.
                let none =
                    ForeignTokens { access: None, refresh: None, expires_at: None, generation: 0 };
                let facts = json!({ "reason": ForeignFault::RenewalRefused.reason() });
                let kind = EventKind::LoginFailed;
                let left = self.replace(&renewal, now_so, none, kind, facts).await?;
                // Unless another process has renewed it meanwhile.
                if left.tokens.access.is_some() { Ok(left) } else { Err(REFUSED) }
            }
        }
    }

    /// Stores a token set if nobody else was faster; gives what is stored then.
    async fn replace(
        &self,
        renewal: &Renewal,
        old: ForeignIdentity,
        tokens: ForeignTokens,
        kind: EventKind,
        facts: serde_json::Value,
    ) -> Result<Arc<ForeignIdentity>, IdentityError> {
        let now = self.now();
        let told = AuditRecord {
            account: Some(old.account.id.clone()),
            ..about(kind, &renewal.mount, facts, &renewal.by, now)
        };
        let store = &self.inner.store;
        let seen = old.tokens.generation;
        if store.replace_foreign_tokens(&old.key, seen, &tokens, now, &[told]).await? {
            let generation = seen.saturating_add(1);
            return Ok(Arc::new(ForeignIdentity {
                tokens: ForeignTokens { generation, ..tokens },
                ..old
            }));
        }
        store.foreign_identity(&old.key).await?.map(Arc::new).ok_or(REFUSED)
    }

    fn is_due(&self, found: &ForeignIdentity) -> bool {
        found.tokens.expires_at.is_none_or(|end| self.now() >= end + BEHIND)
    }

    fn opened(&self, found: &ForeignIdentity) -> Result<ProviderToken, IdentityError> {
        let (Some(sealed), Some(expires_at)) = (&found.tokens.access, found.tokens.expires_at)
        else {
            return Err(REFUSED);
        };
        let access_token = self.unseal(&purpose(ACCESS, &found.key), sealed)?;
        Ok(ProviderToken { access_token, expires_at, number: found.number })
    }
}

/// Who renews, how, and what was seen before.
struct Renewal {
    mount: Arc<MountSettings>,
    oauth: Arc<OAuthSettings>,
    force: bool,
    seen: i64,
    by: Actor,
}
