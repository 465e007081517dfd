//! Login with a password: locked before throttled before hashed, then a session.

use std::sync::Arc;

use serde_json::json;

use super::{
    Account, Actor, ClientLogin, EventKind, Granted, Identity, IdentityError, Login, MountSettings,
    RealmRules, accounts, audit,
    lockout::{self, Counted},
    opening::Opening,
};
use crate::{
    model::{MountName, SecretString, SessionId, Timestamp, secret::ExposeSecret},
    store::{AccountRecord, AccountStatus, AuditRecord, NewSession, StoreError},
};

/// Longest name that is looked up; an address has at most 254 bytes.
const LONGEST_NAME: usize = 320;
/// How often a login starts again because the account changed while it ran.
const TRIES: usize = 3;

/// After so many failures in a row a right password may have been guessed.
const SUSPICIOUS: u32 = 3;

/// What one login is judged by.
struct Attempt<'a> {
    mount: &'a MountSettings,
    rules: &'a RealmRules,
    request: &'a Login,
    client: Option<&'a ClientLogin>,
    by: &'a Actor,
    now: Timestamp,
}

/// A login that was right, with its session.
struct OpenedLogin {
    mount: Arc<MountSettings>,
    account: Account,
    session: SessionId,
    ends: Timestamp,
    /// The contract's refresh token.
    text: Option<SecretString>,
    now: Timestamp,
}

impl Identity {
    /// Logs in with a password. Locked before throttled before hashed; a dummy hash for unknown names.
    pub async fn login(
        &self,
        mount: &MountName,
        request: Login,
        by: &Actor,
    ) -> Result<Granted, IdentityError> {
        let OpenedLogin { mount, account, session, ends, text, now } =
            self.opened_login(mount, &request, None, by).await?;
        self.granted(&mount, account, (&session, ends), text, now)
    }

    /// The same for a client of the standard issuer, which gets a code instead of the contract's tokens.
    pub(super) async fn login_for_client(
        &self,
        mount: &MountName,
        request: Login,
        client: &ClientLogin,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        self.opened_login(mount, &request, Some(client), by).await.map(drop)
    }

    async fn opened_login(
        &self,
        mount: &MountName,
        request: &Login,
        client: Option<&ClientLogin>,
        by: &Actor,
    ) -> Result<OpenedLogin, IdentityError> {
        let state = self.inner.state();
        state.pool.refuse_if_full()?;
        let mount = state.mount(mount)?;
        let rules = state.rules(&mount.realm)?;
        let counted = Counted::new(&mount.realm, &request.name, by);
        self.inner.charge_attempt(&rules, &counted).await?;
        for _ in 0..TRIES {
            let now = self.now();
            let attempt = Attempt { mount: &mount, rules: &rules, request, client, by, now };
            if let Some((account, new, text)) = self.try_login(&attempt).await? {
                let (session, ends) = (new.session.id, new.session.expires_at);
                return Ok(OpenedLogin { mount, account, session, ends, text, now });
            }
        }
        Err(IdentityError::Unavailable)
    }

    /// One try; `None`: the account changed meanwhile and must be judged anew.
    async fn try_login(
        &self,
        attempt: &Attempt<'_>,
    ) -> Result<Option<(Account, NewSession, Option<SecretString>)>, IdentityError> {
        let Attempt { mount, rules, request, client, by, now } = *attempt;
        let inner = &self.inner;
        let pool = inner.state().pool.clone();
        let account = self.account_of_name(attempt).await?;
        let counted = Counted::new(&mount.realm, &request.name, by);
        inner.refuse_locked(rules, &counted, now).await?;
        inner.refuse_throttled(rules, &counted).await?;

        let hash = account.as_ref().and_then(|found| found.password_hash.as_ref());
        let right = pool.verify(&request.password, hash.map(ExposeSecret::expose_secret)).await?;
        let (Some(account), true) = (&account, right) else {
            let failed = failure(attempt, account.as_ref());
            return Err(inner.login_failed(rules, &counted, failed, by, now).await?);
        };
        // Guesses that ran beside this one may have locked the name meanwhile: then even this one was too many.
        let failures = inner.refuse_locked(rules, &counted, now).await?;
        if let Some((reason, answer)) = barred(rules, account) {
            let mut refused = failure(attempt, Some(account));
            refused.details = json!({ "reason": reason });
            inner.store.audit_append(&[refused]).await?;
            return Err(answer);
        }

        let factor = match inner.factor_at_login(account, request.second_factor.as_ref(), now).await
        {
            Ok(factor) => factor,
            Err(error) => {
                return Err(self.factor_refused(attempt, account, &counted, error).await?);
            }
        };

        let account = &self.settled(attempt, account).await?;
        let Login { device, remember, .. } = request;
        let opening = Opening { mount, account, device: device.clone(), remember: *remember, by };
        let (mut new, text) = inner.opened(&opening, now)?;
        // The typed name is one of them.
        new.clear_failures = lockout::names_of(account);
        new.factor = factor;
        let session = new.session.id.as_str();
        let mut told = vec![AuditRecord {
            details: json!({ "session": session }),
            ..about(EventKind::LoginSuccess, attempt, Some(account))
        }];
        if failures >= SUSPICIOUS {
            told.push(AuditRecord {
                details: json!({ "session": session, "failed_attempts": failures }),
                ..about(EventKind::LoginSuspicious, attempt, Some(account))
            });
        }
        let opened = match client {
            None => inner.store.open_session(&new, &told).await,
            Some(client) => {
                (new.family, new.session.expires_at) = (None, ClientLogin::ends(now));
                let told: Vec<_> = told.into_iter().map(|event| client.told(event)).collect();
                let login = client.records(&mount.realm, &account.id, &new.session.id, now);
                inner.store.open_client_session(&new, &login, &told).await
            }
        };
        match opened {
            Err(StoreError::Changed) => return Ok(None),
            Err(StoreError::Spent) => {
                let wrong = inner.wrong_code(account).await?;
                return Err(self.factor_refused(attempt, account, &counted, wrong).await?);
            }
            other => other?,
        }
        self.improve_hash(&request.password, account).await;
        let account =
            accounts::shown(AccountRecord { last_login_at: Some(now), ..account.clone() });
        Ok(Some((account, new, text.map(|text| text.text))))
    }

