//! Reset of a forgotten password and proof of an address, by codes that are sent to people.
//!
//! Whoever asks for a code hears the same, after the same work, whether there is such an account or not. A code is taken
//! in the transaction of the change it is good for: of many at once exactly one makes it.

use serde_json::{Value, json};

use super::{
    Account, Actor, EventKind, Identity, IdentityError, Inner, MountSettings, PasswordPolicy,
    Proof, accounts, audit,
    code_text::{Purpose, ReadCode},
    lockout, passwords,
};
use crate::{
    limit::LimitError,
    model::{MountName, SecretString, Timestamp},
    pipeline::quota::{Across, Charge, KeyPart, KeyParts, LimitKey},
    store::{
        AccountRecord, AccountUpdate, AuditRecord, CodeProof, CodeRecord, Judged, OutboxRecord,
        Spare, StoreError, fold_name,
    },
};

/// Longest address looked at.
const LONGEST_ADDRESS: usize = 320;

impl Identity {
    /// Sends a code to set a new password, if there is such an account. The answer does not tell.
    pub async fn request_reset(
        &self,
        mount: &MountName,
        email: &str,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        self.request_code(mount, Purpose::Reset, EventKind::PasswordResetRequested, email, by).await
    }

    /// Sends a code to prove an address, if there is such an account and its address is not proven yet.
    pub async fn request_verification(
        &self,
        mount: &MountName,
        email: &str,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        self.request_code(mount, Purpose::Verify, EventKind::VerificationRequested, email, by).await
    }

    /// Sets a new password against a code; every session of the account ends, a lock is lifted. A password that is not
    /// acceptable leaves the code good.
    pub async fn reset_password(
        &self,
        mount: &MountName,
        proof: &Proof,
        new: &SecretString,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let state = self.inner.state();
        let mount = state.mount(mount)?;
        let rules = state.rules(&mount.realm)?;
        let judged = self.inner.judged(&mount, Purpose::Reset, proof, by, self.now()).await?;
        let (proof, account) = judged;
        let weak = passwords::faults(&rules, new, PasswordPolicy::Enforce);
        if !weak.is_empty() {
            return Err(IdentityError::WeakPassword(weak));
        }
        let hash = state.pool.hash(new).await?;
        let now = self.now();
        let update = AccountUpdate {
            expected_version: Some(account.version),
            password_hash: Some(hash.into()),
            end: Some(Spare::Nothing),
            void_codes: vec![Purpose::Reset.name()],
            clear_failures: lockout::names_of(&account),
            ..AccountUpdate::new(account.id.clone(), now)
        };
        let told = about(EventKind::PasswordReset, &mount, Some(&account), by, now);
        self.redeem(CodeProof { now, ..proof }, update, told).await
    }

    /// Takes an address as proven against a code.
    pub async fn verify_email(
        &self,
        mount: &MountName,
        proof: &Proof,
        by: &Actor,
    ) -> Result<Account, IdentityError> {
        let mount = self.inner.state().mount(mount)?;
        let now = self.now();
        let (proof, account) = self.inner.judged(&mount, Purpose::Verify, proof, by, now).await?;
        if account.email_verified {
            return Err(IdentityError::AlreadyVerified);
        }
        let update = AccountUpdate {
            expected_version: Some(account.version),
            email_verified: Some(true),
            void_codes: vec![Purpose::Verify.name()],
            ..AccountUpdate::new(account.id.clone(), now)
        };
        let told = about(EventKind::EmailVerified, &mount, Some(&account), by, now);
        self.redeem(proof, update, told).await
    }

    async fn request_code(
        &self,
        mount: &MountName,
        purpose: Purpose,
        kind: EventKind,
        email: &str,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let mount = self.inner.state().mount(mount)?;
        let inner = &self.inner;
        inner.charge_asking(&mount, purpose, email).await?;
        let account = inner.account_of_address(&mount, email).await?;
        let wanted = |account: &AccountRecord| {
            account.enabled() && (purpose == Purpose::Reset || !account.email_verified)
        };
        let account = account.filter(wanted);
        let now = self.now();
        let told = about(kind, &mount, account.as_ref(), by, now);
        let Some(account) = account else {
            // As much work as below: one transaction that is synced.
            return Ok(inner.store.audit_append(&[told]).await?);
        };
        let (code, mail) = inner.code_for(&mount, purpose, &account, now)?;
        inner.store.issue_code(&code, &[mail], &[told]).await?;
        inner.ring();
        Ok(())
    }

