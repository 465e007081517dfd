//! The nodes of a fleet, and work that one of them does for all. A store that is one process's own has neither.

use std::time::Duration;

use super::{Store, StoreError, rows};
use crate::model::Timestamp;

/// A node that has written to this store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// The version it runs.
    pub version: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}

impl Store {
    /// Notes that this node runs. Nothing where no other node could ask.
    pub async fn node_seen(
        &self,
        version: &str,
        started_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !self.is_shared() {
            return Ok(());
        }
        self.bounded("node_seen", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO node (name, version, started_at, seen_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (name) DO UPDATE SET version = excluded.version, \
                 started_at = excluded.started_at, seen_at = excluded.seen_at",
            )
            .bind(self.node())
            .bind(version)
            .bind(started_at.millis())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Nodes that were heard of at or after `since`, by name. None where this store is one process's own.
    pub async fn nodes(&self, since: Timestamp) -> Result<Vec<NodeRecord>, StoreError> {
        if !self.is_shared() {
            return Ok(Vec::new());
        }
        self.bounded("nodes", async {
            sqlx::query(
                "SELECT name, version, started_at, seen_at FROM node WHERE seen_at >= $1 \
                 ORDER BY name",
            )
            .bind(since.millis())
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(|row| {
                Ok(NodeRecord {
                    name: rows::get(row, "name")?,
                    version: rows::get(row, "version")?,
                    started_at: rows::time(row, "started_at")?,
                    seen_at: rows::time(row, "seen_at")?,
                })
            })
            .collect()
        })
        .await
    }

    /// Lets another node take what this one has leased, at once.
    pub async fn give_up_leases(&self) -> Result<(), StoreError> {
        if !self.is_shared() {
            return Ok(());
        }
        self.bounded("give_up_leases", async {
            let mut tx = self.begin().await?;
            sqlx::query("DELETE FROM lease WHERE node = $1")
                .bind(self.node())
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Whether this node is the one that does `work` until `now + span`: it has it already, or whoever had it let it run
    /// out. Always, where there is no other.
    pub async fn lease(
        &self,
        work: &str,
        now: Timestamp,
        span: Duration,
    ) -> Result<bool, StoreError> {
        if !self.is_shared() {
            return Ok(true);
        }
        self.bounded("lease", async {
            let mut tx = self.begin().await?;
            let taken = sqlx::query(
                "INSERT INTO lease (name, node, until) VALUES ($1, $2, $4) \
                 ON CONFLICT (name) DO UPDATE SET node = excluded.node, until = excluded.until \
                 WHERE lease.node = excluded.node OR lease.until <= $3",
            )
            .bind(work)
            .bind(self.node())
            .bind(now.millis())
            .bind((now + span).millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            tx.commit().await?;
            Ok(taken > 0)
        })
        .await
    }
}
