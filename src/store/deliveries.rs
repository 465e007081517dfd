//! Deliveries of webhooks: in order per subscription, tried until done with.

use super::{Connection, DeliveryRecord, NewDelivery, Row, Store, StoreError, Tried, rows};
use crate::model::Timestamp;

macro_rules! columns {
    () => {
        "d.id, d.webhook_id, d.event_id, d.event_type, d.body, d.status, d.tries, d.attempts, \
         d.created_at, d.next_at, d.expires_at, d.done_at"
    };
}

impl Store {
    /// The first waiting delivery of each active subscription, where it is due.
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.bounded("due_deliveries", async {
            sqlx::query(concat!(
                "SELECT ",
                columns!(),
                " FROM webhook w JOIN webhook_delivery d ON d.webhook_id = w.id AND d.position = \
                 (SELECT MIN(e.position) FROM webhook_delivery e \
                 WHERE e.webhook_id = w.id AND e.done_at IS NULL) \
                 WHERE w.active = 1 AND d.next_at <= $1 ORDER BY d.next_at, d.id LIMIT $2"
            ))
            .bind(now.millis())
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(delivery)
            .collect()
        })
        .await
    }

    /// Notes a try. Nothing changes if the delivery is gone or done with.
    pub async fn delivery_tried(
        &self,
        id: &str,
        tried: &Tried,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.bounded("delivery_tried", async {
            let mut tx = self.begin().await?;
            let done = tried.next_at.is_none().then_some(now.millis());
            sqlx::query(
                "UPDATE webhook_delivery SET status = $2, tries = $3, attempts = $4, \
                 next_at = COALESCE($5, next_at), done_at = $6 WHERE id = $1 AND done_at IS NULL",
            )
            .bind(id)
            .bind(tried.status)
            .bind(i64::from(tried.tries))
            .bind(rows::to_json(&tried.attempts)?)
            .bind(tried.next_at.map(Timestamp::millis))
            .bind(done)
            .execute(&mut *tx)
            .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// The newest deliveries of a subscription, newest first, with the number of all.
    pub async fn deliveries(
        &self,
        webhook: &str,
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<DeliveryRecord>, u64), StoreError> {
        self.bounded("deliveries", async {
            let total: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM webhook_delivery WHERE webhook_id = $1")
                    .bind(webhook)
                    .fetch_one(self.readers())
                    .await?;
            let page = sqlx::query(concat!(
                "SELECT ",
                columns!(),
                " FROM webhook_delivery d WHERE d.webhook_id = $1 \
                 ORDER BY d.position DESC LIMIT $2 OFFSET $3"
            ))
            .bind(webhook)
            .bind(i64::from(limit))
            .bind(i64::try_from(offset).unwrap_or(i64::MAX))
            .fetch_all(self.readers())
            .await?;
            let page = page.iter().map(delivery).collect::<Result<_, _>>()?;
            Ok((page, u64::try_from(total).unwrap_or_default()))
        })
        .await
    }

    /// One delivery of a subscription.
    pub async fn delivery(
        &self,
        webhook: &str,
        id: &str,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        self.bounded("delivery", async {
            sqlx::query(concat!(
                "SELECT ",
                columns!(),
                " FROM webhook_delivery d WHERE d.webhook_id = $1 AND d.id = $2"
            ))
            .bind(webhook)
            .bind(id)
            .fetch_optional(self.readers())
            .await?
            .as_ref()
            .map(delivery)
            .transpose()
        })
        .await
    }
}

/// Puts a delivery behind all others of its subscription, inside a transaction.
pub(super) async fn insert(
    tx: &mut Connection,
    webhook: &str,
    new: &NewDelivery,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO webhook_delivery (id, webhook_id, position, event_id, event_type, body, status, \
         tries, attempts, created_at, next_at, expires_at) \
         VALUES ($1, $2, (SELECT COALESCE(MAX(position), 0) + 1 FROM webhook_delivery \
         WHERE webhook_id = $2), $3, $4, $5, 'pending', 0, '[]', $6, $6, $7)",
    )
    .bind(&new.id)
    .bind(webhook)
    .bind(&new.event_id)
    .bind(&new.event_type)
    .bind(&new.body)
    .bind(new.created_at.millis())
    .bind(new.expires_at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

fn delivery(row: &Row) -> Result<DeliveryRecord, StoreError> {
    Ok(DeliveryRecord {
        what: NewDelivery {
            id: rows::get(row, "id")?,
            event_id: rows::get(row, "event_id")?,
            event_type: rows::get(row, "event_type")?,
            body: rows::get(row, "body")?,
            created_at: rows::time(row, "created_at")?,
            expires_at: rows::time(row, "expires_at")?,
        },
        webhook: rows::get(row, "webhook_id")?,
        status: rows::get(row, "status")?,
        tries: u32::try_from(rows::get::<i64>(row, "tries")?).map_err(|_| StoreError::Corrupt)?,
        attempts: rows::json(row, "attempts")?,
        next_at: rows::time(row, "next_at")?,
        done_at: rows::maybe_time(row, "done_at")?,
    })
}
