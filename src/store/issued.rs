//! Access tokens of the standard issuer: noted when they are issued, so that they end with what they hang on.

use super::{
    AuditRecord, Connection, IssuedRecord, RevokedToken, Row, Store, StoreError, revocations, rows,
};
use crate::model::{AccountId, ClientId, MountName, SessionId, Timestamp, TokenId};

impl Store {
    /// Notes a token. [`StoreError::Changed`], and nothing written, if its client, its account, its session or the token it
    /// was made from is not good any more.
    pub async fn insert_issued(
        &self,
        token: &IssuedRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_issued", async {
            let mut tx = self.begin().await?;
            insert(&mut tx, token).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// A token that lives.
    pub async fn issued(
        &self,
        mount: &MountName,
        id: &TokenId,
        now: Timestamp,
    ) -> Result<Option<IssuedRecord>, StoreError> {
        self.bounded("issued", async {
            sqlx::query(
                "SELECT * FROM oauth_token WHERE id = $1 AND mount = $2 AND ended_at IS NULL \
                 AND expires_at > $3",
            )
            .bind(id.as_str())
            .bind(mount.as_str())
            .bind(now.millis())
            .fetch_optional(self.readers())
            .await?
            .as_ref()
            .map(issued_of)
            .transpose()
        })
        .await
    }

    /// Ends a token and all that were made from it. The audit is written only when this call ended one.
    pub async fn end_issued(
        &self,
        id: &TokenId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Vec<RevokedToken>, StoreError> {
        self.bounded("end_issued", async {
            let mut tx = self.begin().await?;
            let ended = end_of_token(&mut tx, id, now).await?;
            if !ended.is_empty() {
                self.record(&mut tx, audit).await?;
            }
            tx.commit().await?;
            Ok(ended)
        })
        .await
    }
}

/// Where what ends begins.
enum Roots<'a> {
    Token(&'a TokenId),
    Client(&'a ClientId),
}

/// Ends the tokens of a client, and all that others made from them.
pub(super) async fn end_of_client(
    tx: &mut Connection,
    client: &ClientId,
    now: Timestamp,
) -> Result<Vec<RevokedToken>, StoreError> {
    end(tx, Roots::Client(client), now).await
}

/// Ends a token, and all that were made from it.
pub(super) async fn end_of_token(
    tx: &mut Connection,
    id: &TokenId,
    now: Timestamp,
) -> Result<Vec<RevokedToken>, StoreError> {
    end(tx, Roots::Token(id), now).await
}

async fn end(
    tx: &mut Connection,
    roots: Roots<'_>,
    now: Timestamp,
) -> Result<Vec<RevokedToken>, StoreError> {
    let (token, client) = match roots {
        Roots::Token(id) => (Some(id.as_str()), None),
        Roots::Client(id) => (None, Some(id.as_str())),
    };
    let rows = sqlx::query(
        "WITH RECURSIVE doomed (id) AS (SELECT id FROM oauth_token WHERE id = $1 OR client_id = $2 \
         UNION SELECT t.id FROM oauth_token t JOIN doomed d ON t.parent = d.id) \
         UPDATE oauth_token SET ended_at = COALESCE(ended_at, $3) \
         WHERE id IN (SELECT id FROM doomed) AND expires_at > $3 RETURNING id, expires_at",
    )
    .bind(token)
    .bind(client)
    .bind(now.millis())
    .fetch_all(&mut *tx)
    .await?;
    revocations::insert_all(tx, &rows).await
}

/// Notes a token inside a transaction.
pub(super) async fn insert(tx: &mut Connection, token: &IssuedRecord) -> Result<(), StoreError> {
    // Judged here once more: client, session or parent may have ended since they were looked at.
    let added = sqlx::query(
        "INSERT INTO oauth_token (id, mount, client_id, account_id, session_id, parent, created_at, \
         expires_at) SELECT $1, c.mount, c.id, $4, $5, $6, $7, $8 FROM oauth_client c \
         WHERE c.id = $3 AND c.mount = $2 AND c.disabled_at IS NULL \
         AND (c.expires_at IS NULL OR c.expires_at > $7) \
         AND (CAST($4 AS TEXT) IS NULL OR EXISTS \
         (SELECT 1 FROM account a WHERE a.id = $4 AND a.status = 'active')) \
         AND (CAST($5 AS TEXT) IS NULL OR EXISTS \
         (SELECT 1 FROM session s WHERE s.id = $5 AND s.ended_at IS NULL AND s.expires_at > $7)) \
         AND (CAST($6 AS TEXT) IS NULL OR NOT EXISTS \
         (SELECT 1 FROM revoked_token r WHERE r.id = $6))",
    )
    .bind(token.id.as_str())
    .bind(token.mount.as_str())
    .bind(token.client.as_str())
    .bind(token.account.as_ref().map(AccountId::as_str))
    .bind(token.session.as_ref().map(SessionId::as_str))
    .bind(token.parent.as_ref().map(TokenId::as_str))
    .bind(token.created_at.millis())
    .bind(token.expires_at.millis())
    .execute(tx)
    .await?;
    rows::met(&added, StoreError::Changed)
}

fn issued_of(row: &Row) -> Result<IssuedRecord, StoreError> {
    Ok(IssuedRecord {
        id: rows::get::<String>(row, "id")?.into(),
        mount: rows::get::<String>(row, "mount")?.into(),
        client: rows::get::<String>(row, "client_id")?.into(),
        account: rows::get::<Option<String>>(row, "account_id")?.map(Into::into),
        session: rows::get::<Option<String>>(row, "session_id")?.map(Into::into),
        parent: rows::get::<Option<String>>(row, "parent")?.map(Into::into),
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::time(row, "expires_at")?,
    })
}
