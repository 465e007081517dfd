//! One-time codes: kept as digests, taken once.

use super::{AuditRecord, CodeRecord, Connection, Row, Store, StoreError, rows};
use crate::model::{AccountId, Digest, RealmName, Timestamp};

impl Store {
    /// Keeps a code. [`StoreError::Conflict`] if there is one of the same digest and purpose.
    pub async fn insert_code(
        &self,
        code: &CodeRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_code", async {
            let mut tx = self.begin().await?;
            insert(&mut tx, code).await?;
            self.record(&mut tx, audit).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Burns a code and gives it back: of many at once exactly one gets it. `None`: unknown, used or expired.
    /// `audit` is written only when it was got.
    pub async fn take_code(
        &self,
        realm: &RealmName,
        purpose: &str,
        digest: &Digest,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Option<CodeRecord>, StoreError> {
        self.bounded("take_code", async {
            let mut tx = self.begin().await?;
            let code = burn(&mut tx, realm, purpose, digest, now).await?;
            let Some(code) = code else { return Ok(None) };
            self.record(&mut tx, audit).await?;
            tx.commit().await?;
            Ok(Some(code))
        })
        .await
    }

    /// Voids all codes of an account for a purpose; part of the change that makes them void, which is recorded there.
    pub async fn void_codes(&self, account: &AccountId, purpose: &str) -> Result<(), StoreError> {
        self.bounded("void_codes", async {
            let mut tx = self.begin().await?;
            sqlx::query("DELETE FROM one_time_code WHERE account_id = $1 AND purpose = $2")
                .bind(account.as_str())
                .bind(purpose)
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}

/// Keeps a code, inside a transaction.
pub(super) async fn insert(tx: &mut Connection, code: &CodeRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO one_time_code (realm, purpose, digest, account_id, payload, \
         created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(code.realm.as_str())
    .bind(&code.purpose)
    .bind(code.digest.as_bytes().as_slice())
    .bind(code.account.as_ref().map(AccountId::as_str))
    .bind(rows::to_json(&code.payload)?)
    .bind(code.created_at.millis())
    .bind(code.expires_at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Burns a code, inside a transaction: of many at once exactly one gets it.
pub(super) async fn burn(
    tx: &mut Connection,
    realm: &RealmName,
    purpose: &str,
    digest: &Digest,
    now: Timestamp,
) -> Result<Option<CodeRecord>, StoreError> {
    let row = sqlx::query(
        "DELETE FROM one_time_code WHERE realm = $1 AND purpose = $2 AND digest = $3 \
         AND expires_at > $4 \
         RETURNING realm, purpose, digest, account_id, payload, created_at, expires_at",
    )
    .bind(realm.as_str())
    .bind(purpose)
    .bind(digest.as_bytes().as_slice())
    .bind(now.millis())
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(code_of).transpose()
}

pub(super) fn code_of(row: &Row) -> Result<CodeRecord, StoreError> {
    Ok(CodeRecord {
        realm: rows::get::<String>(row, "realm")?.into(),
        purpose: rows::get(row, "purpose")?,
        digest: rows::digest(row, "digest")?,
        account: rows::get::<Option<String>>(row, "account_id")?.map(Into::into),
        payload: rows::json(row, "payload")?,
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::time(row, "expires_at")?,
    })
}
