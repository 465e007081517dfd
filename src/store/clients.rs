//! Clients of the standard issuer.

use super::{
    AuditRecord, ClientRecord, Connection, EndedGrants, Row, Store, StoreError, issued, rows,
    sessions,
};
use crate::model::{ClientId, Digest, MountName, Timestamp};

impl Store {
    /// Makes a client.
    pub async fn insert_client(
        &self,
        client: &ClientRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_client", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO oauth_client (id, mount, realm, name, secret, jwks, scopes, roles, grants, \
                 resources, redirect_uris, created_at, updated_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13)",
            )
            .bind(client.id.as_str())
            .bind(client.mount.as_str())
            .bind(client.realm.as_str())
            .bind(&client.name)
            .bind(client.secret.as_ref().map(|digest| digest.as_bytes().as_slice()))
            .bind(client.jwks.as_ref().map(rows::to_json).transpose()?)
            .bind(rows::to_json(&client.scopes)?)
            .bind(rows::to_json(&client.roles)?)
            .bind(rows::to_json(&client.grants)?)
            .bind(rows::to_json(&client.resources)?)
            .bind(rows::to_json(&client.redirect_uris)?)
            .bind(client.created_at.millis())
            .bind(client.expires_at.map(Timestamp::millis))
            .execute(&mut *tx)
            .await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// A client of a mount, disabled and expired ones included.
    pub async fn client(
        &self,
        mount: &MountName,
        id: &ClientId,
    ) -> Result<Option<ClientRecord>, StoreError> {
        self.bounded("client", async {
            sqlx::query("SELECT * FROM oauth_client WHERE id = $1 AND mount = $2")
                .bind(id.as_str())
                .bind(mount.as_str())
                .fetch_optional(self.readers())
                .await?
                .as_ref()
                .map(client_of)
                .transpose()
        })
        .await
    }

    /// Clients of one or all mounts in the order of their ids, behind `after`.
    pub async fn clients(
        &self,
        mount: Option<&MountName>,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        self.bounded("clients", async {
            sqlx::query(
                "SELECT * FROM oauth_client WHERE (CAST($1 AS TEXT) IS NULL OR mount = $1) \
                 AND (CAST($2 AS TEXT) IS NULL OR id > $2) ORDER BY id LIMIT $3",
            )
            .bind(mount.map(MountName::as_str))
            .bind(after.map(ClientId::as_str))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(client_of)
            .collect()
        })
        .await
    }

