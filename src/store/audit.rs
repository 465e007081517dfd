//! The audit log: one hash chain per node.

use serde_json::json;

use super::{
    AuditRange, AuditRecord, AuditVerdict, ChainedRecord, Connection, LONG_CALL, Row, Store,
    StoreError,
    chain::{self, CHECKPOINT, Entry, Walk},
    rows,
};
use crate::model::{Timestamp, api_key::hex};

/// Records read at once while checking.
const PAGE: i64 = 1000;
/// Most records that one trim removes, so that no login waits for it.
const TRIM: i64 = 5000;

impl Store {
    /// Appends events that belong to no other change (counted refusals).
    pub async fn audit_append(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        self.bounded("audit_append", async {
            let tx = self.begin().await?;
            self.commit(tx, records).await
        })
        .await
    }

    /// The newest events of all nodes, newest first.
    pub async fn audit_tail(&self, limit: u32) -> Result<Vec<ChainedRecord>, StoreError> {
        self.bounded("audit_tail", async {
            sqlx::query("SELECT * FROM audit ORDER BY at DESC, seq DESC LIMIT $1")
                .bind(i64::from(limit))
                .fetch_all(self.readers())
                .await?
                .iter()
                .map(chained)
                .collect()
        })
        .await
    }

    /// Names of the nodes that have a chain.
    pub async fn audit_chains(&self) -> Result<Vec<String>, StoreError> {
        self.chains("audit_chains").await
    }

    /// A part of a node's log, oldest first, at most `limit` events, each with its hash in hexadecimal.
    pub async fn audit_range(
        &self,
        range: &AuditRange,
        limit: u32,
    ) -> Result<Vec<(ChainedRecord, String)>, StoreError> {
        self.bounded("audit_range", async {
            sqlx::query(
                "SELECT * FROM audit WHERE node = $1 AND seq > $2 \
                 AND (CAST($3 AS BIGINT) IS NULL OR at >= $3) \
                 AND (CAST($4 AS BIGINT) IS NULL OR at < $4) ORDER BY seq LIMIT $5",
            )
            .bind(range.node.as_deref().unwrap_or(self.node()))
            .bind(i64::try_from(range.after).unwrap_or(i64::MAX))
            .bind(range.since.map(Timestamp::millis))
            .bind(range.until.map(Timestamp::millis))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(|row| Ok((chained(row)?, hex(&rows::get::<Vec<u8>>(row, "hash")?))))
            .collect()
        })
        .await
    }

