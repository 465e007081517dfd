//! Allow lists: who of a provider's people may log in. Entries are numbered and never deleted, only switched off.

use super::{
    AllowEntry, AuditRecord, Connection, ForeignCounts, ForeignKey, Row, Spare, Store, StoreError,
    rows, sessions,
};
use crate::model::{AccountId, RealmName, SessionId, Timestamp};

macro_rules! entries {
    () => {
        "SELECT realm, provider, subject, number, comment, active, created_at, updated_at \
         FROM allow_entry WHERE realm = $1 AND provider = $2"
    };
}

impl Store {
    /// Puts a person on the list, or back on it; a given comment replaces the old one. `audit` is written if that changed
    /// anything.
    pub async fn allow(
        &self,
        key: &ForeignKey,
        comment: Option<&str>,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<AllowEntry, StoreError> {
        self.bounded("allow", async {
            let mut tx = self.begin().await?;
            let old = entry_of(&mut tx, key).await?;
            let same = |old: &AllowEntry| {
                old.active && comment.is_none_or(|new| old.comment.as_deref() == Some(new))
            };
            if let Some(old) = old.as_ref().filter(|old| same(old)) {
                return Ok(old.clone());
            }
            let sql = match old {
                Some(_) => {
                    "UPDATE allow_entry SET active = 1, comment = COALESCE($4, comment), updated_at = $5 \
                     WHERE realm = $1 AND provider = $2 AND subject = $3"
                }
                None => {
                    "INSERT INTO allow_entry (realm, provider, subject, number, comment, active, \
                     created_at, updated_at) SELECT $1, $2, $3, COALESCE(MAX(number), 0) + 1, $4, 1, $5, $5 \
                     FROM allow_entry WHERE realm = $1"
                }
            };
            sqlx::query(sql)
                .bind(key.realm.as_str())
                .bind(&key.provider)
                .bind(&key.subject)
                .bind(comment)
                .bind(now.millis())
                .execute(&mut *tx)
                .await?;
            let entry = entry_of(&mut tx, key).await?.ok_or(StoreError::Internal)?;
            self.commit(tx, audit).await?;
            Ok(entry)
        })
        .await
    }

    /// Switches an entry off; with `end`, the sessions of the person's account end too, and come back to be told to the
    /// revocation view. [`StoreError::NotFound`] if there is no active entry.
    pub async fn disallow(
        &self,
        key: &ForeignKey,
        end: bool,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Vec<SessionId>, StoreError> {
        self.bounded("disallow", async {
            let mut tx = self.begin().await?;
            let gone = sqlx::query(
                "UPDATE allow_entry SET active = 0, updated_at = $4 \
                 WHERE realm = $1 AND provider = $2 AND subject = $3 AND active = 1",
            )
            .bind(key.realm.as_str())
            .bind(&key.provider)
            .bind(&key.subject)
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            rows::met(&gone, StoreError::NotFound)?;
            let account: Option<String> = sqlx::query_scalar(
                "SELECT account_id FROM foreign_identity \
                 WHERE realm = $1 AND provider = $2 AND subject = $3",
            )
            .bind(key.realm.as_str())
            .bind(&key.provider)
            .bind(&key.subject)
            .fetch_optional(&mut *tx)
            .await?;
            let mut ended = Vec::new();
            if let (true, Some(account)) = (end, account) {
                let which = super::SessionsToEnd::Account(AccountId::from(account), Spare::Nothing);
                ended = sessions::end(&mut tx, &which, now).await?;
            }
            self.commit(tx, audit).await?;
            Ok(ended)
        })
        .await
    }

    /// The entries of a provider by number.
    pub async fn allow_entries(
        &self,
        realm: &RealmName,
        provider: &str,
        active_only: bool,
    ) -> Result<Vec<AllowEntry>, StoreError> {
        self.bounded("allow_entries", async {
            sqlx::query(concat!(entries!(), " AND active >= $3 ORDER BY number"))
                .bind(realm.as_str())
                .bind(provider)
                .bind(i64::from(active_only))
                .fetch_all(self.readers())
                .await?
                .iter()
                .map(entry)
                .collect()
        })
        .await
    }

    /// Counts of a provider's people and entries.
    pub async fn foreign_counts(
        &self,
        realm: &RealmName,
        provider: &str,
    ) -> Result<ForeignCounts, StoreError> {
        self.bounded("foreign_counts", async {
            let row = sqlx::query(
                "SELECT (SELECT COUNT(*) FROM foreign_identity WHERE realm = $1 AND provider = $2) AS accounts, \
                 (SELECT COUNT(*) FROM foreign_identity f JOIN account a ON a.id = f.account_id \
                 WHERE f.realm = $1 AND f.provider = $2 AND a.status = 'active') AS active_accounts, \
                 (SELECT COUNT(*) FROM allow_entry WHERE realm = $1 AND provider = $2 AND active = 1) \
                 AS active_entries, \
                 (SELECT COUNT(*) FROM allow_entry WHERE realm = $1 AND provider = $2) AS entries",
            )
            .bind(realm.as_str())
            .bind(provider)
            .fetch_one(self.readers())
            .await?;
            Ok(ForeignCounts {
                accounts: rows::get(&row, "accounts")?,
                active_accounts: rows::get(&row, "active_accounts")?,
                active_entries: rows::get(&row, "active_entries")?,
                entries: rows::get(&row, "entries")?,
            })
        })
        .await
    }
}

/// Whether an active entry stands for this person, inside a transaction.
pub(super) async fn is_allowed(tx: &mut Connection, key: &ForeignKey) -> Result<bool, StoreError> {
    Ok(entry_of(tx, key).await?.is_some_and(|entry| entry.active))
}

async fn entry_of(tx: &mut Connection, key: &ForeignKey) -> Result<Option<AllowEntry>, StoreError> {
    sqlx::query(concat!(entries!(), " AND subject = $3"))
        .bind(key.realm.as_str())
        .bind(&key.provider)
        .bind(&key.subject)
        .fetch_optional(tx)
        .await?
        .as_ref()
        .map(entry)
        .transpose()
}

fn entry(row: &Row) -> Result<AllowEntry, StoreError> {
    Ok(AllowEntry {
        key: ForeignKey {
            realm: rows::get::<String>(row, "realm")?.into(),
            provider: rows::get(row, "provider")?,
            subject: rows::get(row, "subject")?,
        },
        number: rows::get(row, "number")?,
        comment: rows::get(row, "comment")?,
        active: rows::get::<i64>(row, "active")? != 0,
        created_at: rows::time(row, "created_at")?,
        updated_at: rows::time(row, "updated_at")?,
    })
}
