//! Accounts: made, found, changed. Names are unique in their realm without case.

use super::{
    AccountChange, AccountRecord, AccountStatus, AuditRecord, Inserted, PasswordChange, Store,
    StoreError,
};
use crate::model::{AccountId, RealmName, SecretString, Timestamp};

/// The form in which names and addresses are compared: without outer blanks and without case.
pub fn fold_name(text: &str) -> String {
    text.trim().to_lowercase()
}

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Makes an account. [`StoreError::Conflict`] names the field that is taken.
    pub async fn insert_account(
        &self,
        account: &AccountRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Makes all of these accounts or none, and says which ones stand in the way.
    pub async fn insert_accounts(
        &self,
        accounts: &[AccountRecord],
        audit: &[AuditRecord],
    ) -> Result<Inserted, StoreError> {
        unimplemented!()
    }

    /// One account by id.
    pub async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, StoreError> {
        unimplemented!()
    }

    /// One account by login name or address, in any case.
    pub async fn account_by_login(
        &self,
        realm: &RealmName,
        name: &str,
    ) -> Result<Option<AccountRecord>, StoreError> {
        unimplemented!()
    }

    /// Accounts, oldest first, behind `after`.
    pub async fn accounts(
        &self,
        realm: Option<&RealmName>,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        unimplemented!()
    }

    /// Sets the status. Anything but active ends all sessions.
    pub async fn set_status(
        &self,
        id: &AccountId,
        status: AccountStatus,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<AccountChange, StoreError> {
        unimplemented!()
    }

    /// Sets the roles and ends all sessions.
    pub async fn set_roles(
        &self,
        id: &AccountId,
        roles: &[String],
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<AccountChange, StoreError> {
        unimplemented!()
    }

    /// Sets a password hash, ends the sessions named, and clears the failures counted on the account's names.
    pub async fn set_password(
        &self,
        change: &PasswordChange,
        audit: &[AuditRecord],
    ) -> Result<AccountChange, StoreError> {
        unimplemented!()
    }

    /// Replaces a hash by a better one of the same password; `false` if it was changed meanwhile.
    pub async fn rehash(
        &self,
        id: &AccountId,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }
}
