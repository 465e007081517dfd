//! What accounts may do in their organisations, read as a whole: identity answers from memory.

use super::{
    AccessRecord, Connection, LONG_CALL, Row, Store, StoreError,
    permissions::{permission, permission_columns},
    rows,
};
use crate::model::AccountId;

/// Grants to the account itself. The membership keeps out what an account was granted in another organisation.
const DIRECT: &str = concat!(
    "SELECT ",
    permission_columns!(),
    " FROM permission_grant g JOIN permission p ON p.id = g.permission_id \
     WHERE g.account_id = $1 AND p.organisation_id = $2"
);
/// Grants to the groups that the account is in.
const THROUGH_TEAMS: &str = concat!(
    "SELECT ",
    permission_columns!(),
    " FROM team_member t JOIN permission_grant g ON g.team_id = t.team_id \
     JOIN permission p ON p.id = g.permission_id \
     WHERE t.account_id = $1 AND p.organisation_id = $2"
);

impl Store {
    /// What one account may do; `None`: it belongs to no organisation.
    pub async fn access(&self, account: &AccountId) -> Result<Option<AccessRecord>, StoreError> {
        self.bounded("access", async {
            // One read transaction, so that membership and grants are of one moment.
            let mut tx = self.readers().begin().await?;
            let row = sqlx::query(
                "SELECT m.account_id, m.organisation_id, m.role FROM membership m \
                 WHERE m.account_id = $1 ORDER BY m.created_at, m.organisation_id LIMIT 1",
            )
            .bind(account.as_str())
            .fetch_optional(&mut *tx)
            .await?;
            match row {
                None => Ok(None),
                Some(row) => with_grants(&mut tx, member(&row)?).await.map(Some),
            }
        })
        .await
    }

    /// What the accounts that logged in last may do, at most `limit` of them.
    pub async fn access_of_recent(&self, limit: u32) -> Result<Vec<AccessRecord>, StoreError> {
        self.bounded_by(LONG_CALL, "access_of_recent", async {
            let mut tx = self.readers().begin().await?;
            let members = sqlx::query(
                "SELECT m.account_id, m.organisation_id, m.role FROM membership m \
                 JOIN account a ON a.id = m.account_id \
                 WHERE a.status = 'active' AND a.last_login_at IS NOT NULL \
                 ORDER BY a.last_login_at DESC, a.id LIMIT $1",
            )
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
            let mut all = Vec::with_capacity(members.len());
            for row in &members {
                all.push(with_grants(&mut tx, member(row)?).await?);
            }
            Ok(all)
        })
        .await
    }
}

async fn with_grants(
    tx: &mut Connection,
    mut access: AccessRecord,
) -> Result<AccessRecord, StoreError> {
    for sql in [DIRECT, THROUGH_TEAMS] {
        let found = sqlx::query(sql)
            .bind(access.account.as_str())
            .bind(access.organisation.as_str())
            .fetch_all(&mut *tx)
            .await?;
        for row in &found {
            access.granted.push(permission(row)?);
        }
    }
    Ok(access)
}

fn member(row: &Row) -> Result<AccessRecord, StoreError> {
    Ok(AccessRecord {
        account: rows::get::<String>(row, "account_id")?.into(),
        organisation: rows::get::<String>(row, "organisation_id")?.into(),
        role: rows::get(row, "role")?,
        granted: Vec::new(),
    })
}
