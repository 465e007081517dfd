//! Removal of what has run out, in small batches so that no login waits for it.

use std::time::Duration;

use super::{Store, StoreError};
use crate::model::Timestamp;

/// Rows per transaction.
const BATCH: u64 = 500;

/// Removes rows of a table, as many as one transaction takes: the table, its key, and which rows have run out at `$1`.
macro_rules! oldest {
    ($table:literal, $key:literal, $which:expr) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $which,
            " LIMIT $2)"
        )
    };
}

/// The same by one moment of a row.
macro_rules! expired {
    ($table:literal, $key:literal, $moment:literal) => {
        oldest!($table, $key, concat!($moment, " <= $1"))
    };
}

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
    /// Changes that other nodes have heard of.
    pub changes: u64,
}

impl Store {
    /// Removes what has run out at `now`; sessions and refresh tokens are kept for `keep` longer, so that a replayed
    /// token is still known as such. `keep` must exceed every access token's life time.
    pub async fn sweep(&self, now: Timestamp, keep: Duration) -> Result<Swept, StoreError> {
        let old = now - keep;
        Ok(Swept {
            revocations: self.remove(expired!("revoked_token", "id", "expires_at"), now).await?,
            sessions: self
                .remove(oldest!("session", "id", "ended_at <= $1 OR expires_at <= $1"), old)
                .await?,
            refresh_tokens: self.remove(expired!("refresh_token", "id", "expires_at"), old).await?,
            codes: self
                .remove(expired!("one_time_code", "realm, purpose, digest", "expires_at"), now)
                .await?,
            failures: self
                .remove(
                    oldest!(
                        "login_failure",
                        "realm, name",
                        "updated_at <= $1 AND (locked_until IS NULL OR locked_until <= $1)"
                    ),
                    old,
                )
                .await?,
            signing_keys: self
                .remove(expired!("signing_key", "mount, kid", "expires_at"), now)
                .await?,
            parcels: self.remove(expired!("outbox", "id", "done_at"), old).await?,
            deliveries: self.remove(expired!("webhook_delivery", "id", "done_at"), old).await?,
            issued: self.remove(expired!("oauth_token", "id", "expires_at"), now).await?,
            assertions: self
                .remove(expired!("oauth_assertion", "client_id, digest", "expires_at"), now)
                .await?,
            changes: if self.is_shared() { self.trim_changes(now).await? } else { 0 },
        })
    }

    /// Runs a bounded DELETE until it finds no full batch; each batch is a transaction of its own.
    pub(super) async fn remove(
        &self,
        sql: &'static str,
        until: Timestamp,
    ) -> Result<u64, StoreError> {
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
