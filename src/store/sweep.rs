//! Removal of what has run out, in small batches so that no login waits for it.

use std::time::Duration;

use super::{Store, StoreError};
use crate::model::Timestamp;

/// Rows per transaction.
const BATCH: u64 = 500;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Revocations of tokens that have expired.
    pub revocations: u64,
    /// Sessions ended or expired longer ago than was to be kept, with their families and tokens.
    pub sessions: u64,
    /// Refresh tokens expired that long ago.
    pub refresh_tokens: u64,
    /// Used or expired codes.
    pub codes: u64,
    /// Failure counts that old, unless they lock.
    pub failures: u64,
    /// Signing keys that verify nothing any more.
    pub signing_keys: u64,
    /// Parcels delivered or given up that long ago.
    pub parcels: u64,
    /// Deliveries of webhooks done with that long ago.
    pub deliveries: u64,
    /// Expired tokens of clients.
    pub issued: u64,
    /// Expired proofs of clients.
    pub assertions: u64,
}

impl Store {
    /// Removes what has run out at `now`; sessions and refresh tokens are kept for `keep` longer, so that a replayed
    /// token is still known as such. `keep` must exceed every access token's life time.
    pub async fn sweep(&self, now: Timestamp, keep: Duration) -> Result<Swept, StoreError> {
        let old = now - keep;
        Ok(Swept {
            revocations: self
                .remove(
                    "DELETE FROM revoked_token WHERE id IN \
                     (SELECT id FROM revoked_token WHERE expires_at <= $1 LIMIT $2)",
                    now,
                )
                .await?,
            sessions: self
                .remove(
                    "DELETE FROM session WHERE id IN (SELECT id FROM session \
                     WHERE ended_at <= $1 OR expires_at <= $1 LIMIT $2)",
                    old,
                )
                .await?,
            refresh_tokens: self
                .remove(
                    "DELETE FROM refresh_token WHERE id IN \
                     (SELECT id FROM refresh_token WHERE expires_at <= $1 LIMIT $2)",
                    old,
                )
                .await?,
            codes: self
                .remove(
                    "DELETE FROM one_time_code WHERE (realm, purpose, digest) IN \
                     (SELECT realm, purpose, digest FROM one_time_code WHERE expires_at <= $1 LIMIT $2)",
                    now,
                )
                .await?,
            failures: self
                .remove(
                    "DELETE FROM login_failure WHERE (realm, name) IN (SELECT realm, name \
                     FROM login_failure WHERE updated_at <= $1 \
                     AND (locked_until IS NULL OR locked_until <= $1) LIMIT $2)",
                    old,
                )
                .await?,
            signing_keys: self
                .remove(
                    "DELETE FROM signing_key WHERE (mount, kid) IN \
                     (SELECT mount, kid FROM signing_key WHERE expires_at <= $1 LIMIT $2)",
                    now,
                )
                .await?,
            parcels: self
                .remove(
                    "DELETE FROM outbox WHERE id IN \
                     (SELECT id FROM outbox WHERE done_at <= $1 LIMIT $2)",
                    old,
                )
                .await?,
            deliveries: self
                .remove(
                    "DELETE FROM webhook_delivery WHERE id IN \
                     (SELECT id FROM webhook_delivery WHERE done_at <= $1 LIMIT $2)",
                    old,
                )
                .await?,
            issued: self
                .remove(
                    "DELETE FROM oauth_token WHERE id IN \
                     (SELECT id FROM oauth_token WHERE expires_at <= $1 LIMIT $2)",
                    now,
                )
                .await?,
            assertions: self
                .remove(
                    "DELETE FROM oauth_assertion WHERE (client_id, digest) IN \
                     (SELECT client_id, digest FROM oauth_assertion WHERE expires_at <= $1 LIMIT $2)",
                    now,
                )
                .await?,
        })
    }

    /// Runs a bounded DELETE until it finds no full batch; each batch is a transaction of its own.
    async fn remove(&self, sql: &'static str, until: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let batch = self
                .bounded("sweep", async {
                    let mut tx = self.begin().await?;
                    let batch = sqlx::query(sql)
                        .bind(until.millis())
                        .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    tx.commit().await?;
                    Ok(batch)
                })
                .await?;
            removed += batch;
            if batch < BATCH {
                return Ok(removed);
            }
        }
    }
}
