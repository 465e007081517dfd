//! Changing passwords: by who knows the current one, or by the operator. Either way every session of the account ends.

use super::{
    Actor, EventKind, FieldError, Identity, IdentityError, PasswordPolicy, RealmRules, accounts,
    lockout::{self, Counted},
    rules,
};
use crate::{
    model::{AccountId, Principal, RealmName, SecretString, SessionId, secret::ExposeSecret},
    store::{AuditRecord, PasswordChange, Spare, StoreError},
};

impl Identity {
    /// Changes a password knowing the current one; ends all sessions of the account, but for the one at hand where the
    /// realm spares it.
    pub async fn change_password(
        &self,
        caller: &Principal,
        current: &SecretString,
        new: &SecretString,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let state = self.inner.state();
        let rules = state.rules(&caller.realm)?;
        let record = self.inner.caller_account(caller).await?;
        // A stolen access token must not serve to guess the password: wrong ones count as failed logins of the address.
        // They do not lock the name, or such a thief could keep its owner out.
        let name = record.username.as_deref().or(record.email.as_deref());
        let counted = Counted::new(&caller.realm, name.unwrap_or(caller.subject.as_str()), by);
        self.inner.refuse_throttled(&rules, &counted).await?;
        let hash = record.password_hash.as_ref().map(ExposeSecret::expose_secret);
        if !state.pool.verify(current, hash).await? {
            self.inner.charge_failure(&rules, &counted).await?;
            return Err(IdentityError::WrongCurrentPassword);
        }
        let weak = faults(&rules, new, PasswordPolicy::Enforce);
        if !weak.is_empty() {
            return Err(IdentityError::WeakPassword(weak));
        }
        let hash = state.pool.hash(new).await?;
        let now = self.now();
        let change = PasswordChange {
            account: record.id.clone(),
            hash: hash.into(),
            expected_version: Some(record.version),
            end: Some(spare(&rules, caller.session.as_ref())),
            clear_failures: Vec::new(),
            now,
        };
        let told = accounts::about(EventKind::PasswordChange, &record, by, now);
        self.replace_password(change, told).await
    }

    /// Sets a password without knowing the current one; ends all sessions, lifts a lock.
    pub async fn set_password(
        &self,
        realm: &RealmName,
        id: &AccountId,
        new: &SecretString,
        policy: PasswordPolicy,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let state = self.inner.state();
        let rules = state.rules(realm)?;
        let record = self.inner.own_account(realm, id).await?;
        let weak = faults(&rules, new, policy);
        if !weak.is_empty() {
            return Err(IdentityError::WeakPassword(weak));
        }
        if policy == PasswordPolicy::Bypass {
            tracing::warn!(event = "password_rule_bypassed", %realm, account = %id);
        }
        let hash = state.pool.hash(new).await?;
        let now = self.now();
        let change = PasswordChange {
            account: id.clone(),
            hash: hash.into(),
            expected_version: None,
            end: Some(Spare::Nothing),
            clear_failures: lockout::names_of(&record),
            now,
        };
        let told = accounts::about(EventKind::PasswordChange, &record, by, now);
        self.replace_password(change, told).await
    }

    /// A character that a made-up password may and, where the rule asks for one, must hold.
    pub fn symbol_for(&self, realm: &RealmName) -> Result<char, IdentityError> {
        let rules = self.inner.state().rules(realm)?;
        let symbols = &rules.password.symbols;
        // `-` where there is a choice: it needs no quotes anywhere.
        Ok(symbols.chars().find(|c| *c == '-').or(symbols.chars().next()).unwrap_or('-'))
    }

    async fn replace_password(
        &self,
        change: PasswordChange,
        told: AuditRecord,
    ) -> Result<(), IdentityError> {
        let inner = self.inner.clone();
        self.to_the_end(async move {
            match inner.store.set_password(&change, &[told]).await {
                Ok(done) => inner.changed(done, change.now),
                // Another change came first and has ended the session that asks.
                Err(StoreError::Changed) => return Err(IdentityError::CredentialEnded),
                Err(error) => return Err(error.into()),
            };
            Ok(())
        })
        .await
    }
}

/// Which session stays when the owner changes what proves the account.
pub(super) fn spare(rules: &RealmRules, session: Option<&SessionId>) -> Spare {
    match session {
        Some(session) if rules.change_spares_current => Spare::One(session.clone()),
        _ => Spare::Nothing,
    }
}

/// What is wrong with a new password. Two bounds hold even where the rule is bypassed: it is not empty, and not so long
/// that a login would not look at it.
pub(super) fn faults(
    rules: &RealmRules,
    password: &SecretString,
    policy: PasswordPolicy,
) -> Vec<FieldError> {
    let plain = password.expose_secret();
    let mut faults = match policy {
        PasswordPolicy::Enforce => rules::password_faults(&rules.password, plain),
        PasswordPolicy::Bypass => Vec::new(),
    };
    let most = rules.password.max_length;
    let too_long = plain.len() > super::password::LONGEST_LOGIN || plain.chars().count() > most;
    if faults.is_empty() && too_long {
        let message = format!("Password must be at most {most} characters long");
        faults.push(FieldError { field: "password", kind: "weak", message });
    }
    if faults.is_empty() && plain.is_empty() {
        let message = "Password must not be empty".to_owned();
        faults.push(FieldError { field: "password", kind: "weak", message });
    }
    faults
}
