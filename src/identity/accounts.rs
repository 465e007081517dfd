//! Accounts: made, found, changed. Every change that lessens what one may do ends sessions and ages cached keys.

use std::sync::Arc;

use super::{
    Account, Actor, EventKind, FieldError, Identity, IdentityError, Inner, NewAccount,
    PasswordPolicy, RealmRules, audit, passwords, rules,
};
use crate::{
    model::{AccountId, Principal, RealmName, Timestamp},
    pipeline::News,
    store::{AccountChange, AccountRecord, AccountStatus, AuditRecord},
};

impl Identity {
    /// One account.
    pub async fn account(
        &self,
        realm: &RealmName,
        id: &AccountId,
    ) -> Result<Account, IdentityError> {
        self.inner.own_account(realm, id).await.map(shown)
    }

    /// The caller's own account; for a key, its owner's. [`IdentityError::CredentialEnded`] once it is gone.
    pub async fn account_of(&self, caller: &Principal) -> Result<Account, IdentityError> {
        self.inner.caller_account(caller).await.map(shown)
    }

    /// Accounts of a realm, oldest first, `after` an id, at most `limit`.
    pub async fn accounts(
        &self,
        realm: Option<&RealmName>,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<Account>, IdentityError> {
        let page = self.inner.store.accounts(realm, after, limit).await?;
        Ok(page.into_iter().map(shown).collect())
    }

    /// Finds an account by id, login name or e-mail.
    pub async fn find_account(
        &self,
        realm: &RealmName,
        text: &str,
    ) -> Result<Account, IdentityError> {
        match self.inner.own_account(realm, &text.into()).await {
            Err(IdentityError::NotFound) => {}
            other => return other.map(shown),
        }
        let found = self.inner.store.account_by_login(realm, text).await?;
        let found = found.filter(|account| account.status != AccountStatus::Deleted);
        found.map(shown).ok_or(IdentityError::NotFound)
    }

    /// Makes an account.
    pub async fn create_account(
        &self,
        realm: &RealmName,
        new: NewAccount,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let now = self.now();
        let account = self.new_account(realm, new, now).await?;
        let rules = self.inner.state().rules(realm)?;
        self.inner.may_grant(&rules, by, &account.roles).await?;
        let told = about(EventKind::AccountCreated, &account, by, now);
        self.inner.store.insert_account(&account, &[told]).await?;
        Ok(shown(account))
    }

    /// A new account by the realm's rules, its password hashed; nothing is stored yet, and whether the caller may hand
    /// out its roles is not asked.
    pub(super) async fn new_account(
        &self,
        realm: &RealmName,
        new: NewAccount,
        now: Timestamp,
    ) -> Result<AccountRecord, IdentityError> {
        let state = self.inner.state();
        let rules = state.rules(realm)?;
        let roles = acceptable(&rules, &new)?;
        if new.policy == PasswordPolicy::Bypass {
            tracing::warn!(event = "password_rule_bypassed", %realm, username = new.username);
        }
        let hash = state.pool.hash(&new.password).await?;
        Ok(AccountRecord {
            username: new.username,
            email: new.email,
            password_hash: Some(hash.into()),
            password_changed_at: Some(now),
            roles,
            tenant: new.tenant,
            full_name: new.full_name,
            ..AccountRecord::new(self.inner.uuid()?.into(), realm.clone(), now)
        })
    }

    /// Enables or disables; disabling ends sessions and silences keys at once.
    pub async fn set_enabled(
        &self,
        realm: &RealmName,
        id: &AccountId,
        enabled: bool,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let account = self.inner.own_account(realm, id).await?;
        let now = self.now();
        let (status, kind) = match enabled {
            true => (AccountStatus::Active, EventKind::AccountEnabled),
            false => (AccountStatus::Disabled, EventKind::AccountDisabled),
        };
        let told = about(kind, &account, by, now);
        let (inner, id) = (self.inner.clone(), id.clone());
        self.to_the_end(async move {
            let change = inner.store.set_status(&id, status, now, &[told]).await?;
            Ok(inner.changed(change, now))
        })
        .await
    }

    /// Sets roles; ends all sessions of the account.
    pub async fn set_roles(
        &self,
        realm: &RealmName,
        id: &AccountId,
        roles: Vec<String>,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let rules = self.inner.state().rules(realm)?;
        let mut faults = Vec::new();
        let roles = known_roles(&rules, Some(&roles), &mut faults);
        if !faults.is_empty() {
            return Err(IdentityError::Invalid(faults));
        }
        self.inner.may_grant(&rules, by, &roles).await?;
        let account = self.inner.own_account(realm, id).await?;
        let now = self.now();
        let told = AuditRecord {
            details: audit::done_by(by, [("roles", roles.clone().into())]),
            ..about(EventKind::AccountChanged, &account, by, now)
        };
        let (inner, id) = (self.inner.clone(), id.clone());
        self.to_the_end(async move {
            let change = inner.store.set_roles(&id, &roles, now, &[told]).await?;
            Ok(inner.changed(change, now))
        })
        .await
    }
}

impl Inner {
    /// An account of this realm; somebody else's and a removed one are no account.
    pub(super) async fn own_account(
        &self,
        realm: &RealmName,
        id: &AccountId,
    ) -> Result<AccountRecord, IdentityError> {
        let found = self.store.account(id).await?;
        let own = |account: &AccountRecord| {
            account.realm == *realm && account.status != AccountStatus::Deleted
        };
        found.filter(own).ok_or(IdentityError::NotFound)
    }

