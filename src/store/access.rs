//! What accounts may do in their organisations, read as a whole: identity answers from memory.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::{
    AccessRecord, Connection, LONG_CALL, Row, Store, StoreError,
    permissions::{permission, permission_columns},
    rows,
};
use crate::model::AccountId;

/// Accounts asked about in one statement.
const AT_ONCE: usize = 500;

/// Grants to accounts themselves. The membership keeps out what an account was granted in another organisation.
const DIRECT: &str = concat!(
    "SELECT g.account_id AS whose, ",
    permission_columns!(),
    " FROM permission_grant g JOIN permission p ON p.id = g.permission_id WHERE g.account_id IN "
);
/// Grants to the groups that they are in.
const THROUGH_TEAMS: &str = concat!(
    "SELECT t.account_id AS whose, ",
    permission_columns!(),
    " FROM team_member t JOIN permission_grant g ON g.team_id = t.team_id \
     JOIN permission p ON p.id = g.permission_id WHERE t.account_id IN "
);
/// Members whose accounts have the newest sessions, which is found without a look at all accounts.
const RECENT: &str = "SELECT m.account_id, m.organisation_id, m.role FROM \
    (SELECT account_id, MAX(created_at) AS at FROM \
     (SELECT account_id, created_at FROM session ORDER BY created_at DESC LIMIT $1) s GROUP BY account_id) r \
    JOIN membership m ON m.account_id = r.account_id JOIN account a ON a.id = m.account_id \
    WHERE a.status = 'active' ORDER BY r.at DESC, a.id LIMIT $1";

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
                Some(row) => {
                    let mut one = [member(&row)?];
                    add_grants(&mut tx, &mut one).await?;
                    Ok(one.into_iter().next())
                }
            }
        })
        .await
    }

    /// What the accounts that logged in last may do, at most `limit` of them.
    pub async fn access_of_recent(&self, limit: u32) -> Result<Vec<AccessRecord>, StoreError> {
        self.bounded_by(LONG_CALL, "access_of_recent", async {
            let mut tx = self.readers().begin().await?;
            let members = sqlx::query(RECENT).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
            let mut all: Vec<AccessRecord> =
                members.iter().map(member).collect::<Result<_, _>>()?;
            for part in all.chunks_mut(AT_ONCE) {
                add_grants(&mut tx, part).await?;
            }
            Ok(all)
        })
        .await
    }
}

/// Fills in what was granted, with two statements for all.
async fn add_grants(tx: &mut Connection, all: &mut [AccessRecord]) -> Result<(), StoreError> {
    if all.is_empty() {
        return Ok(());
    }
    let marks: Vec<String> = (1..=all.len()).map(|n| format!("${n}")).collect();
    let asked: Vec<String> = all.iter().map(|access| access.account.to_string()).collect();
    let mut places: HashMap<_, &mut AccessRecord> = all
        .iter_mut()
        .map(|access| ((access.account.clone(), access.organisation.clone()), access))
        .collect();
    for select in [DIRECT, THROUGH_TEAMS] {
        let text = format!("{select} ({})", marks.join(", "));
        // One account is the usual question.
        let query = sqlx::query(AssertSqlSafe(text)).persistent(asked.len() == 1);
        let found = asked.iter().fold(query, |query, account| query.bind(account.clone()));
        for row in &found.fetch_all(&mut *tx).await? {
            let granted = permission(row)?;
            let whose = AccountId::from(rows::get::<String>(row, "whose")?);
            if let Some(access) = places.get_mut(&(whose, granted.organisation.clone())) {
                access.granted.push(granted);
            }
        }
    }
    Ok(())
}

fn member(row: &Row) -> Result<AccessRecord, StoreError> {
    Ok(AccessRecord {
        account: rows::get::<String>(row, "account_id")?.into(),
        organisation: rows::get::<String>(row, "organisation_id")?.into(),
        role: rows::get(row, "role")?,
        granted: Vec::new(),
    })
}
