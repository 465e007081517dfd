//! Refresh tokens: looked up, rotated, ended. Only digests are kept.

use super::{
    AuditRecord, Connection, FamilyRecord, RefreshRecord, RefreshState, Rotate, Rotation, Store,
    StoreError,
    rows::{self, account_columns, family_columns, refresh_columns, session_columns},
};
use crate::model::Timestamp;

impl Store {
    /// Token, family, session and account of a token id, in one query.
    pub async fn refresh_lookup(&self, id: &str) -> Result<Option<RefreshState>, StoreError> {
        self.bounded("refresh_lookup", self.lookup(id)).await
    }

    /// Trades a token for its successor. Of many at once exactly one wins; a dead family, session or account loses too,
    /// and so does a reusable token. The audit is written only when won.
    pub async fn rotate(
        &self,
        rotate: &Rotate,
        audit: &[AuditRecord],
    ) -> Result<Rotation, StoreError> {
        self.bounded("rotate", async {
            let next = &rotate.successor;
            if next.family != rotate.family || next.generation != rotate.generation + 1 {
                return Err(StoreError::Internal);
            }
            let mut tx = self.begin().await?;
            if !(advance(&mut tx, rotate).await? && spend(&mut tx, rotate).await?) {
                tx.rollback().await?;
                let state = self.lookup(&rotate.token).await?;
                return Ok(Rotation::Lost(state.map(Box::new)));
            }
            insert_token(&mut tx, next).await?;
            sqlx::query(
                "UPDATE session SET last_seen_at = $2, expires_at = $3 \
                 WHERE id = (SELECT session_id FROM refresh_family WHERE id = $1)",
            )
            .bind(&rotate.family)
            .bind(rotate.now.millis())
            .bind(rotate.expires_at.millis())
            .execute(&mut *tx)
            .await?;
            self.commit(tx, audit).await?;
            Ok(Rotation::Won)
        })
        .await
    }

    /// Ends a family, so that none of its tokens works again; `false`, and nothing written, if it had ended already.
    pub async fn end_family(
        &self,
        id: &str,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<bool, StoreError> {
        self.bounded("end_family", async {
            let mut tx = self.begin().await?;
            let ended = sqlx::query(
                "UPDATE refresh_family SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL",
            )
            .bind(id)
            .bind(now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if ended == 0 {
                return Ok(false);
            }
            self.commit(tx, audit).await?;
            Ok(true)
        })
        .await
    }

    async fn lookup(&self, id: &str) -> Result<Option<RefreshState>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            refresh_columns!(),
            ", ",
            family_columns!(),
            ", ",
            session_columns!(),
            ", ",
            account_columns!(),
            ", o.client_id AS o_client_id FROM refresh_token t JOIN refresh_family f ON f.id = t.family_id \
             JOIN session s ON s.id = f.session_id JOIN account a ON a.id = s.account_id \
             LEFT JOIN oauth_session o ON o.session_id = s.id WHERE t.id = $1"
        ))
        .bind(id)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(RefreshState {
            token: rows::refresh(&row)?,
            family: rows::family(&row)?,
            session: rows::session(&row)?,
            account: rows::account(&row)?,
            client: rows::get::<Option<String>>(&row, "o_client_id")?.map(Into::into),
        }))
    }
}

/// The compare-and-set: moves the family on by one if it stands where the caller believes and everything above it lives.
async fn advance(tx: &mut Connection, rotate: &Rotate) -> Result<bool, StoreError> {
    let moved = sqlx::query(
        "UPDATE refresh_family SET generation = generation + 1, expires_at = $4 \
         WHERE id = $1 AND generation = $2 AND reusable = 0 AND ended_at IS NULL \
         AND expires_at > $3 AND EXISTS (SELECT 1 FROM session s JOIN account a \
         ON a.id = s.account_id WHERE s.id = refresh_family.session_id AND s.ended_at IS NULL \
         AND s.expires_at > $3 AND a.status = 'active')",
    )
    .bind(&rotate.family)
    .bind(rotate.generation)
    .bind(rotate.now.millis())
    .bind(rotate.expires_at.millis())
    .execute(tx)
    .await?;
    Ok(moved.rows_affected() == 1)
}

async fn spend(tx: &mut Connection, rotate: &Rotate) -> Result<bool, StoreError> {
    let spent = sqlx::query(
        "UPDATE refresh_token SET spent_at = $4 WHERE id = $1 AND family_id = $2 \
         AND generation = $3 AND spent_at IS NULL AND expires_at > $4",
    )
    .bind(&rotate.token)
    .bind(&rotate.family)
    .bind(rotate.generation)
    .bind(rotate.now.millis())
    .execute(tx)
    .await?;
    Ok(spent.rows_affected() == 1)
}

/// Adds a family.
pub(super) async fn insert_family(
    tx: &mut Connection,
    family: &FamilyRecord,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refresh_family (id, session_id, reusable, generation, created_at, expires_at, \
         ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&family.id)
    .bind(family.session.as_str())
    .bind(i64::from(family.reusable))
    .bind(family.generation)
    .bind(family.created_at.millis())
    .bind(family.expires_at.millis())
    .bind(family.ended_at.map(Timestamp::millis))
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds a token.
pub(super) async fn insert_token(
    tx: &mut Connection,
    token: &RefreshRecord,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refresh_token (id, family_id, generation, digest, issued_at, expires_at, \
         spent_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&token.id)
    .bind(&token.family)
    .bind(token.generation)
    .bind(token.digest.as_bytes().as_slice())
    .bind(token.issued_at.millis())
    .bind(token.expires_at.millis())
    .bind(token.spent_at.map(Timestamp::millis))
    .execute(tx)
    .await?;
    Ok(())
}
