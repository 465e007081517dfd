//! Webhook subscriptions: kept, changed, and told where they stand in the log of events.

use super::{
    AuditRecord, Connection, Happened, NewDelivery, Row, Store, StoreError, WebhookRecord, audit,
    chain, deliveries, rows,
};
use crate::model::MountName;

macro_rules! facts {
    () => {
        "w.id, w.realm, w.mount, w.url, w.events, w.secret, w.headers, w.active, w.description, \
         w.retry, w.filters, w.created_at, w.updated_at, "
    };
}

macro_rules! columns {
    () => {
        concat!(facts!(), "w.read_to")
    };
}

/// Where a subscription stands in the chain of the node `h`.
macro_rules! place {
    () => {
        "CASE WHEN w.node = h.node THEN w.read_to ELSE COALESCE(p.read_to, 0) END"
    };
}

impl Store {
    /// Keeps a new subscription; it is told what happens from now on. [`StoreError::Conflict`] if the mount has `most`.
    pub async fn insert_webhook(
        &self,
        webhook: &WebhookRecord,
        most: u32,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_webhook", async {
            let mut tx = self.begin().await?;
            let has: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM webhook WHERE mount = $1")
                .bind(webhook.mount.as_str())
                .fetch_one(&mut *tx)
                .await?;
            if has >= i64::from(most) {
                return Err(StoreError::Conflict { field: "webhooks" });
            }
            let read_to = chain::head(&mut tx, self.node()).await?.seq;
            sqlx::query(
                "INSERT INTO webhook (id, realm, mount, url, events, secret, headers, active, \
                 description, retry, filters, node, read_to, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            )
            .bind(&webhook.id)
            .bind(webhook.realm.as_str())
            .bind(webhook.mount.as_str())
            .bind(&webhook.url)
            .bind(rows::to_json(&webhook.events)?)
            .bind(webhook.secret.0.as_slice())
            .bind(webhook.headers.0.as_slice())
            .bind(i64::from(webhook.active))
            .bind(&webhook.description)
            .bind(rows::to_json(&webhook.retry)?)
            .bind(rows::to_json(&webhook.filters)?)
            .bind(self.node())
            .bind(read_to)
            .bind(webhook.created_at.millis())
            .bind(webhook.updated_at.millis())
            .execute(&mut *tx)
            .await?;
            stand_at_the_end(&mut tx, &webhook.id).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Replaces what can be changed of a subscription. One that was asleep is told what happens from now on.
    pub async fn update_webhook(
        &self,
        webhook: &WebhookRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("update_webhook", async {
            let mut tx = self.begin().await?;
            let active: Option<i64> =
                sqlx::query_scalar("SELECT active FROM webhook WHERE id = $1")
                    .bind(&webhook.id)
                    .fetch_optional(&mut *tx)
                    .await?;
            if active == Some(0) {
                stand_at_the_end(&mut tx, &webhook.id).await?;
            }
            let changed = sqlx::query(
                "UPDATE webhook SET url = $2, events = $3, secret = $4, headers = $5, active = $6, \
                 description = $7, retry = $8, filters = $9, updated_at = $10 WHERE id = $1",
            )
            .bind(&webhook.id)
            .bind(&webhook.url)
            .bind(rows::to_json(&webhook.events)?)
            .bind(webhook.secret.0.as_slice())
            .bind(webhook.headers.0.as_slice())
            .bind(i64::from(webhook.active))
            .bind(&webhook.description)
            .bind(rows::to_json(&webhook.retry)?)
            .bind(rows::to_json(&webhook.filters)?)
            .bind(webhook.updated_at.millis())
            .execute(&mut *tx)
            .await?;
            rows::met(&changed, StoreError::NotFound)?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Removes a subscription with all its deliveries.
    pub async fn delete_webhook(&self, id: &str, audit: &[AuditRecord]) -> Result<(), StoreError> {
        self.bounded("delete_webhook", async {
            let mut tx = self.begin().await?;
            let removed =
                sqlx::query("DELETE FROM webhook WHERE id = $1").bind(id).execute(&mut *tx).await?;
            rows::met(&removed, StoreError::NotFound)?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// One subscription.
    pub async fn webhook(&self, id: &str) -> Result<Option<WebhookRecord>, StoreError> {
        self.bounded("webhook", async {
            sqlx::query(concat!("SELECT ", columns!(), " FROM webhook w WHERE w.id = $1"))
                .bind(id)
                .fetch_optional(self.readers())
                .await?
                .as_ref()
                .map(webhook)
                .transpose()
        })
        .await
    }

    /// The subscriptions of a mount, oldest first.
    pub async fn webhooks(&self, mount: &MountName) -> Result<Vec<WebhookRecord>, StoreError> {
        self.bounded("webhooks", async {
            sqlx::query(concat!(
                "SELECT ",
                columns!(),
                " FROM webhook w WHERE w.mount = $1 ORDER BY w.created_at, w.id"
            ))
            .bind(mount.as_str())
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(webhook)
            .collect()
        })
        .await
    }

    /// Subscriptions that are behind a node's log, with that node, and where they stand in that log. By node.
    pub async fn webhooks_behind(&self) -> Result<Vec<(String, WebhookRecord)>, StoreError> {
        self.bounded("webhooks_behind", async {
            sqlx::query(concat!(
                "SELECT ",
                facts!(),
                "h.node AS chain, ",
                place!(),
                " AS read_to FROM webhook w CROSS JOIN audit_head h \
                 LEFT JOIN webhook_place p ON p.webhook_id = w.id AND p.node = h.node \
                 WHERE w.active = 1 AND ",
                place!(),
                " < h.seq ORDER BY h.node, w.id"
            ))
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(|row| Ok((rows::get(row, "chain")?, webhook(row)?)))
            .collect()
        })
        .await
    }

    /// Events of a node's log behind `after`, in order.
    pub async fn happened_after(
        &self,
        node: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Happened>, StoreError> {
        self.bounded("happened_after", async {
            sqlx::query("SELECT * FROM audit WHERE node = $1 AND seq > $2 ORDER BY seq LIMIT $3")
                .bind(node)
                .bind(i64::try_from(after).unwrap_or(i64::MAX))
                .bind(i64::from(limit))
                .fetch_all(self.readers())
                .await?
                .iter()
                .map(|row| {
                    Ok(Happened { chained: audit::chained(row)?, hash: rows::get(row, "hash")? })
                })
                .collect()
        })
        .await
    }

    /// Puts deliveries of a subscription in order and moves its place in a node's log, both or nothing. `false` if it is
    /// not any more where it was read, or asleep: then the same must be judged anew.
    pub async fn tell_webhook(
        &self,
        id: &str,
        node: &str,
        (from, to): (u64, u64),
        new: &[NewDelivery],
    ) -> Result<bool, StoreError> {
        self.bounded("tell_webhook", async {
            let mut tx = self.begin().await?;
            let mut moved = 0;
            for statement in [MOVE_OWN, MOVE_OTHER] {
                moved += sqlx::query(statement)
                    .bind(id)
                    .bind(i64::try_from(from).unwrap_or(i64::MAX))
                    .bind(i64::try_from(to).unwrap_or(i64::MAX))
                    .bind(node)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
            }
            if moved == 0 {
                return Ok(false);
            }
            insert_all(&mut tx, id, new).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Puts one more delivery behind all others of its subscription.
    pub async fn insert_delivery(
        &self,
        webhook: &str,
        new: &NewDelivery,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_delivery", async {
            let mut tx = self.begin().await?;
            insert_all(&mut tx, webhook, std::slice::from_ref(new)).await?;
            self.commit(tx, audit).await
        })
        .await
    }
}

/// Moves on in the log of the node at which the subscription was made.
const MOVE_OWN: &str = "UPDATE webhook SET read_to = $3 \
     WHERE id = $1 AND node = $4 AND read_to = $2 AND active = 1";

/// The same in the log of another node. Where it never was there it stands at the beginning.
const MOVE_OTHER: &str = "INSERT INTO webhook_place (webhook_id, node, read_to) \
     SELECT w.id, $4, $3 FROM webhook w WHERE w.id = $1 AND w.node <> $4 AND w.active = 1 \
     AND (SELECT COALESCE(MAX(p.read_to), 0) FROM webhook_place p \
     WHERE p.webhook_id = $1 AND p.node = $4) = $2 \
     ON CONFLICT (webhook_id, node) DO UPDATE SET read_to = excluded.read_to";

/// What happened up to now is told to a subscription no more, at whichever node.
async fn stand_at_the_end(tx: &mut Connection, id: &str) -> Result<(), StoreError> {
    for statement in [
        "UPDATE webhook SET read_to = (SELECT COALESCE(MAX(h.seq), 0) FROM audit_head h \
         WHERE h.node = webhook.node) WHERE id = $1",
        "DELETE FROM webhook_place WHERE webhook_id = $1",
        "INSERT INTO webhook_place (webhook_id, node, read_to) SELECT w.id, h.node, h.seq \
         FROM webhook w CROSS JOIN audit_head h WHERE w.id = $1 AND w.node <> h.node",
    ] {
        sqlx::query(statement).bind(id).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn insert_all(
    tx: &mut Connection,
    webhook: &str,
    new: &[NewDelivery],
) -> Result<(), StoreError> {
    for delivery in new {
        deliveries::insert(tx, webhook, delivery).await?;
    }
    Ok(())
}

fn webhook(row: &Row) -> Result<WebhookRecord, StoreError> {
    Ok(WebhookRecord {
        id: rows::get(row, "id")?,
        realm: rows::get::<String>(row, "realm")?.into(),
        mount: rows::get::<String>(row, "mount")?.into(),
        url: rows::get(row, "url")?,
        events: rows::json(row, "events")?,
        secret: super::Ciphertext(rows::get(row, "secret")?),
        headers: super::Ciphertext(rows::get(row, "headers")?),
        active: rows::get::<i64>(row, "active")? != 0,
        description: rows::get(row, "description")?,
        retry: rows::json(row, "retry")?,
        filters: rows::json(row, "filters")?,
        read_to: u64::try_from(rows::get::<i64>(row, "read_to")?)
            .map_err(|_| StoreError::Corrupt)?,
        created_at: rows::time(row, "created_at")?,
        updated_at: rows::time(row, "updated_at")?,
    })
}
