//! Agent tokens: noted when they are issued, so that they end with what they hang on.

use super::{
    AgentTokenRecord, AuditRecord, Connection, RevokedToken, Spare, Store, StoreError, revocations,
    rows,
};
use crate::model::{AccountId, SessionId, Timestamp};

impl Store {
    /// Notes an agent token; `false`, and nothing written, if its session is not live or its account may not log in.
    pub async fn insert_agent_token(
        &self,
        token: &AgentTokenRecord,
        audit: &[AuditRecord],
    ) -> Result<bool, StoreError> {
        self.bounded("insert_agent_token", async {
            let mut tx = self.begin().await?;
            // Judged here once more: the session may have ended since the edge let the request in.
            let added = sqlx::query(
                "INSERT INTO agent_token (id, account_id, session_id, mount, agent_type, capabilities, \
                 restrictions, task_context, created_at, expires_at) \
                 SELECT $1, a.id, $3, $4, $5, $6, $7, $8, $9, $10 FROM account a \
                 WHERE a.id = $2 AND a.status = 'active' AND (CAST($3 AS TEXT) IS NULL OR EXISTS \
                 (SELECT 1 FROM session s WHERE s.id = $3 AND s.account_id = a.id \
                 AND s.ended_at IS NULL AND s.expires_at > $9))",
            )
            .bind(token.id.as_str())
            .bind(token.account.as_str())
            .bind(token.session.as_ref().map(SessionId::as_str))
            .bind(token.mount.as_str())
            .bind(&token.kind)
            .bind(rows::to_json(&token.capabilities)?)
            .bind(rows::to_json(&token.restrictions)?)
            .bind(rows::to_json(&token.task_context)?)
            .bind(token.created_at.millis())
            .bind(token.expires_at.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if added == 0 {
                return Ok(false);
            }
            self.commit(tx, audit).await?;
            Ok(true)
        })
        .await
    }
}

/// Revokes an account's agent tokens inside a transaction, but those of the spared session. The tokens of sessions end
/// with these anyway; here it is about those that hang on the account alone.
pub(super) async fn end_of(
    tx: &mut Connection,
    account: &AccountId,
    spare: &Spare,
    now: Timestamp,
) -> Result<Vec<RevokedToken>, StoreError> {
    let spare = match spare {
        Spare::Nothing => None,
        Spare::One(session) => Some(session.as_str()),
    };
    let ended = sqlx::query(
        "UPDATE agent_token SET ended_at = $3 WHERE account_id = $1 AND ended_at IS NULL \
         AND expires_at > $3 AND (CAST($2 AS TEXT) IS NULL OR session_id IS NULL \
         OR session_id <> $2) RETURNING id, expires_at",
    )
    .bind(account.as_str())
    .bind(spare)
    .bind(now.millis())
    .fetch_all(&mut *tx)
    .await?;
    let mut tokens = Vec::with_capacity(ended.len());
    for row in &ended {
        let token = RevokedToken {
            id: rows::get::<String>(row, "id")?.into(),
            expires_at: rows::time(row, "expires_at")?,
        };
        revocations::insert(tx, &token).await?;
        tokens.push(token);
    }
    Ok(tokens)
}
