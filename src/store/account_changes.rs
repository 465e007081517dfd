//! Accounts: status, roles and passwords changed. Each change counts the account's version up and ends what must not
//! outlive it, in one transaction.

use super::{
    AccountChange, AccountStatus, AuditRecord, Connection, PasswordChange, SessionsToEnd, Spare,
    Store, StoreError, accounts::by_id, agents, failures, rows, sessions,
};
use crate::model::{AccountId, SecretString, SessionId, Timestamp, secret::ExposeSecret};

impl Store {
    /// Sets the status. Anything but active ends all sessions.
    pub async fn set_status(
        &self,
        id: &AccountId,
        status: AccountStatus,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<AccountChange, StoreError> {
        self.bounded("set_status", async {
            let mut tx = self.begin().await?;
            let changed = sqlx::query(
                "UPDATE account SET status = $2, version = version + 1, updated_at = $3 WHERE id = $1",
            )
            .bind(id.as_str())
            .bind(status.as_str())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let end = (status != AccountStatus::Active).then_some(&Spare::Nothing);
            let change = changed_account(&mut tx, id, changed, end, now).await?;
            self.commit(tx, audit).await?;
            Ok(change)
        })
        .await
    }

    /// Sets the roles and ends all sessions.
    pub async fn set_roles(
        &self,
        id: &AccountId,
        roles: &[String],
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<AccountChange, StoreError> {
        self.bounded("set_roles", async {
            let mut tx = self.begin().await?;
            let changed = sqlx::query(
                "UPDATE account SET roles = $2, version = version + 1, updated_at = $3 WHERE id = $1",
            )
            .bind(id.as_str())
            .bind(rows::to_json(&roles)?)
            .bind(now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let change =
                changed_account(&mut tx, id, changed, Some(&Spare::Nothing), now).await?;
            self.commit(tx, audit).await?;
            Ok(change)
        })
        .await
    }

    /// Sets a password hash, ends the sessions and clears the failure counts named in the change.
    /// [`StoreError::Changed`] if the account has another version than expected.
    pub async fn set_password(
        &self,
        change: &PasswordChange,
        audit: &[AuditRecord],
    ) -> Result<AccountChange, StoreError> {
        self.bounded("set_password", async {
            let mut tx = self.begin().await?;
            let Some(account) = by_id(&mut tx, &change.account).await? else {
                return Err(StoreError::NotFound);
            };
            if change.expected_version.is_some_and(|version| version != account.version) {
                return Err(StoreError::Changed);
            }
            let changed = sqlx::query(
                "UPDATE account SET password_hash = $2, password_changed_at = $3, updated_at = $3, \
                 version = version + 1 WHERE id = $1",
            )
            .bind(change.account.as_str())
            .bind(change.hash.expose_secret())
            .bind(change.now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            for name in &change.clear_failures {
                failures::clear(&mut tx, &account.realm, name).await?;
            }
            let done =
                changed_account(&mut tx, &change.account, changed, change.end.as_ref(), change.now)
                    .await?;
            self.commit(tx, audit).await?;
            Ok(done)
        })
        .await
    }

    /// Replaces a hash by a better one of the same password; `false` if it was changed meanwhile. The version stays.
    pub async fn rehash(
        &self,
        id: &AccountId,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<bool, StoreError> {
        self.bounded("rehash", async {
            let mut tx = self.begin().await?;
            let changed = sqlx::query(
                "UPDATE account SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
            )
            .bind(id.as_str())
            .bind(old.expose_secret())
            .bind(new.expose_secret())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            tx.commit().await?;
            Ok(changed == 1)
        })
        .await
    }
}

/// What the callers of an UPDATE do next: read the account back and end its sessions.
pub(super) async fn changed_account(
    tx: &mut Connection,
    id: &AccountId,
    changed: u64,
    end: Option<&Spare>,
    now: Timestamp,
) -> Result<AccountChange, StoreError> {
    if changed == 0 {
        return Err(StoreError::NotFound);
    }
    let mut tokens = Vec::new();
    let ended: Vec<SessionId> = match end {
        None => Vec::new(),
        Some(spare) => {
            let which = SessionsToEnd::Account(id.clone(), spare.clone());
            sessions::end(tx, &which, now).await?;
            tokens = agents::end_of(tx, id, spare, now).await?;
            sessions::ended_of(tx, id).await?
        }
    };
    let account = by_id(tx, id).await?.ok_or(StoreError::NotFound)?;
    Ok(AccountChange { account, ended, tokens })
}
