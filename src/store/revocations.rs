//! Access tokens that end before their time.

use futures_util::TryStreamExt;

use super::{AuditRecord, Connection, LONG_CALL, RevokedToken, Row, Store, StoreError, rows};
use crate::model::Timestamp;

impl Store {
    /// Revokes an access token. A second time changes and records nothing.
    pub async fn revoke_token(
        &self,
        token: &RevokedToken,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("revoke_token", async {
            let mut tx = self.begin().await?;
            if insert(&mut tx, token).await? {
                self.record(&mut tx, audit).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Revocations that still matter, for the view at start: one after another, for there may be very many.
    pub async fn live_revocations(
        &self,
        now: Timestamp,
        mut take: impl FnMut(RevokedToken),
    ) -> Result<(), StoreError> {
        self.bounded_by(LONG_CALL, "live_revocations", async {
            let mut found =
                sqlx::query("SELECT id, expires_at FROM revoked_token WHERE expires_at > $1")
                    .bind(now.millis())
                    .fetch(self.readers());
            while let Some(row) = found.try_next().await? {
                take(revoked(&row)?);
            }
            Ok(())
        })
        .await
    }
}

/// Adds a revocation inside a transaction; `false` if it was there.
pub(super) async fn insert(tx: &mut Connection, token: &RevokedToken) -> Result<bool, StoreError> {
    let added = sqlx::query(
        "INSERT INTO revoked_token (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(token.id.as_str())
    .bind(token.expires_at.millis())
    .execute(tx)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Revokes, inside a transaction, the tokens that an UPDATE has just ended: rows of `id` and `expires_at`.
pub(super) async fn insert_all(
    tx: &mut Connection,
    ended: &[Row],
) -> Result<Vec<RevokedToken>, StoreError> {
    let mut tokens = Vec::with_capacity(ended.len());
    for row in ended {
        let token = revoked(row)?;
        insert(tx, &token).await?;
        tokens.push(token);
    }
    Ok(tokens)
}

fn revoked(row: &Row) -> Result<RevokedToken, StoreError> {
    Ok(RevokedToken {
        id: rows::get::<String>(row, "id")?.into(),
        expires_at: rows::time(row, "expires_at")?,
    })
}
