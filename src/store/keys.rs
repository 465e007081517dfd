//! API keys.

use super::{
    AuditRecord, Connection, KeyRecord, OwnedKey, Store, StoreError,
    rows::{self, account_columns, key_columns},
};
use crate::model::{AccountId, KeyId, MountName, OrganisationId, ScopeSet, Timestamp};

impl Store {
    /// Makes a key. [`StoreError::Changed`] if the owner may not log in (any more).
    pub async fn insert_key(
        &self,
        key: &KeyRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_key", async {
            let mut tx = self.begin().await?;
            insert(&mut tx, key).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// A key of a mount with its owner, revoked and expired ones included: evidence.
    pub async fn key(&self, mount: &MountName, id: &KeyId) -> Result<Option<OwnedKey>, StoreError> {
        self.bounded("key", async {
            let row = sqlx::query(concat!(
                "SELECT ",
                key_columns!(),
                ", ",
                account_columns!(),
                " FROM api_key k JOIN account a ON a.id = k.owner_id \
                 WHERE k.id = $1 AND k.mount = $2"
            ))
            .bind(id.as_str())
            .bind(mount.as_str())
            .fetch_optional(self.readers())
            .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(OwnedKey { key: rows::key(&row)?, owner: rows::account(&row)? }))
        })
        .await
    }

    /// Keys of an owner at a mount, newest first, revoked ones included.
    pub async fn keys_of(
        &self,
        mount: &MountName,
        owner: &AccountId,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        let select = concat!(
            "SELECT ",
            key_columns!(),
            " FROM api_key k WHERE k.owner_id = $1 AND k.mount = $2 \
             ORDER BY k.created_at DESC, k.id"
        );
        self.listed("keys_of", select, &[owner.as_str(), mount.as_str()], rows::key).await
    }

    /// Keys of an organisation's members at a mount, newest first, revoked ones included.
    pub async fn keys_within(
        &self,
        mount: &MountName,
        organisation: &OrganisationId,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        let select = concat!(
            "SELECT ",
            key_columns!(),
            " FROM api_key k JOIN membership m ON m.account_id = k.owner_id \
             WHERE m.organisation_id = $1 AND k.mount = $2 ORDER BY k.created_at DESC, k.id"
        );
        self.listed("keys_within", select, &[organisation.as_str(), mount.as_str()], rows::key)
            .await
    }

    /// Replaces the scopes of a key that is not revoked, and gives it back.
    pub async fn set_key_scopes(
        &self,
        mount: &MountName,
        id: &KeyId,
        scopes: &ScopeSet,
        audit: &[AuditRecord],
    ) -> Result<KeyRecord, StoreError> {
        self.bounded("set_key_scopes", async {
            let mut tx = self.begin().await?;
            let changed = sqlx::query(
                "UPDATE api_key SET scopes = $3 WHERE id = $1 AND mount = $2 \
                 AND revoked_at IS NULL",
            )
            .bind(id.as_str())
            .bind(mount.as_str())
            .bind(rows::to_json(scopes)?)
            .execute(&mut *tx)
            .await?;
            rows::met(&changed, StoreError::NotFound)?;
            let key = by_id(&mut tx, mount, id).await?.ok_or(StoreError::NotFound)?;
            self.commit(tx, audit).await?;
            Ok(key)
        })
        .await
    }

    /// Keys of one or all mounts in the order of their ids, behind `after`.
    pub async fn keys(
        &self,
        mount: Option<&MountName>,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        self.bounded("keys", async {
            sqlx::query(concat!(
                "SELECT ",
                key_columns!(),
                " FROM api_key k WHERE k.owner_id IS NOT NULL \
                 AND (CAST($1 AS TEXT) IS NULL OR k.mount = $1) \
                 AND (CAST($2 AS TEXT) IS NULL OR k.id > $2) ORDER BY k.id LIMIT $3"
            ))
            .bind(mount.map(MountName::as_str))
            .bind(after.map(KeyId::as_str))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(rows::key)
            .collect()
        })
        .await
    }