    async fn redeem(
        &self,
        proof: CodeProof,
        update: AccountUpdate,
        told: AuditRecord,
    ) -> Result<Account, IdentityError> {
        let inner = self.inner.clone();
        self.to_the_end(async move {
            match inner.store.redeem_code(&proof, &update, &[told]).await {
                Ok(Some(change)) => Ok(inner.changed(change, update.now)),
                // Somebody else was faster, with the code or with another change.
                Ok(None) | Err(StoreError::Changed) => Err(IdentityError::InvalidCode),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

impl Inner {
    /// A code for an account, and the mail that carries it.
    pub(super) fn code_for(
        &self,
        mount: &MountSettings,
        purpose: Purpose,
        account: &AccountRecord,
        now: Timestamp,
    ) -> Result<(CodeRecord, OutboxRecord), IdentityError> {
        let rule = purpose.rule(&mount.codes);
        let fresh = self.code_key.make(mount, purpose, account, now, &*self.random)?;
        let expires_at = now + rule.lifetime;
        let code = CodeRecord {
            realm: mount.realm.clone(),
            purpose: purpose.name().to_owned(),
            digest: fresh.digest,
            account: Some(account.id.clone()),
            payload: bound(account),
            created_at: now,
            expires_at,
        };
        let mail = self.mail_for(mount, purpose.name(), account, &fresh.text, now, expires_at)?;
        Ok((code, mail))
    }

    /// Judges a presented code; gives it back with the account it is about. Refusals are recorded.
    async fn judged(
        &self,
        mount: &MountSettings,
        purpose: Purpose,
        proof: &Proof,
        by: &Actor,
        now: Timestamp,
    ) -> Result<(CodeProof, AccountRecord), IdentityError> {
        let named = match &proof.email {
            Some(email) => self.account_of_address(mount, email).await?.map(|found| found.id),
            None => None,
        };
        let refused = AuditRecord {
            details: json!({ "purpose": purpose.name() }),
            account: named.clone(),
            ..about(EventKind::CodeRefused, mount, None, by, now)
        };
        let read = self.code_key.read(mount, purpose, named.as_ref(), &proof.code, now);
        let Some(ReadCode { digest, names }) = read else {
            self.store.audit_append(&[refused]).await?;
            return Err(IdentityError::InvalidCode);
        };
        let rule = purpose.rule(&mount.codes);
        let proof = CodeProof {
            realm: mount.realm.clone(),
            purpose: purpose.name().to_owned(),
            digest,
            account: named,
            attempts: rule.attempts,
            now,
        };
        let Judged::Right(code) = self.store.judge_code(&proof, &[refused]).await? else {
            // Used already, by whoever holds a genuine one: the contract has a word for it.
            if let (Purpose::Verify, Some(id)) = (purpose, names)
                && self.own_account(&mount.realm, &id).await.is_ok_and(|it| it.email_verified)
            {
                return Err(IdentityError::AlreadyVerified);
            }
            return Err(IdentityError::InvalidCode);
        };
        let account = code.account.ok_or(IdentityError::InvalidCode)?;
        let account = match self.own_account(&mount.realm, &account).await {
            Err(IdentityError::NotFound) => return Err(IdentityError::InvalidCode),
            other => other?,
        };
        // It was made for this password and this address; another one is none of its business.
        if !account.enabled() || code.payload != bound(&account) {
            return Err(IdentityError::InvalidCode);
        }
        Ok((proof, account))
    }

    async fn account_of_address(
        &self,
        mount: &MountSettings,
        email: &str,
    ) -> Result<Option<AccountRecord>, IdentityError> {
        if email.len() > LONGEST_ADDRESS {
            return Ok(None);
        }
        let found = self.store.account_by_login(&mount.realm, email).await?;
        let same = |account: &AccountRecord| {
            account.email.as_deref().is_some_and(|own| fold_name(own) == fold_name(email))
        };
        Ok(found.filter(same))
    }

    /// Counts each asking, known address or not: nobody's mailbox is to be flooded.
    async fn charge_asking(
        &self,
        mount: &MountSettings,
        purpose: Purpose,
        email: &str,
    ) -> Result<(), IdentityError> {
        let windows = &purpose.rule(&mount.codes).per_address;
        if windows.is_empty() {
            return Ok(());
        }
        let folded = fold_name(email);
        let parts =
            KeyParts::from_iter([KeyPart::Text(mount.realm.as_str()), KeyPart::Text(&folded)]);
        let key = LimitKey { limit: purpose.limit(), parts };
        match self.limiter.check(&[Charge { key, windows, across: Across::default() }]).await {
            Ok(_) => Ok(()),
            Err(LimitError::Limited(toll)) => Err(IdentityError::Throttled(toll)),
            Err(error) => Err(lockout::refusal(error)),
        }
    }
}

/// The state of an account that a code was made for.
fn bound(account: &AccountRecord) -> Value {
    json!({
        "password": account.password_changed_at.map(Timestamp::millis),
        "email": account.email.as_deref().map(fold_name),
    })
}

fn about(
    kind: EventKind,
    mount: &MountSettings,
    account: Option<&AccountRecord>,
    by: &Actor,
    now: Timestamp,
) -> AuditRecord {
    let record = match account {
        Some(account) => accounts::about(kind, account, by, now),
        None => audit::event(kind, by, now),
    };
    AuditRecord {
        realm: Some(mount.realm.clone()),
        mount: Some(mount.name.clone()),
        details: json!({}),
        ..record
    }
}
