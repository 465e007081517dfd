//! One change of several parts of an account at once, and everything that must end with it.

use super::{
    AccountChange, AccountRecord, AccountUpdate, AuditRecord, Connection, Store, StoreError,
    account_changes::changed_account,
    accounts::{by_id, fold_name, taken},
    codes, failures, outbox, rows,
};
use crate::model::{Timestamp, secret::ExposeSecret};

impl Store {
    /// Changes an account. [`StoreError::Changed`] if it has another version than expected, [`StoreError::Conflict`] if
    /// the new address is somebody else's.
    pub async fn update_account(
        &self,
        update: &AccountUpdate,
        audit: &[AuditRecord],
    ) -> Result<AccountChange, StoreError> {
        self.bounded("update_account", async {
            let mut tx = self.begin().await?;
            let change = apply(&mut tx, update).await?;
            self.commit(tx, audit).await?;
            Ok(change)
        })
        .await
    }
}

/// Makes the change inside a transaction.
pub(super) async fn apply(
    tx: &mut Connection,
    update: &AccountUpdate,
) -> Result<AccountChange, StoreError> {
    let Some(old) = by_id(tx, &update.account).await? else {
        return Err(StoreError::NotFound);
    };
    if update.expected_version.is_some_and(|version| version != old.version) {
        return Err(StoreError::Changed);
    }
    let new = merged(old, update);
    if update.email.is_some()
        && let Some(field) = taken(tx, &new, Some(&new.id)).await?
    {
        return Err(StoreError::Conflict { field });
    }
    let changed = write(tx, &new).await?;
    for name in &update.clear_failures {
        failures::clear(tx, &new.realm, name).await?;
    }
    for purpose in &update.void_codes {
        codes::void(tx, &new.id, purpose).await?;
    }
    outbox::insert(tx, &update.parcels).await?;
    changed_account(tx, &new.id, changed, update.end.as_ref(), update.now).await
}

fn merged(old: AccountRecord, update: &AccountUpdate) -> AccountRecord {
    let counts = i64::from(update.counts_version());
    let set = update.password_hash.is_some();
    let update = update.clone();
    AccountRecord {
        email: update.email.or(old.email),
        email_verified: update.email_verified.unwrap_or(old.email_verified),
        password_hash: update.password_hash.or(old.password_hash),
        password_changed_at: if set { Some(update.now) } else { old.password_changed_at },
        status: update.status.unwrap_or(old.status),
        roles: update.roles.unwrap_or(old.roles),
        full_name: update.full_name.or(old.full_name),
        first_name: update.first_name.or(old.first_name),
        last_name: update.last_name.or(old.last_name),
        preferences: update.preferences.unwrap_or(old.preferences),
        version: old.version.saturating_add(counts),
        updated_at: update.now,
        ..old
    }
}

async fn write(tx: &mut Connection, account: &AccountRecord) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE account SET email = $2, email_key = $3, password_hash = $4, \
         password_changed_at = $5, status = $6, roles = $7, full_name = $8, first_name = $9, \
         last_name = $10, email_verified = $11, preferences = $12, version = $13, updated_at = $14 \
         WHERE id = $1",
    )
    .bind(account.id.as_str())
    .bind(&account.email)
    .bind(account.email.as_deref().map(fold_name))
    .bind(account.password_hash.as_ref().map(ExposeSecret::expose_secret))
    .bind(account.password_changed_at.map(Timestamp::millis))
    .bind(account.status.as_str())
    .bind(rows::to_json(&account.roles)?)
    .bind(&account.full_name)
    .bind(&account.first_name)
    .bind(&account.last_name)
    .bind(i64::from(account.email_verified))
    .bind(rows::to_json(&account.preferences)?)
    .bind(account.version)
    .bind(account.updated_at.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}