    /// The account behind a credential; one that is gone or disabled proves nobody any more.
    pub(super) async fn caller_account(
        &self,
        caller: &Principal,
    ) -> Result<AccountRecord, IdentityError> {
        match self.own_account(&caller.realm, &caller.subject).await {
            Ok(account) if account.enabled() => Ok(account),
            Ok(_) | Err(IdentityError::NotFound) => Err(IdentityError::CredentialEnded),
            Err(error) => Err(error),
        }
    }

    /// Makes a committed change felt: ended sessions are refused, cached keys fetched again.
    pub(super) fn changed(&self, change: AccountChange, now: Timestamp) -> Account {
        self.forget_sessions(change.ended, now);
        for token in change.tokens {
            self.feed.end_token(token.id, token.expires_at);
        }
        self.feed.changed(News::Account(change.account.id.clone()));
        shown(change.account)
    }

    /// Nobody gives away a role that stands before the own ones in the realm's list; the operator may.
    pub(super) async fn may_grant(
        &self,
        rules: &RealmRules,
        by: &Actor,
        roles: &[String],
    ) -> Result<(), IdentityError> {
        // A role that does not exist is no matter of rank: whoever asks hears that it is unknown.
        match self.stands_over(rules, by, roles, true).await? {
            true => Ok(()),
            false => Err(IdentityError::Forbidden { action: "create" }),
        }
    }

    /// Nobody changes an account with a role that stands before the own ones in the realm's list; the operator may.
    pub(super) async fn may_change(
        &self,
        rules: &RealmRules,
        by: &Actor,
        account: &AccountRecord,
    ) -> Result<(), IdentityError> {
        // A role that the realm's list does not have any more may have been the mightiest of all.
        match self.stands_over(rules, by, &account.roles, false).await? {
            true => Ok(()),
            false => Err(IdentityError::Forbidden { action: "update" }),
        }
    }

    /// Whether none of `roles` stands before the actor's own. `unknown`: what a role that is not in the list counts as.
    async fn stands_over(
        &self,
        rules: &RealmRules,
        by: &Actor,
        roles: &[String],
        unknown: bool,
    ) -> Result<bool, IdentityError> {
        let Some(actor) = &by.account else { return Ok(true) };
        // In any case, as names of roles are read.
        let rank =
            |role: &String| rules.roles.iter().position(|known| known.eq_ignore_ascii_case(role));
        let actor = self.store.account(actor).await?.ok_or(IdentityError::CredentialEnded)?;
        let own = actor.roles.iter().filter_map(rank).min();
        let below = |role: &String| match (rank(role), own) {
            (None, _) => unknown,
            (Some(rank), own) => own.is_some_and(|own| rank >= own),
        };
        Ok(roles.iter().all(below))
    }
}

/// An account as others may see it.
pub(super) fn shown(account: AccountRecord) -> Account {
    Account {
        enabled: account.enabled(),
        second_factor: account.totp_enabled_at.is_some(),
        id: account.id,
        realm: account.realm,
        username: account.username,
        email: account.email,
        full_name: account.full_name,
        first_name: account.first_name,
        last_name: account.last_name,
        preferences: account.preferences,
        roles: account.roles,
        tenant: account.tenant,
        email_verified: account.email_verified,
        created_at: account.created_at,
        updated_at: account.updated_at,
        last_login_at: account.last_login_at,
    }
}

/// What is done to an account, for the log.
pub(super) fn about(
    kind: EventKind,
    account: &AccountRecord,
    by: &Actor,
    now: Timestamp,
) -> AuditRecord {
    AuditRecord {
        realm: Some(account.realm.clone()),
        account: Some(account.id.clone()),
        details: audit::done_by(by, []),
        ..audit::event(kind, by, now)
    }
}

/// The roles of a new account, or everything that is wrong with it.
pub(super) fn acceptable(
    rules: &RealmRules,
    new: &NewAccount,
) -> Result<Vec<String>, IdentityError> {
    let mut faults = Vec::new();
    if new.username.is_none() && new.email.is_none() {
        let message = "Username or e-mail address is needed".to_owned();
        faults.push(FieldError { field: "username", kind: "missing", message });
    }
    faults.extend(new.username.as_deref().and_then(rules::username_fault));
    faults.extend(new.email.as_deref().and_then(rules::email_fault));
    faults.extend(new.full_name.as_deref().and_then(|text| rules::text_fault("full_name", text)));
    faults
        .extend(new.tenant.as_deref().and_then(|text| rules::text_fault("agent_namespace", text)));
    let roles = known_roles(rules, new.roles.as_deref(), &mut faults);
    let weak = passwords::faults(rules, &new.password, new.policy);
    if !faults.is_empty() {
        faults.extend(weak);
        return Err(IdentityError::Invalid(faults));
    }
    if weak.is_empty() { Ok(roles) } else { Err(IdentityError::WeakPassword(weak)) }
}

/// Role names in the realm's spelling; `None` asks for the default role.
pub(super) fn known_roles(
    rules: &RealmRules,
    asked: Option<&[String]>,
    faults: &mut Vec<FieldError>,
) -> Vec<String> {
    let Some(asked) = asked else { return vec![rules.default_role.to_string()] };
    if asked.is_empty() {
        let message = "At least one role is needed".to_owned();
        faults.push(FieldError { field: "roles", kind: "missing", message });
    }
    let mut roles: Vec<String> = Vec::new();
    for name in asked {
        match rules.roles.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            Some(known) if roles.iter().any(|role| **role == **known) => {}
            Some(known) => roles.push(Arc::clone(known).to_string()),
            None => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(32).collect();
                let message = format!("Role \"{shown}\" does not exist");
                faults.push(FieldError { field: "roles", kind: "unknown", message });
            }
        }
    }
    roles
}