    /// Replaces the secret of a client that has one; the old one is good until `spare_until`.
    pub async fn rotate_client_secret(
        &self,
        mount: &MountName,
        id: &ClientId,
        secret: &Digest,
        spare_until: Timestamp,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<ClientRecord, StoreError> {
        self.bounded("rotate_client_secret", async {
            let mut tx = self.begin().await?;
            let changed = sqlx::query(
                "UPDATE oauth_client SET spare_secret = secret, spare_until = $4, secret = $3, \
                 updated_at = $5 WHERE id = $1 AND mount = $2 AND secret IS NOT NULL",
            )
            .bind(id.as_str())
            .bind(mount.as_str())
            .bind(secret.as_bytes().as_slice())
            .bind(spare_until.millis())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            rows::met(&changed, StoreError::NotFound)?;
            let client = by_id(&mut tx, mount, id).await?;
            self.commit(tx, audit).await?;
            Ok(client)
        })
        .await
    }

    /// Lets a disabled client come back. A second time changes and records nothing.
    pub async fn enable_client(
        &self,
        mount: &MountName,
        id: &ClientId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<ClientRecord, StoreError> {
        self.bounded("enable_client", async {
            let mut tx = self.begin().await?;
            let changed = sqlx::query(
                "UPDATE oauth_client SET disabled_at = NULL, updated_at = $3 \
                 WHERE id = $1 AND mount = $2 AND disabled_at IS NOT NULL",
            )
            .bind(id.as_str())
            .bind(mount.as_str())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            let client = by_id(&mut tx, mount, id).await?;
            if changed.rows_affected() == 1 {
                self.record(&mut tx, audit).await?;
            }
            tx.commit().await?;
            Ok(client)
        })
        .await
    }

    /// Disables a client, or takes it away, and ends everything that was issued to it. What comes back has ended, also
    /// where an earlier call ended it: that one may have been cut off before it could tell.
    pub async fn end_client(
        &self,
        mount: &MountName,
        id: &ClientId,
        remove: bool,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(ClientRecord, EndedGrants), StoreError> {
        self.bounded_by(super::LONG_CALL, "end_client", async {
            let mut tx = self.begin().await?;
            let before = by_id(&mut tx, mount, id).await?;
            let mut ended = EndedGrants {
                tokens: issued::end_of_client(&mut tx, id, now).await?,
                sessions: Vec::new(),
            };
            let opened: Vec<String> =
                sqlx::query_scalar("SELECT session_id FROM oauth_session WHERE client_id = $1")
                    .bind(id.as_str())
                    .fetch_all(&mut *tx)
                    .await?;
            for session in opened {
                let which = super::SessionsToEnd::One(session.as_str().into());
                sessions::end(&mut tx, &which, now).await?;
                ended.sessions.push(session.into());
            }
            let end = if remove {
                "DELETE FROM oauth_client WHERE id = $1 AND $2 = $2"
            } else {
                "UPDATE oauth_client SET disabled_at = $2, updated_at = $2 \
                 WHERE id = $1 AND disabled_at IS NULL"
            };
            let changed =
                sqlx::query(end).bind(id.as_str()).bind(now.millis()).execute(&mut *tx).await?;
            if changed.rows_affected() == 1 {
                self.record(&mut tx, audit).await?;
            }
            tx.commit().await?;
            let disabled_at = before.disabled_at.or(Some(now));
            Ok((ClientRecord { disabled_at, ..before }, ended))
        })
        .await
    }

    /// Notes a signed proof of a client; `false` if it was taken before.
    pub async fn spend_assertion(
        &self,
        client: &ClientId,
        digest: &Digest,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.bounded("spend_assertion", async {
            let mut tx = self.begin().await?;
            let added = sqlx::query(
                "INSERT INTO oauth_assertion (client_id, digest, expires_at) VALUES ($1, $2, $3) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(client.as_str())
            .bind(digest.as_bytes().as_slice())
            .bind(expires_at.millis())
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(added.rows_affected() == 1)
        })
        .await
    }
}

async fn by_id(
    tx: &mut Connection,
    mount: &MountName,
    id: &ClientId,
) -> Result<ClientRecord, StoreError> {
    let row = sqlx::query("SELECT * FROM oauth_client WHERE id = $1 AND mount = $2")
        .bind(id.as_str())
        .bind(mount.as_str())
        .fetch_optional(tx)
        .await?;
    client_of(&row.ok_or(StoreError::NotFound)?)
}

fn client_of(row: &Row) -> Result<ClientRecord, StoreError> {
    let digest = |name| match rows::get::<Option<Vec<u8>>>(row, name)? {
        Some(bytes) => Digest::from_slice(&bytes).map(Some).ok_or(StoreError::Corrupt),
        None => Ok(None),
    };
    Ok(ClientRecord {
        id: rows::get::<String>(row, "id")?.into(),
        mount: rows::get::<String>(row, "mount")?.into(),
        realm: rows::get::<String>(row, "realm")?.into(),
        name: rows::get(row, "name")?,
        secret: digest("secret")?,
        spare_secret: digest("spare_secret")?.zip(rows::maybe_time(row, "spare_until")?),
        jwks: rows::maybe_json(row, "jwks")?,
        scopes: rows::json(row, "scopes")?,
        roles: rows::json(row, "roles")?,
        grants: rows::json(row, "grants")?,
        resources: rows::json(row, "resources")?,
        redirect_uris: rows::json(row, "redirect_uris")?,
        created_at: rows::time(row, "created_at")?,
        updated_at: rows::time(row, "updated_at")?,
        expires_at: rows::maybe_time(row, "expires_at")?,
        disabled_at: rows::maybe_time(row, "disabled_at")?,
    })
}
