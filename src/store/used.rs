//! When and how often keys and sessions were used: written in batches, many rows with one statement, so that all who log in
//! meanwhile wait for as little as possible.

use std::{collections::HashMap, sync::LazyLock};

use sqlx::AssertSqlSafe;

use super::{KeyUse, LONG_CALL, Store, StoreError};
use crate::model::{SessionId, Timestamp};

/// Rows of one statement.
const AT_ONCE: usize = 200;

const KEYS: &str = "UPDATE api_key SET usage_count = api_key.usage_count + used.number, \
    last_used_at = CASE WHEN api_key.last_used_at > used.at THEN api_key.last_used_at ELSE used.at END \
    FROM used WHERE api_key.id = used.id";
const SESSIONS: &str = "UPDATE session SET last_seen_at = used.at \
    FROM used WHERE session.id = used.id AND session.last_seen_at < used.at";

/// Whole statements of this many rows, which are the usual ones where there are many.
static FULL: LazyLock<[String; 2]> =
    LazyLock::new(|| [statement(KEYS, AT_ONCE), statement(SESSIONS, AT_ONCE)]);

/// What was used: its id, which is there once only, how often, and when.
type Used<'a> = (&'a str, i64, i64);

impl Store {
    /// Adds batched uses, all or none. Keys that are gone are skipped.
    pub async fn add_usage(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        let mut sums: HashMap<&str, (i64, i64)> = HashMap::with_capacity(uses.len());
        for item in uses {
            let (count, last) = sums.entry(item.id.as_str()).or_default();
            *count = count.saturating_add(i64::try_from(item.count).unwrap_or(i64::MAX));
            *last = item.last_used_at.millis().max(*last);
        }
        let all: Vec<Used<'_>> =
            sums.into_iter().map(|(id, (count, last))| (id, count, last)).collect();
        let [keys, _] = &*FULL;
        self.note_used("add_usage", KEYS, keys, &all).await
    }

    /// Moves the last use of sessions on. Those that are gone, or were used later, are skipped.
    pub async fn sessions_seen(&self, seen: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        let mut last: HashMap<&str, Timestamp> = HashMap::with_capacity(seen.len());
        for (id, at) in seen {
            let last = last.entry(id.as_str()).or_default();
            *last = (*last).max(*at);
        }
        let all: Vec<Used<'_>> = last.into_iter().map(|(id, at)| (id, 1, at.millis())).collect();
        let [_, sessions] = &*FULL;
        self.note_used("sessions_seen", SESSIONS, sessions, &all).await
    }

    async fn note_used(
        &self,
        operation: &'static str,
        update: &'static str,
        full: &'static str,
        all: &[Used<'_>],
    ) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        self.bounded_by(LONG_CALL, operation, async {
            let mut tx = self.begin().await?;
            for part in all.chunks(AT_ONCE) {
                let whole = part.len() == AT_ONCE;
                let text = if whole { full.to_owned() } else { statement(update, part.len()) };
                // Only the usual one is worth a place among the prepared.
                let mut query = sqlx::query(AssertSqlSafe(text)).persistent(whole);
                for (id, number, at) in part {
                    query = query.bind(*id).bind(*number).bind(*at);
                }
                query.execute(&mut *tx).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }
}

/// An UPDATE from `used (id, number, at)` with so many rows.
fn statement(update: &str, rows: usize) -> String {
    let row = |index: usize| {
        let [id, number, at] = [1, 2, 3].map(|column| index * 3 + column);
        format!("(CAST(${id} AS TEXT), CAST(${number} AS BIGINT), CAST(${at} AS BIGINT))")
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("WITH used (id, number, at) AS (VALUES {}) {update}", rows.join(", "))
}
