//! The audit log of one mount, page by page.

use super::{AuditQuery, NumberedEvent, Store, StoreError, audit, rows};

/// Which events: one text, so that a page and its total are of the same ones.
macro_rules! matching {
    () => {
        " FROM audit LEFT JOIN account a ON a.id = audit.account_id \
         WHERE audit.mount = $1 AND (CAST($2 AS TEXT) IS NULL OR audit.event = $2)"
    };
}

impl Store {
    /// One page, newest first, and how many events there are on all pages.
    pub async fn audit_page(
        &self,
        query: &AuditQuery,
    ) -> Result<(Vec<NumberedEvent>, u64), StoreError> {
        self.bounded("audit_page", async {
            // One read transaction, so that the total is that of the page.
            let mut tx = self.readers().begin().await?;
            let total: i64 = sqlx::query_scalar(concat!("SELECT COUNT(*)", matching!()))
                .bind(query.mount.as_str())
                .bind(&query.event)
                .fetch_one(&mut *tx)
                .await?;
            let page = sqlx::query(concat!(
                "SELECT audit.*, a.number AS a_number",
                matching!(),
                " ORDER BY audit.at DESC, audit.seq DESC LIMIT $3 OFFSET $4"
            ))
            .bind(query.mount.as_str())
            .bind(&query.event)
            .bind(i64::from(query.limit))
            .bind(i64::try_from(query.offset).unwrap_or(i64::MAX))
            .fetch_all(&mut *tx)
            .await?
            .iter()
            .map(|row| {
                let (event, number) = (audit::chained(row)?, rows::get(row, "a_number")?);
                Ok(NumberedEvent { event, number })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
            Ok((page, u64::try_from(total).unwrap_or(0)))
        })
        .await
    }
}
