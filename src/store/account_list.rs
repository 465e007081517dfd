//! Pages of accounts for administrators: searched, filtered, counted.

use super::{
    AccountQuery, AccountRecord, Store, StoreError,
    accounts::fold_name,
    rows::{self, account_columns},
};

macro_rules! filter {
    () => {
        " FROM account a WHERE a.realm = $1 AND a.status <> 'deleted' \
         AND (CAST($2 AS TEXT) IS NULL OR a.username_key LIKE $2 ESCAPE '!' \
         OR a.email_key LIKE $2 ESCAPE '!' OR LOWER(a.full_name) LIKE $2 ESCAPE '!') \
         AND (CAST($3 AS TEXT) IS NULL OR a.roles LIKE $3 ESCAPE '!') \
         AND (CAST($4 AS BIGINT) IS NULL OR (CASE WHEN a.status = 'active' THEN 1 ELSE 0 END) = $4)"
    };
}

impl Store {
    /// One page, oldest first, and how many there are in all.
    pub async fn account_page(
        &self,
        query: &AccountQuery,
    ) -> Result<(Vec<AccountRecord>, u64), StoreError> {
        self.bounded("account_page", async {
            let search = query.search.as_deref().map(|text| contains(&fold_name(text)));
            // Roles are kept as a JSON list of names without quotes in them.
            let role = query.role.as_deref().map(|role| contains(&format!("\"{role}\"")));
            let enabled = query.enabled.map(i64::from);
            let total: i64 = sqlx::query_scalar(concat!("SELECT COUNT(*)", filter!()))
                .bind(query.realm.as_str())
                .bind(&search)
                .bind(&role)
                .bind(enabled)
                .fetch_one(self.readers())
                .await?;
            let page = sqlx::query(concat!(
                "SELECT ",
                account_columns!(),
                filter!(),
                " ORDER BY a.created_at, a.id LIMIT $5 OFFSET $6"
            ))
            .bind(query.realm.as_str())
            .bind(&search)
            .bind(&role)
            .bind(enabled)
            .bind(i64::from(query.limit))
            .bind(i64::from(query.offset))
            .fetch_all(self.readers())
            .await?;
            let page = page.iter().map(rows::account).collect::<Result<_, _>>()?;
            Ok((page, u64::try_from(total).unwrap_or_default()))
        })
        .await
    }
}

/// A LIKE pattern for texts that contain `text`, whatever characters it has.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
