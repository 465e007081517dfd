//! Work that one node of a fleet does for all. A store that is one process's own knows nothing of it.

use std::time::Duration;

use super::{Store, StoreError};
use crate::model::Timestamp;

impl Store {
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