    /// Checks every node's chain from its base to its head: finds any edit, gap or cut.
    ///
    /// Whoever can rewrite the whole table and the head can forge a whole chain; copy the head elsewhere against that.
    pub async fn audit_verify(&self) -> Result<AuditVerdict, StoreError> {
        self.bounded_by(LONG_CALL, "audit_verify", async {
            // One read transaction: a snapshot, however long it takes.
            let mut tx = self.readers().begin_with(self.begin_snapshot()).await?;
            // A chain without a head is one whose head was taken away.
            let nodes: Vec<String> = sqlx::query_scalar(
                "SELECT node FROM audit_head UNION SELECT DISTINCT node FROM audit ORDER BY node",
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut checked = 0;
            for node in &nodes {
                let verdict = verify(&mut tx, node).await?;
                checked += verdict.checked;
                if verdict.fault.is_some() {
                    return Ok(AuditVerdict { checked, fault: verdict.fault });
                }
            }
            Ok(AuditVerdict { checked, fault: None })
        })
        .await
    }

    /// Removes events older than `before`, at most some thousands at a time, and leaves a checkpoint event that tells
    /// which; gives the number removed, zero when nothing is left to do.
    pub async fn audit_trim(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        // Of all nodes, also those that are gone for good.
        for node in self.chains("audit_trim").await? {
            removed += self.trim(&node, before, now).await?;
        }
        Ok(removed)
    }

    /// The nodes that have a chain.
    async fn chains(&self, operation: &'static str) -> Result<Vec<String>, StoreError> {
        self.bounded(operation, async {
            let nodes = sqlx::query_scalar("SELECT node FROM audit_head ORDER BY node");
            Ok(nodes.fetch_all(self.readers()).await?)
        })
        .await
    }

    async fn trim(&self, node: &str, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.bounded("audit_trim", async {
            let mut tx = self.begin().await?;
            let head = chain::head(&mut tx, node).await?;
            // No further than this trim goes, so that it costs the same however much there is to remove.
            let furthest = head.seq.min(head.base_seq + TRIM);
            let kept: Option<i64> = sqlx::query_scalar(
                "SELECT MIN(seq) FROM audit WHERE node = $1 AND at >= $2 AND seq <= $3",
            )
            .bind(node)
            .bind(before.millis())
            .bind(furthest)
            .fetch_one(&mut *tx)
            .await?;
            let through = kept.map_or(furthest, |seq| seq - 1);
            let removed = u64::try_from(through - head.base_seq).unwrap_or(0);
            if removed == 0 {
                return Ok(0);
            }
            let hash: Vec<u8> =
                sqlx::query_scalar("SELECT hash FROM audit WHERE node = $1 AND seq = $2")
                    .bind(node)
                    .bind(through)
                    .fetch_optional(&mut *tx)
                    .await?
                    .ok_or(StoreError::Corrupt)?;
            sqlx::query("DELETE FROM audit WHERE node = $1 AND seq <= $2")
                .bind(node)
                .bind(through)
                .execute(&mut *tx)
                .await?;
            sqlx::query("UPDATE audit_head SET base_seq = $2, base_hash = $3 WHERE node = $1")
                .bind(node)
                .bind(through)
                .bind(&hash)
                .execute(&mut *tx)
                .await?;
            let details = json!({ "removed": removed, "through": through, "hash": hex(&hash) });
            let checkpoint = AuditRecord { details, ..AuditRecord::new(CHECKPOINT, now) };
            chain::append(&mut tx, node, &[checkpoint]).await?;
            tx.commit().await?;
            Ok(removed)
        })
        .await
    }
}

/// Checks one node's chain.
pub(super) async fn verify(tx: &mut Connection, node: &str) -> Result<AuditVerdict, StoreError> {
    let head = chain::head(tx, node).await?;
    let mut walk = Walk::new(node, &head);
    let mut checked = 0;
    loop {
        let page =
            sqlx::query("SELECT * FROM audit WHERE node = $1 AND seq >= $2 ORDER BY seq LIMIT $3")
                .bind(node)
                .bind(walk.next())
                .bind(PAGE)
                .fetch_all(&mut *tx)
                .await?;
        for row in &page {
            checked += 1;
            let prev: Vec<u8> = rows::get(row, "prev_hash")?;
            let hash: Vec<u8> = rows::get(row, "hash")?;
            if let Err(fault) = walk.step(&Entry::read(row)?, &prev, &hash) {
                return Ok(AuditVerdict { checked, fault: Some(fault) });
            }
        }
        if page.is_empty() {
            return Ok(AuditVerdict { checked, fault: walk.end().err() });
        }
    }
}

pub(super) fn chained(row: &Row) -> Result<ChainedRecord, StoreError> {
    let text = |name| rows::get::<Option<String>>(row, name);
    Ok(ChainedRecord {
        node: rows::get(row, "node")?,
        seq: u64::try_from(rows::get::<i64>(row, "seq")?).map_err(|_| StoreError::Corrupt)?,
        record: AuditRecord {
            at: rows::time(row, "at")?,
            event: rows::get::<String>(row, "event")?.into(),
            realm: text("realm")?.map(Into::into),
            mount: text("mount")?.map(Into::into),
            account: text("account_id")?.map(Into::into),
            ip: rows::parsed(row, "ip")?,
            user_agent: text("user_agent")?,
            request_id: text("request_id")?,
            details: rows::json(row, "details")?,
        },
    })
}
