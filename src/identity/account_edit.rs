//! Accounts changed by their owners and by administrators: profile, address, password, roles, status. And pages of them.

use super::{
    Account, AccountChanges, AccountFilter, AccountPage, Actor, EventKind, FieldError, Identity,
    IdentityError, Inner, PasswordPolicy, RealmRules, accounts, audit, code_text::Purpose, lockout,
    passwords, rules,
};
use crate::{
    model::{AccountId, Principal, RealmName},
    store::{
        AccountQuery, AccountRecord, AccountStatus, AccountUpdate, AuditRecord, Spare, StoreError,
        fold_name,
    },
};

/// Largest free-form map of a user, as JSON.
const LARGEST_MAP: usize = 16 * 1024;

impl Identity {
    /// Changes the caller's own account. A new address or password ends the other sessions, and the one at hand where
    /// the realm does not spare it. Roles, status and the proof of the address are not the owner's to change.
    pub async fn change_own(
        &self,
        caller: &Principal,
        changes: AccountChanges,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let theirs = changes.roles.is_some()
            || changes.enabled.is_some()
            || changes.email_verified.is_some();
        if theirs {
            return Err(IdentityError::Forbidden { action: "update" });
        }
        let rules = self.inner.state().rules(&caller.realm)?;
        let account = self.inner.caller_account(caller).await?;
        let spare = passwords::spare(&rules, caller.session.as_ref());
        self.change(&rules, account, changes, spare, by).await
    }

    /// Changes somebody's account as an administrator, who must stand at least as high.
    pub async fn change_account(
        &self,
        realm: &RealmName,
        id: &AccountId,
        changes: AccountChanges,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let rules = self.inner.state().rules(realm)?;
        let account = self.inner.own_account(realm, id).await?;
        self.inner.may_change(&rules, by, &account).await?;
        if let Some(roles) = &changes.roles {
            self.inner.may_grant(&rules, by, roles).await?;
        }
        self.change(&rules, account, changes, Spare::Nothing, by).await
    }

    /// Removes an account softly: it is gone for everybody, its sessions and keys are dead, its names stay taken.
    pub async fn remove_account(
        &self,
        realm: &RealmName,
        id: &AccountId,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let rules = self.inner.state().rules(realm)?;
        let account = self.inner.own_account(realm, id).await?;
        self.inner.may_change(&rules, by, &account).await?;
        let now = self.now();
        let update = AccountUpdate {
            status: Some(AccountStatus::Deleted),
            end: Some(Spare::Nothing),
            void_codes: Purpose::NAMES.to_vec(),
            ..AccountUpdate::new(id.clone(), now)
        };
        let told = accounts::about(EventKind::AccountDeleted, &account, by, now);
        self.commit(update, vec![told]).await.map(drop)
    }

    /// A page of a realm's accounts, oldest first.
    pub async fn account_page(
        &self,
        realm: &RealmName,
        filter: AccountFilter,
        offset: u32,
        limit: u32,
    ) -> Result<AccountPage, IdentityError> {
        let AccountFilter { search, role, enabled } = filter;
        let realm = realm.clone();
        let query = AccountQuery { realm, search, role, enabled, offset, limit };
        let (page, total) = self.inner.store.account_page(&query).await?;
        Ok(AccountPage { accounts: page.into_iter().map(accounts::shown).collect(), total })
    }

    async fn change(
        &self,
        rules: &RealmRules,
        account: AccountRecord,
        changes: AccountChanges,
        spare: Spare,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let roles = acceptable(rules, &changes)?;
        let now = self.now();
        let told = events(&account, &changes, by, now);
        let email = changes.email.filter(|new| {
            account.email.as_deref().is_none_or(|old| fold_name(old) != fold_name(new))
        });
        let proves = email.is_some() || changes.password.is_some();
        let lessens = roles.is_some() || changes.enabled == Some(false);
        let hash = match &changes.password {
            Some(new) => Some(self.inner.state().pool.hash(new).await?.into()),
            None => None,
        };
        if told.is_empty() {
            return Ok(accounts::shown(account));
        }
        let update = AccountUpdate {
            expected_version: Some(account.version),
            email_verified: changes.email_verified.or(email.is_some().then_some(false)),
            void_codes: if proves { Purpose::NAMES.to_vec() } else { Vec::new() },
            clear_failures: match &hash {
                Some(_) => lockout::names_of(&account),
                None => Vec::new(),
            },
            email,
            password_hash: hash,
            status: changes.enabled.map(|enabled| match enabled {
                true => AccountStatus::Active,
                false => AccountStatus::Disabled,
            }),
            roles,
            full_name: changes.full_name,
            first_name: changes.first_name,
            last_name: changes.last_name,
            preferences: changes.preferences,
            end: match (lessens, proves) {
                (true, _) => Some(Spare::Nothing),
                (false, true) => Some(spare),
                (false, false) => None,
            },
            ..AccountUpdate::new(account.id, now)
        };
        self.commit(update, told).await
    }

