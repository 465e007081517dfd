//! The second factor: prepared, switched on by a first code, asked for at login, switched off.
//!
//! The seed lies sealed in the store. A code is good once: its time step is noted in the transaction of what it was
//! presented for. Backup codes are kept as digests and taken once. Wrong codes are counted per account, wherever they come
//! from: six digits can be guessed by whoever has the password and time.

mod totp;

use std::time::Duration;

use serde_json::json;

use super::{
    Account, Actor, EventKind, FieldError, Identity, IdentityError, Inner, accounts, lockout,
};
use crate::{
    limit::LimitError,
    model::{AccountId, Principal, RealmName, SecretString, Timestamp, secret::ExposeSecret},
    pipeline::{
        Window,
        quota::{Across, Charge, KeyPart, KeyParts, LimitKey},
    },
    store::{
        AccountRecord, AuditRecord, Ciphertext, Factor, FactorRecord, SpentFactor, StoreError,
    },
};
use totp::{Presented, Seed};

/// Name under which wrong codes are counted.
const LIMIT: &str = "second-factor";
/// Wrong codes per account. Three codes of a million are good at any time: so many tries a day find one in a thousand.
const WRONG_CODES: [Window; 2] = [
    Window { limit: 5, per: Duration::from_secs(60) },
    Window { limit: 20, per: Duration::from_secs(3600) },
];

/// A second factor that waits for its first code. Shown once.
#[derive(Debug)]
pub struct PreparedFactor {
    /// The seed in base 32.
    pub secret: SecretString,
    /// The same as an `otpauth` address.
    pub uri: SecretString,
}

impl Identity {
    /// Makes a seed for the caller. It counts for nothing until a code of it was presented.
    pub async fn prepare_factor(
        &self,
        caller: &Principal,
        issuer: &str,
    ) -> Result<PreparedFactor, IdentityError> {
        let inner = &self.inner;
        let account = inner.login_account(caller).await?;
        let seed = Seed::fresh(&*inner.random)?;
        let purpose = purpose(&account.id);
        let sealed = Ciphertext(inner.keyring.seal(&purpose, seed.as_bytes(), &*inner.random)?);
        let name = account.email.as_deref().or(account.username.as_deref()).unwrap_or("account");
        let prepared = PreparedFactor { secret: seed.base32(), uri: seed.uri(issuer, name)? };
        match inner.store.prepare_factor(&account.id, &sealed, self.now()).await {
            Err(StoreError::Changed) => Err(already_on()),
            other => Ok(other.map(|()| prepared)?),
        }
    }

    /// Switches the prepared factor on with a first code, and gives backup codes. `secret`: the seed as the client holds
    /// it, which must be the prepared one.
    pub async fn enable_factor(
        &self,
        caller: &Principal,
        secret: Option<&SecretString>,
        code: &SecretString,
        by: &Actor,
    ) -> Result<Vec<SecretString>, IdentityError> {
        let inner = &self.inner;
        let account = inner.login_account(caller).await?;
        let state = inner.store.factor(&account.id).await?;
        if state.enabled_at.is_some() {
            return Err(already_on());
        }
        inner.refuse_guessed(&account).await?;
        let now = self.now();
        let Some(sealed) = &state.secret else { return Err(not_on()) };
        let seed = inner.seed(&account.id, sealed)?;
        let same = secret.is_none_or(|given| same_text(given, &seed.base32()));
        let step = match totp::read(&account.id, code) {
            Presented::Code(code) if same => seed.step_of(&code, now, state.last_step)?,
            _ => None,
        };
        let Some(step) = step else { return Err(inner.wrong_code(&account).await?) };
        let (shown, kept) = totp::backup_codes(&account.id, &*inner.random)?;
        let told = told(EventKind::SecondFactorEnabled, caller, &account, by, now);
        let enabling =
            inner.store.enable_factor(&account.id, sealed, step, &kept, now, &[told]).await;
        match enabling {
            Err(StoreError::Changed) => Err(already_on()),
            other => Ok(other.map(|()| shown)?),
        }
    }

    /// Takes a code of the caller's.
    pub async fn verify_factor(
        &self,
        caller: &Principal,
        code: &SecretString,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let inner = &self.inner;
        let account = inner.login_account(caller).await?;
        let now = self.now();
        let spent = inner.judged_factor(&account, code, now).await?;
        let told = told(EventKind::SecondFactorUsed, caller, &account, by, now);
        let taken = inner.store.spend_factor(&account.id, &spent, &[told]).await;
        inner.answer(&account, taken).await
    }

    /// Switches the caller's factor off; a code proves that it is not somebody with a stolen token.
    pub async fn disable_factor(
        &self,
        caller: &Principal,
        code: &SecretString,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let inner = &self.inner;
        let account = inner.login_account(caller).await?;
        let now = self.now();
        let spent = inner.judged_factor(&account, code, now).await?;
        let told = told(EventKind::SecondFactorDisabled, caller, &account, by, now);
        let done = inner.store.disable_factor(&account.id, Some(&spent), now, &[told]).await;
        inner.answer(&account, done).await
    }

    /// Replaces the caller's backup codes, against a code.
    pub async fn renew_backup_codes(
        &self,
        caller: &Principal,
        code: &SecretString,
        by: &Actor,
    ) -> Result<Vec<SecretString>, IdentityError> {
        let inner = &self.inner;
        let account = inner.login_account(caller).await?;
        let now = self.now();
        let spent = inner.judged_factor(&account, code, now).await?;
        let (shown, kept) = totp::backup_codes(&account.id, &*inner.random)?;
        let told = told(EventKind::BackupCodesRenewed, caller, &account, by, now);
        let done =
            inner.store.replace_backup_codes(&account.id, Some(&spent), &kept, now, &[told]).await;
        inner.answer(&account, done).await.map(|()| shown)
    }

