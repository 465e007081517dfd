//! Failed logins in a row, per login name, known or not. The table is bounded.

use std::sync::atomic::Ordering;

use super::{
    AuditRecord, Connection, Db, FailureState, LoginFailure, Row, Store, StoreError, rows,
};
use crate::model::{Digest, RealmName};

/// Names counted per realm.
const CAP: i64 = 100_000;
/// After so many new names the size is looked at; the cap may be passed by this much.
const CHECK_EVERY: u32 = 256;

impl Store {
    /// Counts a failure and locks at the threshold, in one statement. `audit` is always written, `on_lock` only when this
    /// very failure set the lock. A lock that has run out starts the count anew; one that holds is not prolonged.
    pub async fn login_failed(
        &self,
        failure: &LoginFailure,
        audit: &[AuditRecord],
        on_lock: &[AuditRecord],
    ) -> Result<FailureState, StoreError> {
        self.bounded("login_failed", async {
            let mut tx = self.begin().await?;
            let mut state = count(&mut tx, failure).await?;
            state.locked_now =
                state.locked_until.is_some() && state.count == failure.threshold.max(1);
            self.record(&mut tx, audit).await?;
            if state.locked_now {
                self.record(&mut tx, on_lock).await?;
            }
            if state.count == 1 && self.is_time_to_prune() {
                prune(&mut tx, failure).await?;
            }
            tx.commit().await?;
            Ok(state)
        })
        .await
    }

    /// The count of a name; all zero when there is none.
    pub async fn login_state(
        &self,
        realm: &RealmName,
        name: &Digest,
    ) -> Result<FailureState, StoreError> {
        self.bounded("login_state", async {
            let row = sqlx::query(
                "SELECT count, locked_until FROM login_failure WHERE realm = $1 AND name = $2",
            )
            .bind(realm.as_str())
            .bind(name.as_bytes().as_slice())
            .fetch_optional(self.readers())
            .await?;
            row.as_ref().map_or(Ok(FailureState::default()), state)
        })
        .await
    }

    /// Forgets the failures of a name.
    pub async fn clear_failures(&self, realm: &RealmName, name: &Digest) -> Result<(), StoreError> {
        self.bounded("clear_failures", async {
            let mut tx = self.begin().await?;
            clear(&mut tx, realm, name).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    fn is_time_to_prune(&self) -> bool {
        self.inner.new_failures.fetch_add(1, Ordering::Relaxed) % CHECK_EVERY == CHECK_EVERY - 1
    }
}

/// Forgets the failures of a name inside a transaction.
pub(super) async fn clear(
    tx: &mut Connection,
    realm: &RealmName,
    name: &Digest,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM login_failure WHERE realm = $1 AND name = $2")
        .bind(realm.as_str())
        .bind(name.as_bytes().as_slice())
        .execute(tx)
        .await?;
    Ok(())
}

async fn count(tx: &mut Connection, failure: &LoginFailure) -> Result<FailureState, StoreError> {
    let row = sqlx::query::<Db>(
        "INSERT INTO login_failure (realm, name, count, locked_until, updated_at) \
         VALUES ($1, $2, 1, CASE WHEN 1 >= $4 THEN $5 END, $3) \
         ON CONFLICT (realm, name) DO UPDATE SET \
         count = CASE WHEN login_failure.locked_until <= $3 THEN 1 \
                 ELSE login_failure.count + 1 END, \
         locked_until = CASE WHEN login_failure.locked_until > $3 THEN login_failure.locked_until \
                 WHEN login_failure.locked_until <= $3 THEN excluded.locked_until \
                 WHEN login_failure.count + 1 >= $4 THEN $5 END, \
         updated_at = $3 \
         RETURNING count, locked_until",
    )
    .bind(failure.realm.as_str())
    .bind(failure.name.as_bytes().as_slice())
    .bind(failure.now.millis())
    .bind(i64::from(failure.threshold))
    .bind((failure.now + failure.lock_for).millis())
    .fetch_one(tx)
    .await?;
    state(&row)
}

/// Removes what is beyond the cap: the oldest counts first, locks last.
async fn prune(tx: &mut Connection, failure: &LoginFailure) -> Result<(), StoreError> {
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM login_failure WHERE realm = $1")
        .bind(failure.realm.as_str())
        .fetch_one(&mut *tx)
        .await?;
    if rows <= CAP {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM login_failure WHERE realm = $1 AND name IN (SELECT name FROM login_failure \
         WHERE realm = $1 ORDER BY CASE WHEN locked_until > $2 THEN 1 ELSE 0 END, updated_at \
         LIMIT $3)",
    )
    .bind(failure.realm.as_str())
    .bind(failure.now.millis())
    .bind(rows - CAP)
    .execute(tx)
    .await?;
    Ok(())
}

fn state(row: &Row) -> Result<FailureState, StoreError> {
    Ok(FailureState {
        count: u32::try_from(rows::get::<i64>(row, "count")?).unwrap_or(u32::MAX),
        locked_until: rows::maybe_time(row, "locked_until")?,
        locked_now: false,
    })
}
