//! The outbox: parcels put in with the change they tell of, leased for a try, kept until they arrived or ran out.

use super::{
    AuditRecord, Backlog, Ciphertext, Connection, Handed, OutboxRecord, Row, Store, StoreError,
    rows,
};
use crate::model::Timestamp;

impl Store {
    /// Puts parcels in, apart from any other change.
    pub async fn enqueue(
        &self,
        parcels: &[OutboxRecord],
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("enqueue", async {
            let mut tx = self.begin().await?;
            insert(&mut tx, parcels).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Leases parcels of a kind that are due, at most `limit`, until `until`: nobody else gets them before. Of a lane only
    /// the first that waits. Each lease counts as a try.
    pub async fn lease_parcels(
        &self,
        kind: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRecord>, StoreError> {
        self.bounded("lease_parcels", async {
            // Looked for beside the writer: most of the time there is nothing.
            if due(self.readers(), kind, now, 1).await?.is_empty() {
                return Ok(Vec::new());
            }
            let mut tx = self.begin().await?;
            let mut leased = Vec::new();
            for id in due(&mut *tx, kind, now, limit).await? {
                let row = sqlx::query(
                    "UPDATE outbox SET leased_until = $2, leased_by = $3, attempts = attempts + 1 \
                     WHERE id = $1 RETURNING id, realm, mount, kind, lane, payload, created_at, \
                     expires_at, next_at, attempts",
                )
                .bind(&id)
                .bind(until.millis())
                .bind(self.node())
                .fetch_one(&mut *tx)
                .await?;
                leased.push(parcel(&row)?);
            }
            tx.commit().await?;
            Ok(leased)
        })
        .await
    }

    /// Ends a lease. A parcel that somebody else has ended meanwhile stays as it is.
    pub async fn hand_back(
        &self,
        id: &str,
        handed: Handed,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("hand_back", async {
            let (next_at, done_at, delivered) = match handed {
                Handed::Later(next) => (Some(next.millis()), None, None),
                Handed::Delivered => (None, Some(now.millis()), Some(1_i64)),
                Handed::GivenUp => (None, Some(now.millis()), Some(0_i64)),
            };
            let mut tx = self.begin().await?;
            let changed = sqlx::query(
                "UPDATE outbox SET next_at = COALESCE($2, next_at), done_at = $3, delivered = $4, \
                 leased_until = NULL, leased_by = NULL WHERE id = $1 AND done_at IS NULL",
            )
            .bind(id)
            .bind(next_at)
            .bind(done_at)
            .bind(delivered)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if changed > 0 {
                self.record(&mut tx, audit).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Frees what this node had leased when it was stopped. Only while no try is running.
    pub async fn free_leases(&self) -> Result<(), StoreError> {
        self.bounded("free_leases", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE outbox SET leased_until = NULL, leased_by = NULL WHERE leased_by = $1",
            )
            .bind(self.node())
            .execute(&mut *tx)
            .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// What waits of a kind.
    pub async fn backlog(&self, kind: &str) -> Result<Backlog, StoreError> {
        self.bounded("backlog", async {
            let row = sqlx::query(
                "SELECT COUNT(*) AS waiting, MIN(created_at) AS oldest FROM outbox \
                 WHERE kind = $1 AND done_at IS NULL",
            )
            .bind(kind)
            .fetch_one(self.readers())
            .await?;
            Ok(Backlog {
                waiting: u64::try_from(rows::get::<i64>(&row, "waiting")?).unwrap_or_default(),
                oldest: rows::maybe_time(&row, "oldest")?,
            })
        })
        .await
    }
}

/// Ids of what is due, in order.
async fn due<'e>(
    by: impl sqlx::Executor<'e, Database = super::Db>,
    kind: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT o.id FROM outbox o WHERE o.kind = $1 AND o.done_at IS NULL AND o.next_at <= $2 \
         AND (o.leased_until IS NULL OR o.leased_until <= $2) \
         AND (o.lane IS NULL OR NOT EXISTS (SELECT 1 FROM outbox e \
         WHERE e.lane = o.lane AND e.done_at IS NULL AND e.position < o.position)) \
         ORDER BY o.position LIMIT $3",
    )
    .bind(kind)
    .bind(now.millis())
    .bind(i64::from(limit))
    .fetch_all(by)
    .await?)
}

/// Puts parcels in, inside the transaction of the change they tell of.
pub(super) async fn insert(
    tx: &mut Connection,
    parcels: &[OutboxRecord],
) -> Result<(), StoreError> {
    for parcel in parcels {
        sqlx::query(
            "INSERT INTO outbox (id, position, realm, mount, kind, lane, payload, created_at, \
             expires_at, next_at, attempts) \
             VALUES ($1, (SELECT COALESCE(MAX(position), 0) + 1 FROM outbox), $2, $3, $4, $5, $6, \
             $7, $8, $9, $10)",
        )
        .bind(&parcel.id)
        .bind(parcel.realm.as_str())
        .bind(parcel.mount.as_str())
        .bind(&parcel.kind)
        .bind(&parcel.lane)
        .bind(parcel.payload.0.as_slice())
        .bind(parcel.created_at.millis())
        .bind(parcel.expires_at.millis())
        .bind(parcel.next_at.millis())
        .bind(i64::from(parcel.attempts))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

fn parcel(row: &Row) -> Result<OutboxRecord, StoreError> {
    Ok(OutboxRecord {
        id: rows::get(row, "id")?,
        realm: rows::get::<String>(row, "realm")?.into(),
        mount: rows::get::<String>(row, "mount")?.into(),
        kind: rows::get(row, "kind")?,
        lane: rows::get(row, "lane")?,
        payload: Ciphertext(rows::get(row, "payload")?),
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::time(row, "expires_at")?,
        next_at: rows::time(row, "next_at")?,
        attempts: u32::try_from(rows::get::<i64>(row, "attempts")?)
            .map_err(|_| StoreError::Corrupt)?,
    })
}