    /// The account in its organisation, where the realm gives every account one: an imported account has none until its
    /// first login.
    async fn settled(
        &self,
        attempt: &Attempt<'_>,
        account: &AccountRecord,
    ) -> Result<AccountRecord, IdentityError> {
        let mut account = account.clone();
        if attempt.rules.organisations {
            let organisation = match self.rights(&account.id).await? {
                Some(rights) => rights.organisation.to_string(),
                None => self.give_organisation(&account, attempt.by).await?.id.to_string(),
            };
            account.tenant = Some(organisation);
        }
        Ok(account)
    }

    /// Notes that the second factor refused, and gives the answer. A missing code is no failure: it is how a client
    /// learns that one is needed.
    async fn factor_refused(
        &self,
        attempt: &Attempt<'_>,
        account: &AccountRecord,
        counted: &Counted,
        error: IdentityError,
    ) -> Result<IdentityError, IdentityError> {
        let IdentityError::SecondFactor { wrong: true } = error else { return Ok(error) };
        self.inner.charge_failure(attempt.rules, counted).await?;
        let mut refused = failure(attempt, Some(account));
        refused.details = json!({ "reason": error.reason() });
        self.inner.store.audit_append(&[refused]).await?;
        Ok(error)
    }

    async fn account_of_name(
        &self,
        attempt: &Attempt<'_>,
    ) -> Result<Option<AccountRecord>, IdentityError> {
        let name = &attempt.request.name;
        if name.len() > LONGEST_NAME {
            return Ok(None);
        }
        let found = self.inner.store.account_by_login(&attempt.mount.realm, name).await?;
        Ok(found.filter(|account| account.status != AccountStatus::Deleted))
    }

    /// Replaces an imported or old hash now that the password is known. A failure costs nothing: the next login tries.
    async fn improve_hash(&self, password: &SecretString, account: &AccountRecord) {
        let pool = self.inner.state().pool.clone();
        let Some(old) = &account.password_hash else { return };
        if !pool.is_outdated(password, old.expose_secret()) {
            return;
        }
        let done = match pool.hash(password).await {
            Ok(new) => self.inner.store.rehash(&account.id, old, &new.into()).await,
            Err(error) => {
                tracing::info!(event = "rehash_postponed", reason = error.reason());
                return;
            }
        };
        if let Err(error) = done {
            tracing::info!(event = "rehash_postponed", reason = %error);
        }
    }
}

/// What keeps an account from logging in although its password was right: the reason for the log, and the answer.
fn barred(rules: &RealmRules, account: &AccountRecord) -> Option<(&'static str, IdentityError)> {
    if !account.enabled() {
        return Some(("account_disabled", IdentityError::Disabled));
    }
    let unproven = rules.verified_email && !account.email_verified;
    unproven.then_some(("email_not_verified", IdentityError::NotVerified))
}

fn failure(attempt: &Attempt<'_>, account: Option<&AccountRecord>) -> AuditRecord {
    let reason = match account {
        // The typed name stays out: it may be a password in the wrong field.
        None => "unknown_account",
        Some(found) if found.password_hash.is_none() => "no_password",
        Some(_) => "wrong_password",
    };
    AuditRecord {
        details: json!({ "reason": reason }),
        ..about(EventKind::LoginFailed, attempt, account)
    }
}

fn about(kind: EventKind, attempt: &Attempt<'_>, account: Option<&AccountRecord>) -> AuditRecord {
    AuditRecord {
        realm: Some(attempt.mount.realm.clone()),
        mount: Some(attempt.mount.name.clone()),
        account: account.map(|found| found.id.clone()),
        ..audit::event(kind, attempt.by, attempt.now)
    }
}
