//! Registration: strangers make accounts for themselves, where the realm is open for that.

use super::{
    Account, Actor, EventKind, Identity, IdentityError, NewAccount, PasswordPolicy, Registration,
    account_edit::{map_fault, profile_faults},
    accounts,
    code_text::Purpose,
};
use crate::{
    model::MountName,
    store::{AccountRecord, AuditRecord},
};

impl Identity {
    /// Makes an account with the realm's default role. A taken address is [`IdentityError::AlreadyExists`], found after
    /// the same work as a free one; whether the client hears of it is the contract's affair.
    pub async fn register(
        &self,
        mount: &MountName,
        request: Registration,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let state = self.inner.state();
        let mount = state.mount(mount)?;
        let rules = self.inner.open_realm(&mount.realm)?;
        let mut faults = profile_faults([
            ("first_name", request.first_name.as_deref()),
            ("last_name", request.last_name.as_deref()),
        ]);
        faults.extend(request.preferences.as_ref().and_then(map_fault));
        let new = NewAccount {
            username: request.username,
            email: Some(request.email),
            password: request.password,
            policy: PasswordPolicy::Enforce,
            full_name: request.full_name,
            roles: None,
            tenant: None,
        };
        let roles = match accounts::acceptable(&rules, &new) {
            Err(IdentityError::Invalid(more)) => {
                faults.extend(more);
                return Err(IdentityError::Invalid(faults));
            }
            other if faults.is_empty() => other?,
            _ => return Err(IdentityError::Invalid(faults)),
        };
        let hash = state.pool.hash(&new.password).await?;
        let now = self.now();
        let blank = AccountRecord::new(self.inner.uuid()?.into(), mount.realm.clone(), now);
        let account = AccountRecord {
            username: new.username,
            email: new.email,
            password_hash: Some(hash.into()),
            password_changed_at: Some(now),
            roles,
            full_name: new.full_name,
            first_name: request.first_name,
            last_name: request.last_name,
            preferences: request.preferences.unwrap_or_else(|| blank.preferences.clone()),
            ..blank
        };
        let told = AuditRecord {
            mount: Some(mount.name.clone()),
            details: serde_json::json!({}),
            ..accounts::about(EventKind::AccountRegistered, &account, by, now)
        };
        let sent = match request.send_verification {
            true => Some(self.inner.code_for(&mount, Purpose::Verify, &account, now)?),
            false => None,
        };
        let with = sent.as_ref().map(|(code, mail)| (code, mail));
        self.inner.store.register_account(&account, with, &[told]).await?;
        self.inner.ring();
        Ok(accounts::shown(account))
    }
}
