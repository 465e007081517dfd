//! Logins of people for a client of the standard issuer: session and code opened together, the code traded for tokens.

use super::{
    AuditRecord, ClientLogged, ClientSession, NewSession, RedeemedGrant, Store, StoreError, codes,
    issued, refresh,
    rows::{self, account_columns},
    sessions,
};
use crate::model::{SessionId, Timestamp};

impl Store {
    /// As [`Store::open_session`], for a client: what it may have, and the code that its browser brings it.
    pub async fn open_client_session(
        &self,
        new: &NewSession,
        login: &ClientSession,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("open_client_session", async {
            let mut tx = self.begin().await?;
            sessions::open(&mut tx, new).await?;
            let kept = sqlx::query(
                "INSERT INTO oauth_session (session_id, client_id, scopes, audiences) \
                 SELECT $1, c.id, $3, $4 FROM oauth_client c WHERE c.id = $2 AND c.disabled_at IS NULL",
            )
            .bind(new.session.id.as_str())
            .bind(login.client.as_str())
            .bind(rows::to_json(&login.scopes)?)
            .bind(rows::to_json(&login.audiences)?)
            .execute(&mut *tx)
            .await?;
            rows::met(&kept, StoreError::NotFound)?;
            codes::insert(&mut tx, &login.code).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// The client's side of a session that lives, with its account.
    pub async fn client_session(
        &self,
        session: &SessionId,
    ) -> Result<Option<ClientLogged>, StoreError> {
        self.bounded("client_session", async {
            let row = sqlx::query(concat!(
                "SELECT o.client_id, o.scopes, o.audiences, ",
                account_columns!(),
                " FROM oauth_session o JOIN session s ON s.id = o.session_id \
                 JOIN account a ON a.id = s.account_id \
                 WHERE o.session_id = $1 AND s.ended_at IS NULL AND a.status = 'active'"
            ))
            .bind(session.as_str())
            .fetch_optional(self.readers())
            .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(ClientLogged {
                client: rows::get::<String>(&row, "client_id")?.into(),
                scopes: rows::json(&row, "scopes")?,
                audiences: rows::json(&row, "audiences")?,
                account: rows::account(&row)?,
            }))
        })
        .await
    }

    /// Burns a code and opens what it is good for, all or nothing. [`StoreError::Spent`]: the code is gone.
    pub async fn redeem_grant(
        &self,
        grant: &RedeemedGrant,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("redeem_grant", async {
            let mut tx = self.begin().await?;
            let RedeemedGrant { realm, purpose, digest, now, .. } = grant;
            if codes::burn(&mut tx, realm, purpose, digest, *now).await?.is_none() {
                return Err(StoreError::Spent);
            }
            codes::insert(&mut tx, &grant.spent).await?;
            let moved = sqlx::query(
                "UPDATE session SET expires_at = $2, last_seen_at = $3 \
                 WHERE id = $1 AND ended_at IS NULL",
            )
            .bind(grant.session.as_str())
            .bind(Timestamp::millis(grant.ends))
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            rows::met(&moved, StoreError::Changed)?;
            if let Some((family, token)) = &grant.refresh {
                refresh::insert_family(&mut tx, family).await?;
                refresh::insert_token(&mut tx, token).await?;
            }
            issued::insert(&mut tx, &grant.token).await?;
            self.commit(tx, audit).await
        })
        .await
    }
}