    /// Switches an account's factor off without a code, for somebody who lost the app and all backup codes. The
    /// operator's alone.
    pub async fn reset_factor(
        &self,
        realm: &RealmName,
        id: &AccountId,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let account = self.inner.own_account(realm, id).await?;
        let now = self.now();
        let told = accounts::about(EventKind::SecondFactorDisabled, &account, by, now);
        self.inner.store.disable_factor(id, None, now, &[told]).await?;
        self.account(realm, id).await
    }
}

impl Inner {
    /// At login, after the password was right: the code to take with the session, `None` where no factor is on.
    pub(super) async fn factor_at_login(
        &self,
        account: &AccountRecord,
        code: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Option<SpentFactor>, IdentityError> {
        if account.totp_enabled_at.is_none() {
            return Ok(None);
        }
        let code = code.filter(|code| !code.expose_secret().trim().is_empty());
        let code = code.ok_or(IdentityError::SecondFactor { wrong: false })?;
        self.judged_factor(account, code, now).await.map(Some)
    }

    /// The code, if it is good; it is not taken yet.
    async fn judged_factor(
        &self,
        account: &AccountRecord,
        code: &SecretString,
        now: Timestamp,
    ) -> Result<SpentFactor, IdentityError> {
        let state = self.store.factor(&account.id).await?;
        let FactorRecord { secret: Some(sealed), enabled_at: Some(_), last_step, .. } = state
        else {
            return Err(not_on());
        };
        self.refuse_guessed(account).await?;
        let factor = match totp::read(&account.id, code) {
            // Whether there is such a backup code only the store can tell, when it is taken.
            Presented::Backup(factor) => Some(factor),
            Presented::Code(code) => {
                let step = self.seed(&account.id, &sealed)?.step_of(&code, now, last_step)?;
                step.map(Factor::Step)
            }
        };
        match factor {
            Some(factor) => Ok(SpentFactor { factor, now }),
            None => Err(self.wrong_code(account).await?),
        }
    }

    /// What taking a code came to: one that was taken before is wrong.
    async fn answer(
        &self,
        account: &AccountRecord,
        taken: Result<(), StoreError>,
    ) -> Result<(), IdentityError> {
        match taken {
            Err(StoreError::Spent) => Err(self.wrong_code(account).await?),
            other => Ok(other?),
        }
    }

    /// Counts a wrong code, and gives the answer to it.
    pub(super) async fn wrong_code(
        &self,
        account: &AccountRecord,
    ) -> Result<IdentityError, IdentityError> {
        match self.limiter.check(&[charge(account)]).await {
            Ok(_) | Err(LimitError::Limited(_)) => Ok(IdentityError::SecondFactor { wrong: true }),
            Err(error) => Err(lockout::refusal(error)),
        }
    }

    /// Refuses while too many codes were wrong, before one is looked at.
    async fn refuse_guessed(&self, account: &AccountRecord) -> Result<(), IdentityError> {
        match self.limiter.peek(&[charge(account)]).await {
            Ok(Some(toll)) if toll.retry_after.is_some() || toll.remaining == 0 => {
                Err(IdentityError::Throttled(toll))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(lockout::refusal(error)),
        }
    }

    fn seed(&self, account: &AccountId, sealed: &Ciphertext) -> Result<Seed, IdentityError> {
        Seed::from_slice(&self.keyring.open(&purpose(account), &sealed.0)?)
    }

    /// The account behind a login; a key has no second factor.
    async fn login_account(&self, caller: &Principal) -> Result<AccountRecord, IdentityError> {
        if caller.key.is_some() {
            return Err(IdentityError::CredentialEnded);
        }
        self.caller_account(caller).await
    }
}

fn charge(account: &AccountRecord) -> Charge<'_> {
    let parts = KeyParts::from_iter([KeyPart::User(account.realm.as_str(), account.id.as_str())]);
    Charge {
        key: LimitKey { limit: LIMIT, parts },
        windows: &WRONG_CODES,
        across: Across::default(),
    }
}

/// The words under which a seed is sealed: it opens for no other account.
fn purpose(account: &AccountId) -> String {
    format!("totp seed of {account}")
}

fn same_text(given: &SecretString, own: &SecretString) -> bool {
    let plain = |text: &SecretString| {
        let text = text.expose_secret();
        text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase()
    };
    use subtle::ConstantTimeEq;
    plain(given).as_bytes().ct_eq(plain(own).as_bytes()).into()
}

fn already_on() -> IdentityError {
    state_fault("2FA is already enabled")
}

fn not_on() -> IdentityError {
    state_fault("2FA is not enabled")
}

/// The factor is not in the state that was expected.
fn state_fault(message: &str) -> IdentityError {
    let message = message.to_owned();
    IdentityError::Invalid(vec![FieldError { field: "two_factor", kind: "invalid", message }])
}

fn told(
    kind: EventKind,
    caller: &Principal,
    account: &AccountRecord,
    by: &Actor,
    now: Timestamp,
) -> AuditRecord {
    AuditRecord {
        mount: Some(caller.mount.clone()),
        details: json!({}),
        ..accounts::about(kind, account, by, now)
    }
}