    async fn commit(
        &self,
        update: AccountUpdate,
        told: Vec<AuditRecord>,
    ) -> Result<Account, IdentityError> {
        let inner = self.inner.clone();
        self.to_the_end(async move {
            match inner.store.update_account(&update, &told).await {
                Ok(change) => Ok(inner.changed(change, update.now)),
                // Another change came first; whoever asks shall look again.
                Err(StoreError::Changed) => Err(IdentityError::CredentialEnded),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// What is said of a change: one event per kind of it, naming the fields and none of the values.
fn events(
    account: &AccountRecord,
    changes: &AccountChanges,
    by: &Actor,
    now: crate::model::Timestamp,
) -> Vec<AuditRecord> {
    let named = [
        ("email", changes.email.is_some()),
        ("full_name", changes.full_name.is_some()),
        ("first_name", changes.first_name.is_some()),
        ("last_name", changes.last_name.is_some()),
        ("preferences", changes.preferences.is_some()),
        ("roles", changes.roles.is_some()),
        ("email_verified", changes.email_verified.is_some()),
    ];
    let fields: Vec<&str> =
        named.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    let mut told = Vec::new();
    if !fields.is_empty() {
        told.push(AuditRecord {
            details: audit::done_by(by, [("fields", fields.into())]),
            ..accounts::about(EventKind::AccountChanged, account, by, now)
        });
    }
    let status = changes.enabled.map(|enabled| match enabled {
        true => EventKind::AccountEnabled,
        false => EventKind::AccountDisabled,
    });
    let password = changes.password.as_ref().map(|_| EventKind::PasswordChange);
    let kinds = status.into_iter().chain(password);
    told.extend(kinds.map(|kind| accounts::about(kind, account, by, now)));
    told
}

/// The roles of a change in the realm's spelling, or everything that is wrong with it.
fn acceptable(
    rules: &RealmRules,
    changes: &AccountChanges,
) -> Result<Option<Vec<String>>, IdentityError> {
    let mut faults = Vec::new();
    faults.extend(changes.email.as_deref().and_then(rules::email_fault));
    faults.extend(profile_faults([
        ("full_name", changes.full_name.as_deref()),
        ("first_name", changes.first_name.as_deref()),
        ("last_name", changes.last_name.as_deref()),
    ]));
    faults.extend(changes.preferences.as_ref().and_then(map_fault));
    let roles = changes
        .roles
        .as_deref()
        .map(|roles| accounts::known_roles(rules, Some(roles), &mut faults));
    let weak = match &changes.password {
        Some(new) => passwords::faults(rules, new, PasswordPolicy::Enforce),
        None => Vec::new(),
    };
    if !faults.is_empty() {
        faults.extend(weak);
        return Err(IdentityError::Invalid(faults));
    }
    if weak.is_empty() { Ok(roles) } else { Err(IdentityError::WeakPassword(weak)) }
}

/// What is wrong with the texts of a profile.
pub(super) fn profile_faults<const N: usize>(
    texts: [(&'static str, Option<&str>); N],
) -> Vec<FieldError> {
    texts.into_iter().filter_map(|(field, text)| rules::text_fault(field, text?)).collect()
}

/// What is wrong with a free-form map.
pub(super) fn map_fault(map: &serde_json::Value) -> Option<FieldError> {
    let fault = |kind, message: String| Some(FieldError { field: "preferences", kind, message });
    if !map.is_object() {
        return fault("invalid", "Preferences must be an object".to_owned());
    }
    if map.to_string().len() > LARGEST_MAP {
        return fault("too_long", format!("Preferences take at most {LARGEST_MAP} bytes"));
    }
    None
}

impl Inner {
    /// The realm's rules for strangers who want an account.
    pub(super) fn open_realm(
        &self,
        realm: &RealmName,
    ) -> Result<std::sync::Arc<RealmRules>, IdentityError> {
        let rules = self.state().rules(realm)?;
        match rules.registration {
            true => Ok(rules),
            false => Err(IdentityError::Forbidden { action: "register" }),
        }
    }
}
