//! The changes that other nodes must hear of, by number. They are written by triggers of the database (`changes.sql` of the
//! schema), in the transaction of what they tell of: no verb can forget one, and what is changed by hand is told as well.
//!
//! Only where several nodes share a store. With a file of its own a node makes every change itself.

use std::time::Duration;

use super::{ChangeKind, ChangePage, ChangeRecord, Row, Store, StoreError, rows};
use crate::model::Timestamp;

/// How long changes are kept at least. A node that was away for longer reads everything anew.
const KEPT: Duration = Duration::from_secs(3600);

/// Up to a number, as many as one transaction takes.
const OLD_CHANGES: &str = "DELETE FROM change WHERE seq IN \
    (SELECT seq FROM change WHERE seq <= $1 ORDER BY seq LIMIT $2)";

impl Store {
    /// The number of the newest change.
    pub async fn change_head(&self) -> Result<u64, StoreError> {
        self.bounded("change_head", async {
            let head: i64 =
                sqlx::query_scalar("SELECT seq FROM change_head").fetch_one(self.readers()).await?;
            number(head)
        })
        .await
    }

    /// What was changed behind this number, `limit` changes at most. What comes first may not be the next number: then those
    /// before were removed.
    pub async fn changes_since(&self, seq: u64, limit: u32) -> Result<ChangePage, StoreError> {
        self.bounded("changes_since", async {
            // One statement, so that the newest number is that of the same moment.
            let found = sqlx::query(
                "SELECT h.seq AS head, c.seq AS seq, c.at AS at, c.kind AS kind, \
                 c.subject AS subject, c.until AS until \
                 FROM change_head h LEFT JOIN change c ON c.seq > $1 ORDER BY c.seq LIMIT $2",
            )
            .bind(i64::try_from(seq).map_err(|_| StoreError::Corrupt)?)
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
            let head = found.first().ok_or(StoreError::Corrupt)?;
            let head = number(rows::get(head, "head")?)?;
            let mut changes = Vec::with_capacity(found.len());
            for row in &found {
                changes.extend(change(row)?);
            }
            Ok(ChangePage { head, changes })
        })
        .await
    }

    /// Removes changes that are old enough, always the oldest, so that the others have no gap. In parts: there are as many of
    /// them as keys or sessions were ended at once, and no login shall wait for all of that.
    pub(super) async fn trim_changes(&self, now: Timestamp) -> Result<u64, StoreError> {
        let newest: Option<i64> = self
            .bounded("trim_changes", async {
                let newest = sqlx::query_scalar(
                    "SELECT seq FROM change WHERE at <= $1 ORDER BY at DESC, seq DESC LIMIT 1",
                );
                Ok(newest.bind((now - KEPT).millis()).fetch_optional(self.readers()).await?)
            })
            .await?;
        match newest.map(Timestamp) {
            Some(newest) => self.remove(OLD_CHANGES, newest).await,
            None => Ok(0),
        }
    }
}

fn change(row: &Row) -> Result<Option<ChangeRecord>, StoreError> {
    let Some(seq) = rows::get::<Option<i64>>(row, "seq")? else { return Ok(None) };
    Ok(Some(ChangeRecord {
        seq: number(seq)?,
        at: rows::time(row, "at")?,
        kind: ChangeKind::parse(&rows::get::<String>(row, "kind")?),
        subject: rows::get(row, "subject")?,
        until: rows::maybe_time(row, "until")?,
    }))
}

fn number(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt)
}
