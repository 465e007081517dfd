//! Signing keys and named secrets, all encrypted before they come here.

use super::{AuditRecord, Ciphertext, Connection, SigningKeyRecord, Store, StoreError, rows};
use crate::model::{MountName, Timestamp};

impl Store {
    /// Keys that still verify, of one or all mounts: those that sign first, then newest first.
    pub async fn signing_keys(
        &self,
        mount: Option<&MountName>,
        now: Timestamp,
    ) -> Result<Vec<SigningKeyRecord>, StoreError> {
        self.bounded("signing_keys", async {
            sqlx::query(
                "SELECT * FROM signing_key WHERE (CAST($1 AS TEXT) IS NULL OR mount = $1) \
                 AND (expires_at IS NULL OR expires_at > $2) \
                 ORDER BY CASE WHEN retired_at IS NULL THEN 0 ELSE 1 END, created_at DESC, kid",
            )
            .bind(mount.map(MountName::as_str))
            .bind(now.millis())
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(rows::signing_key)
            .collect()
        })
        .await
    }

    /// The key that signs for this mount and algorithm: `new` if there was none. Gives the winner back; `audit` is
    /// written only when `new` is it.
    pub async fn ensure_signing_key(
        &self,
        new: &SigningKeyRecord,
        audit: &[AuditRecord],
    ) -> Result<SigningKeyRecord, StoreError> {
        self.bounded("ensure_signing_key", async {
            let mut tx = self.begin().await?;
            let active = sqlx::query(
                "SELECT * FROM signing_key WHERE mount = $1 AND algorithm = $2 AND retired_at IS NULL",
            )
            .bind(new.mount.as_str())
            .bind(&new.algorithm)
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(row) = active {
                return rows::signing_key(&row);
            }
            insert(&mut tx, new).await?;
            self.commit(tx, audit).await?;
            Ok(new.clone())
        })
        .await
    }

    /// Makes `new` the next signing key of its set: the one that signs last retires at `signs_from` and verifies until
    /// `others_until`.
    pub async fn rotate_signing_key(
        &self,
        new: &SigningKeyRecord,
        signs_from: Timestamp,
        others_until: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("rotate_signing_key", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE signing_key SET retired_at = $2, expires_at = $3 \
                 WHERE mount = $1 AND retired_at IS NULL",
            )
            .bind(new.mount.as_str())
            .bind(signs_from.millis())
            .bind(others_until.millis())
            .execute(&mut *tx)
            .await?;
            insert(&mut tx, new).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// A named secret: `new` if there was none. Gives the winner back.
    pub async fn ensure_secret(
        &self,
        name: &str,
        new: &Ciphertext,
        now: Timestamp,
    ) -> Result<Ciphertext, StoreError> {
        self.bounded("ensure_secret", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO named_secret (name, ciphertext, created_at) VALUES ($1, $2, $3) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(name)
            .bind(new.0.as_slice())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            let winner = sqlx::query_scalar("SELECT ciphertext FROM named_secret WHERE name = $1")
                .bind(name)
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(Ciphertext(winner))
        })
        .await
    }

    /// A named secret, if there is one.
    pub async fn secret(&self, name: &str) -> Result<Option<Ciphertext>, StoreError> {
        self.bounded("secret", async {
            let found = sqlx::query_scalar("SELECT ciphertext FROM named_secret WHERE name = $1")
                .bind(name)
                .fetch_optional(self.readers())
                .await?;
            Ok(found.map(Ciphertext))
        })
        .await
    }

    /// Puts a named secret in the place of what was there.
    pub async fn replace_secret(
        &self,
        name: &str,
        new: &Ciphertext,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.bounded("replace_secret", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO named_secret (name, ciphertext, created_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO UPDATE SET ciphertext = $2, created_at = $3",
            )
            .bind(name)
            .bind(new.0.as_slice())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}

async fn insert(tx: &mut Connection, key: &SigningKeyRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO signing_key (mount, kid, algorithm, private_key, public_key, created_at, \
         retired_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(key.mount.as_str())
    .bind(&key.kid)
    .bind(&key.algorithm)
    .bind(key.private.0.as_slice())
    .bind(key.public.as_slice())
    .bind(key.created_at.millis())
    .bind(key.retired_at.map(Timestamp::millis))
    .bind(key.expires_at.map(Timestamp::millis))
    .execute(tx)
    .await?;
    Ok(())
}
