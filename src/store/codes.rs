//! One-time codes: kept as digests, taken once.

use super::{
    AccountChange, AccountUpdate, AuditRecord, CodeProof, CodeRecord, Connection, Judged,
    OutboxRecord, Row, Store, StoreError, account_update, outbox, rows,
};
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
            self.commit(tx, audit).await
        })
        .await
    }

    /// Keeps the only code of its account and purpose: earlier ones are void. What is to be delivered goes with it.
    pub async fn issue_code(
        &self,
        code: &CodeRecord,
        parcels: &[OutboxRecord],
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("issue_code", async {
            let mut tx = self.begin().await?;
            if let Some(account) = &code.account {
                void(&mut tx, account, &code.purpose).await?;
            }
            insert(&mut tx, code).await?;
            outbox::insert(&mut tx, parcels).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Looks at a presented code without burning it. A wrong one is counted where codes are short, and `on_wrong` is
    /// recorded.
    pub async fn judge_code(
        &self,
        proof: &CodeProof,
        on_wrong: &[AuditRecord],
    ) -> Result<Judged, StoreError> {
        self.bounded("judge_code", async {
            let mut tx = self.begin().await?;
            let row = sqlx::query(
                "SELECT realm, purpose, digest, account_id, payload, created_at, expires_at \
                 FROM one_time_code WHERE realm = $1 AND purpose = $2 AND digest = $3 \
                 AND expires_at > $4 AND (CAST($5 AS TEXT) IS NULL OR account_id = $5)",
            )
            .bind(proof.realm.as_str())
            .bind(&proof.purpose)
            .bind(proof.digest.as_bytes().as_slice())
            .bind(proof.now.millis())
            .bind(proof.account.as_ref().map(AccountId::as_str))
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(row) = row {
                return Ok(Judged::Right(code_of(&row)?));
            }
            if let Some(account) = &proof.account {
                count_wrong(&mut tx, proof, account).await?;
            }
            self.commit(tx, on_wrong).await?;
            Ok(Judged::Wrong)
        })
        .await
    }

    /// Burns a code and makes the change it is good for, both or neither. `None`: the code is gone meanwhile.
    /// [`StoreError::Changed`] if the account is not the expected one any more; then the code stays.
    pub async fn redeem_code(
        &self,
        proof: &CodeProof,
        update: &AccountUpdate,
        audit: &[AuditRecord],
    ) -> Result<Option<AccountChange>, StoreError> {
        self.bounded("redeem_code", async {
            let mut tx = self.begin().await?;
            let (realm, purpose) = (&proof.realm, &proof.purpose);
            if burn(&mut tx, realm, purpose, &proof.digest, proof.now).await?.is_none() {
                return Ok(None);
            }
            let change = account_update::apply(&mut tx, update).await?;
            self.commit(tx, audit).await?;
            Ok(Some(change))
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
            self.commit(tx, audit).await?;
            Ok(Some(code))
        })
        .await
    }

    /// Voids all codes of an account for a purpose; part of the change that makes them void, which is recorded there.
    pub async fn void_codes(&self, account: &AccountId, purpose: &str) -> Result<(), StoreError> {
        self.bounded("void_codes", async {
            let mut tx = self.begin().await?;
            void(&mut tx, account, purpose).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}

/// Voids the codes of an account for a purpose, inside a transaction.
pub(super) async fn void(
    tx: &mut Connection,
    account: &AccountId,
    purpose: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM one_time_code WHERE account_id = $1 AND purpose = $2")
        .bind(account.as_str())
        .bind(purpose)
        .execute(tx)
        .await?;
    Ok(())
}

/// Keeps a code, inside a transaction.
pub(super) async fn insert(tx: &mut Connection, code: &CodeRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO one_time_code (realm, purpose, digest, account_id, payload, \
         created_at, expires_at, attempts) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
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

/// Counts a wrong try against the codes of an account, and voids those that had too many.
async fn count_wrong(
    tx: &mut Connection,
    proof: &CodeProof,
    account: &AccountId,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE one_time_code SET attempts = attempts + 1 WHERE account_id = $1 AND purpose = $2",
    )
    .bind(account.as_str())
    .bind(&proof.purpose)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "DELETE FROM one_time_code WHERE account_id = $1 AND purpose = $2 AND attempts >= $3",
    )
    .bind(account.as_str())
    .bind(&proof.purpose)
    .bind(i64::from(proof.attempts))
    .execute(tx)
    .await?;
    Ok(())
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
