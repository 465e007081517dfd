//! Agent tokens: noted when they are issued, so that they end with what they hang on.

use super::{
    AgentTokenRecord, AuditRecord, Connection, ExpiredAgent, RevokedToken, Row, Spare, Store,
    StoreError, revocations, rows,
};
use crate::model::{AccountId, SessionId, Timestamp, TokenId};

/// Rows per transaction.
const BATCH: u64 = 200;

impl Store {
    /// Notes an agent token; `false`, and nothing written, if its session is not live or its account may not log in.
    /// [`StoreError::Full`] when the account has `most` of them that live.
    pub async fn insert_agent_token(
        &self,
        token: &AgentTokenRecord,
        most: u32,
        audit: &[AuditRecord],
    ) -> Result<bool, StoreError> {
        self.bounded("insert_agent_token", async {
            let mut tx = self.begin().await?;
            let live: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM agent_token WHERE account_id = $1 AND ended_at IS NULL \
                 AND expires_at > $2",
            )
            .bind(token.account.as_str())
            .bind(token.created_at.millis())
            .fetch_one(&mut *tx)
            .await?;
            if live >= i64::from(most) {
                return Err(StoreError::Full);
            }
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

    /// Removes what has expired at `now`, telling of each that nothing ended before its time. Gives how many were removed.
    pub async fn expire_agent_tokens(
        &self,
        now: Timestamp,
        tell: impl Fn(&ExpiredAgent) -> AuditRecord,
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let batch = self.expire_some(now, &tell).await?;
            removed += batch;
            if batch < BATCH {
                return Ok(removed);
            }
        }
    }

    async fn expire_some(
        &self,
        now: Timestamp,
        tell: &impl Fn(&ExpiredAgent) -> AuditRecord,
    ) -> Result<u64, StoreError> {
        self.bounded("expire_agent_tokens", async {
            let mut tx = self.begin().await?;
            let rows = sqlx::query(
                "SELECT t.id, t.account_id, t.session_id, t.mount, t.agent_type, t.created_at, t.expires_at, \
                 a.realm, CASE WHEN t.ended_at IS NULL AND s.ended_at IS NULL AND a.status = 'active' \
                 THEN 1 ELSE 0 END AS alive \
                 FROM agent_token t JOIN account a ON a.id = t.account_id \
                 LEFT JOIN session s ON s.id = t.session_id \
                 WHERE t.expires_at <= $1 ORDER BY t.expires_at LIMIT $2",
            )
            .bind(now.millis())
            .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .fetch_all(&mut *tx)
            .await?;
            let mut audit = Vec::new();
            for row in &rows {
                let agent = expired(row)?;
                sqlx::query("DELETE FROM agent_token WHERE id = $1")
                    .bind(agent.id.as_str())
                    .execute(&mut *tx)
                    .await?;
                if rows::get::<i64>(row, "alive")? != 0 {
                    audit.push(tell(&agent));
                }
            }
            self.commit(tx, &audit).await?;
            Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
        })
        .await
    }
}

fn expired(row: &Row) -> Result<ExpiredAgent, StoreError> {
    Ok(ExpiredAgent {
        id: rows::get::<String>(row, "id")?.into(),
        account: rows::get::<String>(row, "account_id")?.into(),
        realm: rows::get::<String>(row, "realm")?.into(),
        mount: rows::get::<String>(row, "mount")?.into(),
        session: rows::get::<Option<String>>(row, "session_id")?.map(Into::into),
        kind: rows::get(row, "agent_type")?,
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::time(row, "expires_at")?,
    })
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
    revocations::insert_all(tx, &ended).await
}

/// The same for one token.
pub(super) async fn end_one(
    tx: &mut Connection,
    id: &TokenId,
    now: Timestamp,
) -> Result<Vec<RevokedToken>, StoreError> {
    let ended = sqlx::query(
        "UPDATE agent_token SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL \
         AND expires_at > $2 RETURNING id, expires_at",
    )
    .bind(id.as_str())
    .bind(now.millis())
    .fetch_all(&mut *tx)
    .await?;
    revocations::insert_all(tx, &ended).await
}
