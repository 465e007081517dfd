//! Accounts: made and found. Names are unique in their realm without case, and a login name is nobody else's address.

use super::{
    AccountRecord, AuditRecord, CodeRecord, Connection, Inserted, LONG_CALL, NewOrganisation,
    OutboxRecord, Store, StoreError, codes, organisations, outbox,
    rows::{self, account_columns},
};
use crate::model::{AccountId, RealmName, Timestamp, secret::ExposeSecret};

/// The form in which names and addresses are compared: without outer blanks and without case.
pub fn fold_name(text: &str) -> String {
    text.trim().to_lowercase()
}

impl Store {
    /// Makes an account. [`StoreError::Conflict`] names the field that is taken.
    pub async fn insert_account(
        &self,
        account: &AccountRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_account", async {
            let mut tx = self.begin().await?;
            if let Some(field) = taken(&mut tx, account, None).await? {
                return Err(StoreError::Conflict { field });
            }
            insert(&mut tx, account).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Makes an account together with an organisation that it owns, and a code that is sent to it. [`StoreError::Conflict`] as for
    /// [`Store::insert_account`].
    pub async fn register_account(
        &self,
        account: &AccountRecord,
        organisation: Option<&NewOrganisation>,
        sent: Option<(&CodeRecord, &OutboxRecord)>,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("register_account", async {
            let mut tx = self.begin().await?;
            if let Some(field) = taken(&mut tx, account, None).await? {
                return Err(StoreError::Conflict { field });
            }
            insert(&mut tx, account).await?;
            if let Some(new) = organisation {
                organisations::found(&mut tx, new, &account.id).await?;
            }
            if let Some((code, parcel)) = sent {
                codes::insert(&mut tx, code).await?;
                outbox::insert(&mut tx, std::slice::from_ref(parcel)).await?;
            }
            self.commit(tx, audit).await
        })
        .await
    }

    /// Makes all of these accounts or none, and says which ones stand in the way.
    pub async fn insert_accounts(
        &self,
        accounts: &[AccountRecord],
        audit: &[AuditRecord],
    ) -> Result<Inserted, StoreError> {
        self.bounded_by(LONG_CALL, "insert_accounts", async {
            let mut tx = self.begin().await?;
            let mut refused = Vec::new();
            for (index, account) in accounts.iter().enumerate() {
                match taken(&mut tx, account, None).await? {
                    Some(field) => refused.push((index, field)),
                    None => insert(&mut tx, account).await?,
                }
            }
            if !refused.is_empty() {
                tx.rollback().await?;
                return Ok(Inserted::None(refused));
            }
            self.commit(tx, audit).await?;
            Ok(Inserted::All)
        })
        .await
    }

    /// One account by id.
    pub async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.bounded("account", async {
            let mut connection = self.readers().acquire().await?;
            by_id(&mut connection, id).await
        })
        .await
    }

    /// One account by login name or address, in any case.
    pub async fn account_by_login(
        &self,
        realm: &RealmName,
        name: &str,
    ) -> Result<Option<AccountRecord>, StoreError> {
        self.bounded("account_by_login", async {
            sqlx::query(concat!(
                "SELECT ",
                account_columns!(),
                " FROM account a WHERE a.realm = $1 AND (a.username_key = $2 OR a.email_key = $2)"
            ))
            .bind(realm.as_str())
            .bind(fold_name(name))
            .fetch_optional(self.readers())
            .await?
            .as_ref()
            .map(rows::account)
            .transpose()
        })
        .await
    }

    /// Accounts, oldest first, behind `after`.
    pub async fn accounts(
        &self,
        realm: Option<&RealmName>,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        self.bounded("accounts", async {
            sqlx::query(concat!(
                "SELECT ",
                account_columns!(),
                " FROM account a WHERE (CAST($1 AS TEXT) IS NULL OR a.realm = $1) \
                 AND (CAST($2 AS TEXT) IS NULL OR (a.created_at, a.id) > \
                 (SELECT b.created_at, b.id FROM account b WHERE b.id = $2)) \
                 ORDER BY a.created_at, a.id LIMIT $3"
            ))
            .bind(realm.map(RealmName::as_str))
            .bind(after.map(AccountId::as_str))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(rows::account)
            .collect()
        })
        .await
    }
}

/// One account by id, inside a transaction.
pub(super) async fn by_id(
    connection: &mut Connection,
    id: &AccountId,
) -> Result<Option<AccountRecord>, StoreError> {
    sqlx::query(concat!("SELECT ", account_columns!(), " FROM account a WHERE a.id = $1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(rows::account)
        .transpose()
}

/// Which of this account's names somebody else has already, as a name or as an address. `itself`: the account is there
/// already, and what it has is not taken.
pub(super) async fn taken(
    tx: &mut Connection,
    account: &AccountRecord,
    itself: Option<&AccountId>,
) -> Result<Option<&'static str>, StoreError> {
    let username = account.username.as_deref().map(fold_name);
    let email = account.email.as_deref().map(fold_name);
    let found = sqlx::query(
        "SELECT id, username_key, email_key FROM account \
         WHERE id = $4 OR (realm = $1 AND username_key IN ($2, $3)) OR (realm = $1 AND email_key IN ($2, $3))",
    )
    .bind(account.realm.as_str())
    .bind(&username)
    .bind(&email)
    .bind(account.id.as_str())
    .fetch_all(tx)
    .await?;
    let mut field = None;
    for row in &found {
        if itself.is_some_and(|id| {
            rows::get::<String>(row, "id").is_ok_and(|found| found == id.as_str())
        }) {
            continue;
        }
        let names =
            [rows::get(row, "username_key")?, rows::get::<Option<String>>(row, "email_key")?];
        if username.is_some() && names.contains(&username) {
            return Ok(Some("username"));
        }
        field = Some(if email.is_some() && names.contains(&email) { "email" } else { "id" });
    }
    Ok(field)
}

pub(super) async fn insert(tx: &mut Connection, account: &AccountRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO account (id, realm, username, username_key, email, email_key, password_hash, \
         password_changed_at, status, roles, tenant, full_name, first_name, last_name, \
         email_verified, totp_secret, totp_enabled_at, preferences, version, created_at, \
         updated_at, last_login_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
         $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
    )
    .bind(account.id.as_str())
    .bind(account.realm.as_str())
    .bind(&account.username)
    .bind(account.username.as_deref().map(fold_name))
    .bind(&account.email)
    .bind(account.email.as_deref().map(fold_name))
    .bind(account.password_hash.as_ref().map(ExposeSecret::expose_secret))
    .bind(account.password_changed_at.map(Timestamp::millis))
    .bind(account.status.as_str())
    .bind(rows::to_json(&account.roles)?)
    .bind(&account.tenant)
    .bind(&account.full_name)
    .bind(&account.first_name)
    .bind(&account.last_name)
    .bind(i64::from(account.email_verified))
    .bind(account.totp_secret.as_ref().map(|secret| secret.0.as_slice()))
    .bind(account.totp_enabled_at.map(Timestamp::millis))
    .bind(rows::to_json(&account.preferences)?)
    .bind(account.version)
    .bind(account.created_at.millis())
    .bind(account.updated_at.millis())
    .bind(account.last_login_at.map(Timestamp::millis))
    .execute(tx)
    .await?;
    Ok(())
}