    /// Revokes a key and gives it back. A second time changes and records nothing.
    pub async fn revoke_key(
        &self,
        mount: &MountName,
        id: &KeyId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<KeyRecord, StoreError> {
        self.bounded("revoke_key", async {
            let mut tx = self.begin().await?;
            let revoked = sqlx::query(
                "UPDATE api_key SET revoked_at = $3 WHERE id = $1 AND mount = $2 \
                 AND revoked_at IS NULL",
            )
            .bind(id.as_str())
            .bind(mount.as_str())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let key = by_id(&mut tx, mount, id).await?.ok_or(StoreError::NotFound)?;
            if revoked == 1 {
                self.record(&mut tx, audit).await?;
            }
            tx.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Makes `new` the successor of `old`, which ends at `old_until` or at its own end, whichever is earlier. Gives the
    /// old key back; [`StoreError::Changed`] if it is revoked, expired or already replaced.
    pub async fn rotate_key(
        &self,
        old: &KeyId,
        new: &KeyRecord,
        old_until: Timestamp,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<KeyRecord, StoreError> {
        self.bounded("rotate_key", async {
            let mut tx = self.begin().await?;
            let replaced = sqlx::query(
                "UPDATE api_key SET replaced_by = $3, expires_at = CASE WHEN expires_at < $4 \
                 THEN expires_at ELSE $4 END WHERE id = $1 AND mount = $2 AND revoked_at IS NULL \
                 AND replaced_by IS NULL AND (expires_at IS NULL OR expires_at > $5)",
            )
            .bind(old.as_str())
            .bind(new.mount.as_str())
            .bind(new.id.as_str())
            .bind(old_until.millis())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let key = by_id(&mut tx, &new.mount, old).await?.ok_or(StoreError::NotFound)?;
            if replaced == 0 || key.owner != new.owner {
                return Err(StoreError::Changed);
            }
            insert(&mut tx, new).await?;
            self.commit(tx, audit).await?;
            Ok(key)
        })
        .await
    }
}

async fn by_id(
    connection: &mut Connection,
    mount: &MountName,
    id: &KeyId,
) -> Result<Option<KeyRecord>, StoreError> {
    sqlx::query(concat!(
        "SELECT ",
        key_columns!(),
        " FROM api_key k WHERE k.id = $1 AND k.mount = $2 AND k.owner_id IS NOT NULL"
    ))
    .bind(id.as_str())
    .bind(mount.as_str())
    .fetch_optional(connection)
    .await?
    .as_ref()
    .map(rows::key)
    .transpose()
}

/// Adds a key if its owner, in that realm, may log in.
async fn insert(tx: &mut Connection, key: &KeyRecord) -> Result<(), StoreError> {
    let added = sqlx::query(
        "INSERT INTO api_key (id, mount, realm, owner_id, name, description, hint, digest, scopes, \
         allowed_ips, rate_limit_per_hour, created_at, expires_at, revoked_at, replaced_by, \
         last_used_at, usage_count) SELECT $1, $2, a.realm, a.id, $5, $6, $7, $8, $9, $10, $11, \
         $12, $13, $14, $15, $16, $17 FROM account a \
         WHERE a.realm = $3 AND a.id = $4 AND a.status = 'active'",
    )
    .bind(key.id.as_str())
    .bind(key.mount.as_str())
    .bind(key.realm.as_str())
    .bind(key.owner.as_str())
    .bind(&key.name)
    .bind(&key.description)
    .bind(&key.hint)
    .bind(key.digest.as_bytes().as_slice())
    .bind(rows::to_json(&key.scopes)?)
    .bind(rows::to_json(&key.allowed_ips)?)
    .bind(key.rate_limit_per_hour.map(i64::from))
    .bind(key.created_at.millis())
    .bind(key.expires_at.map(Timestamp::millis))
    .bind(key.revoked_at.map(Timestamp::millis))
    .bind(key.replaced_by.as_ref().map(KeyId::as_str))
    .bind(key.last_used_at.map(Timestamp::millis))
    .bind(i64::try_from(key.usage_count).unwrap_or(i64::MAX))
    .execute(tx)
    .await?;
    if added.rows_affected() == 0 {
        return Err(StoreError::Changed);
    }
    Ok(())
}
