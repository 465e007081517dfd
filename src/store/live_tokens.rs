//! Access tokens that were noted when they were issued and live still: those of agents, and those of the standard issuer.
//! Tokens of logins are not among them: what is known of these is their session.

use super::{
    AuditRecord, LiveToken, LiveTokens, RevokedToken, Row, Store, StoreError, agents, issued, rows,
};
use crate::model::{AccountId, ClientId, RealmName, Timestamp, TokenId};

impl Store {
    /// Tokens that live, newest first. What hangs on a session or an account that has ended does not live.
    pub async fn live_tokens(
        &self,
        which: &LiveTokens<'_>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<LiveToken>, StoreError> {
        self.bounded("live_tokens", async {
            sqlx::query(
                "SELECT t.*, COALESCE(c.realm, a.realm) AS realm, COALESCE(a.username, a.email) AS name FROM \
                 (SELECT id, mount, account_id, session_id, NULL AS client_id, agent_type, created_at, expires_at \
                 FROM agent_token WHERE ended_at IS NULL AND expires_at > $1 \
                 UNION ALL \
                 SELECT id, mount, account_id, session_id, client_id, NULL AS agent_type, created_at, expires_at \
                 FROM oauth_token WHERE ended_at IS NULL AND expires_at > $1) t \
                 LEFT JOIN account a ON a.id = t.account_id LEFT JOIN oauth_client c ON c.id = t.client_id \
                 WHERE (t.account_id IS NULL OR a.status = 'active') AND NOT EXISTS \
                 (SELECT 1 FROM session s WHERE s.id = t.session_id AND s.ended_at IS NOT NULL) \
                 AND (CAST($2 AS TEXT) IS NULL OR COALESCE(c.realm, a.realm) = $2) \
                 AND (CAST($3 AS TEXT) IS NULL OR t.account_id = $3) \
                 AND (CAST($4 AS TEXT) IS NULL OR t.id = $4) \
                 ORDER BY t.created_at DESC, t.id LIMIT $5",
            )
            .bind(now.millis())
            .bind(which.realm.map(RealmName::as_str))
            .bind(which.account.map(AccountId::as_str))
            .bind(which.id.map(TokenId::as_str))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(live_of)
            .collect()
        })
        .await
    }

    /// Ends a token of either kind, and all that were made from it. The audit is written only when this call ended one.
    pub async fn end_live_token(
        &self,
        id: &TokenId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Vec<RevokedToken>, StoreError> {
        self.bounded("end_live_token", async {
            let mut tx = self.begin().await?;
            let mut ended = issued::end_of_token(&mut tx, id, now).await?;
            ended.extend(agents::end_one(&mut tx, id, now).await?);
            if !ended.is_empty() {
                self.record(&mut tx, audit).await?;
            }
            tx.commit().await?;
            Ok(ended)
        })
        .await
    }
}

fn live_of(row: &Row) -> Result<LiveToken, StoreError> {
    let text = |name: &str| rows::get::<Option<String>>(row, name);
    Ok(LiveToken {
        id: rows::get::<String>(row, "id")?.into(),
        mount: rows::get::<String>(row, "mount")?.into(),
        realm: text("realm")?.map(Into::into),
        client: text("client_id")?.map(ClientId::from),
        agent: text("agent_type")?,
        account: text("account_id")?.map(Into::into),
        name: text("name")?,
        session: text("session_id")?.map(Into::into),
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::time(row, "expires_at")?,
    })
}
