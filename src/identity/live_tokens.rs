//! Access tokens that were noted when they were issued: which of them live, and the end of one before its time.

use super::{Actor, EventKind, Identity, IdentityError, audit};
use crate::{
    model::{AccountId, RealmName, TokenId},
    store::{AuditRecord, LiveToken, LiveTokens},
};

impl Identity {
    /// Tokens of agents and of the standard issuer that live, newest first.
    pub async fn live_tokens(
        &self,
        realm: Option<&RealmName>,
        account: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<LiveToken>, IdentityError> {
        let which = LiveTokens { realm, account, id: None };
        Ok(self.inner.store.live_tokens(&which, self.now(), limit).await?)
    }

    /// Ends one of them, and all that were made from it.
    pub async fn end_live_token(&self, id: &TokenId, by: &Actor) -> Result<(), IdentityError> {
        let now = self.now();
        let which = LiveTokens { id: Some(id), ..LiveTokens::default() };
        let found = self.inner.store.live_tokens(&which, now, 1).await?;
        let token = found.into_iter().next().ok_or(IdentityError::NotFound)?;
        let told = AuditRecord {
            realm: token.realm,
            mount: Some(token.mount),
            account: token.account,
            details: audit::done_by(by, [("token", id.as_str().into())]),
            ..audit::event(EventKind::TokenRevoked, by, now)
        };
        let (inner, id) = (self.inner.clone(), id.clone());
        self.to_the_end(async move {
            for token in inner.store.end_live_token(&id, now, &[told]).await? {
                inner.forget_token(token.id, token.expires_at);
            }
            Ok(())
        })
        .await
    }
}
