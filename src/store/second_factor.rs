//! The second factor: its encrypted seed, the codes that were taken, and backup codes as digests that are taken once.

use super::{
    AuditRecord, Ciphertext, Connection, Factor, FactorRecord, SpentFactor, Store, StoreError, rows,
};
use crate::model::{AccountId, Digest, RealmName, Timestamp};

/// Purpose of backup codes among one-time codes.
const BACKUP: &str = "totp_backup";
/// Backup codes do not run out; the year 9999 is far enough.
const NEVER: Timestamp = Timestamp(253_402_300_799_000);

impl Store {
    /// The state of an account's second factor. [`StoreError::NotFound`]: no such account.
    pub async fn factor(&self, account: &AccountId) -> Result<FactorRecord, StoreError> {
        self.bounded("factor", async {
            let mut connection = self.readers().acquire().await?;
            read(&mut connection, account).await
        })
        .await
    }

    /// Keeps a new seed that is not switched on. [`StoreError::Changed`] if a factor is switched on already.
    pub async fn prepare_factor(
        &self,
        account: &AccountId,
        secret: &Ciphertext,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.bounded("prepare_factor", async {
            let mut tx = self.begin().await?;
            let kept = sqlx::query(
                "UPDATE account SET totp_secret = $2, totp_last_step = NULL, updated_at = $3 \
                 WHERE id = $1 AND totp_enabled_at IS NULL",
            )
            .bind(account.as_str())
            .bind(secret.0.as_slice())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            rows::met(&kept, StoreError::Changed)?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Switches the prepared factor on, takes the code that proved it, and keeps backup codes.
    /// [`StoreError::Changed`] if another factor was prepared or it is on already.
    pub async fn enable_factor(
        &self,
        account: &AccountId,
        prepared: &Ciphertext,
        step: i64,
        backup_codes: &[Digest],
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("enable_factor", async {
            let mut tx = self.begin().await?;
            let enabled = sqlx::query(
                "UPDATE account SET totp_enabled_at = $4, totp_last_step = $3, updated_at = $4, \
                 version = version + 1 \
                 WHERE id = $1 AND totp_secret = $2 AND totp_enabled_at IS NULL",
            )
            .bind(account.as_str())
            .bind(prepared.0.as_slice())
            .bind(step)
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            rows::met(&enabled, StoreError::Changed)?;
            replace_codes(&mut tx, account, backup_codes, now).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Switches the factor off and forgets seed and backup codes, if `spent` can still be taken.
    pub async fn disable_factor(
        &self,
        account: &AccountId,
        spent: Option<&SpentFactor>,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("disable_factor", async {
            let mut tx = self.begin().await?;
            take_if_any(&mut tx, account, spent).await?;
            sqlx::query(
                "UPDATE account SET totp_secret = NULL, totp_enabled_at = NULL, \
                 totp_last_step = NULL, updated_at = $2, version = version + 1 WHERE id = $1",
            )
            .bind(account.as_str())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            replace_codes(&mut tx, account, &[], now).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Replaces the backup codes, if `spent` can still be taken.
    pub async fn replace_backup_codes(
        &self,
        account: &AccountId,
        spent: Option<&SpentFactor>,
        codes: &[Digest],
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("replace_backup_codes", async {
            let mut tx = self.begin().await?;
            take_if_any(&mut tx, account, spent).await?;
            replace_codes(&mut tx, account, codes, now).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Takes a code by itself. [`StoreError::Spent`] if it was taken before.
    pub async fn spend_factor(
        &self,
        account: &AccountId,
        spent: &SpentFactor,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("spend_factor", async {
            let mut tx = self.begin().await?;
            take(&mut tx, account, spent).await?;
            self.commit(tx, audit).await
        })
        .await
    }
}

/// Takes a code inside a transaction: of many at once exactly one does. [`StoreError::Spent`] for the others.
pub(super) async fn take(
    tx: &mut Connection,
    account: &AccountId,
    spent: &SpentFactor,
) -> Result<(), StoreError> {
    let taken = match &spent.factor {
        Factor::Step(step) => sqlx::query(
            "UPDATE account SET totp_last_step = $2 WHERE id = $1 \
             AND totp_enabled_at IS NOT NULL AND (totp_last_step IS NULL OR totp_last_step < $2)",
        )
        .bind(account.as_str())
        .bind(*step)
        .execute(tx)
        .await?
        .rows_affected(),
        Factor::Backup(digest) => sqlx::query(
            "DELETE FROM one_time_code WHERE account_id = $1 AND purpose = $2 AND digest = $3 \
             AND expires_at > $4",
        )
        .bind(account.as_str())
        .bind(BACKUP)
        .bind(digest.as_bytes().as_slice())
        .bind(spent.now.millis())
        .execute(tx)
        .await?
        .rows_affected(),
    };
    if taken == 1 { Ok(()) } else { Err(StoreError::Spent) }
}

async fn take_if_any(
    tx: &mut Connection,
    account: &AccountId,
    spent: Option<&SpentFactor>,
) -> Result<(), StoreError> {
    match spent {
        Some(spent) => take(tx, account, spent).await,
        None => Ok(()),
    }
}

async fn read(
    connection: &mut Connection,
    account: &AccountId,
) -> Result<FactorRecord, StoreError> {
    let row = sqlx::query(
        "SELECT a.totp_secret, a.totp_enabled_at, a.totp_last_step, (SELECT COUNT(*) \
         FROM one_time_code c WHERE c.account_id = a.id AND c.purpose = $2) AS backup_codes \
         FROM account a WHERE a.id = $1",
    )
    .bind(account.as_str())
    .bind(BACKUP)
    .fetch_optional(connection)
    .await?
    .ok_or(StoreError::NotFound)?;
    Ok(FactorRecord {
        secret: rows::get::<Option<Vec<u8>>>(&row, "totp_secret")?.map(Ciphertext),
        enabled_at: rows::maybe_time(&row, "totp_enabled_at")?,
        last_step: rows::get(&row, "totp_last_step")?,
        backup_codes: u32::try_from(rows::get::<i64>(&row, "backup_codes")?)
            .map_err(|_| StoreError::Corrupt)?,
    })
}

async fn replace_codes(
    tx: &mut Connection,
    account: &AccountId,
    codes: &[Digest],
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM one_time_code WHERE account_id = $1 AND purpose = $2")
        .bind(account.as_str())
        .bind(BACKUP)
        .execute(&mut *tx)
        .await?;
    let realm: RealmName =
        sqlx::query_scalar::<_, String>("SELECT realm FROM account WHERE id = $1")
            .bind(account.as_str())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(StoreError::NotFound)?
            .into();
    for digest in codes {
        sqlx::query(
            "INSERT INTO one_time_code (realm, purpose, digest, account_id, payload, created_at, \
             expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(realm.as_str())
        .bind(BACKUP)
        .bind(digest.as_bytes().as_slice())
        .bind(account.as_str())
        .bind("{}")
        .bind(now.millis())
        .bind(NEVER.millis())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
