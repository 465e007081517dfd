//! What the lists of an organisation have in common: read whole, bounded in number, and shortened only by the organisation
//! itself.

use super::{AuditRecord, Connection, Row, Store, StoreError, rows};
use crate::model::OrganisationId;

impl Store {
    /// Every row that `select` finds for these texts.
    pub(super) async fn listed<T>(
        &self,
        operation: &'static str,
        select: &'static str,
        texts: &[&str],
        read: fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.bounded(operation, async {
            let mut query = sqlx::query(select);
            for text in texts {
                query = query.bind(*text);
            }
            query.fetch_all(self.readers()).await?.iter().map(read).collect()
        })
        .await
    }

    /// Removes what `delete` finds under an id in an organisation. [`StoreError::NotFound`] if there is none.
    pub(super) async fn remove_within(
        &self,
        operation: &'static str,
        delete: &'static str,
        organisation: &OrganisationId,
        id: &str,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded(operation, async {
            let mut tx = self.begin().await?;
            let query = sqlx::query(delete).bind(id).bind(organisation.as_str());
            rows::met(&query.execute(&mut *tx).await?, StoreError::NotFound)?;
            self.commit(tx, audit).await
        })
        .await
    }
}

/// [`StoreError::Full`] when `count` finds as many of an organisation as there may be.
pub(super) async fn room(
    connection: &mut Connection,
    count: &'static str,
    organisation: &OrganisationId,
    most: i64,
) -> Result<(), StoreError> {
    let found: i64 =
        sqlx::query_scalar(count).bind(organisation.as_str()).fetch_one(connection).await?;
    if found < most { Ok(()) } else { Err(StoreError::Full) }
}
