//! Failed logins: the lock of a name after some in a row, and the throttle by address.
//!
//! What was typed is what counts, whether it belongs to an account or not: if the name and the address of an account
//! counted together, their common lock would tell an outsider that they belong together.

use std::{net::IpAddr, time::Duration};

use super::{Actor, EventKind, Identity, IdentityError, Inner, LoginThrottle, RealmRules, audit};
use crate::{
    limit::LimitError,
    model::{Digest, MountName, RealmName, Timestamp},
    pipeline::quota::{Across, Charge, KeyPart, KeyParts, LimitKey, counted_address},
    store::{AccountRecord, AuditRecord, LoginFailure, fold_name},
};

/// What is left before a name is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptsLeft {
    /// Failures that do not lock yet.
    pub count: u32,
    /// How long the lock would hold.
    pub lock: Duration,
}

impl Identity {
    /// How many failures in a row a login name has left; the same for names that do not exist. `None`: nothing locks here.
    pub async fn attempts_left(
        &self,
        mount: &MountName,
        typed: &str,
    ) -> Result<Option<AttemptsLeft>, IdentityError> {
        let state = self.inner.state();
        let realm = &state.mount(mount)?.realm;
        let Some(lockout) = state.rules(realm)?.lockout else { return Ok(None) };
        let digest = Counted::new(realm, typed, &Actor::operator()).digest();
        let failures = self.inner.store.login_state(realm, &digest).await?;
        // A lock that has run out begins the count anew.
        let over = failures.locked_until.is_some_and(|until| until <= self.now());
        let count = if over { 0 } else { failures.count };
        Ok(Some(AttemptsLeft {
            count: lockout.failures.saturating_sub(count),
            lock: lockout.duration,
        }))
    }
}

/// Whose failures are counted.
pub(super) struct Counted {
    realm: RealmName,
    name: String,
    address: Option<IpAddr>,
}

impl Counted {
    /// For a login name as typed; case and outer blanks do not matter.
    pub(super) fn new(realm: &RealmName, typed: &str, by: &Actor) -> Self {
        let address = by.address().map(counted_address);
        Self { realm: realm.clone(), name: fold_name(typed), address }
    }

    /// Under which the store counts.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.name.as_bytes())
    }

    /// The charge of a try, right or wrong; none for the operator, or where tries are not counted.
    fn attempt<'a>(&'a self, throttle: &'a LoginThrottle) -> Option<Charge<'a>> {
        let parts = KeyParts::from_iter([
            KeyPart::Client(self.address?),
            KeyPart::Text(self.realm.as_str()),
            KeyPart::Text(&self.name),
        ]);
        let key = LimitKey { limit: "login-attempts", parts };
        let windows = &throttle.attempts;
        (!windows.is_empty()).then_some(Charge { key, windows, across: Across::default() })
    }

    /// Charges of the throttle; none for the operator, who has no address.
    fn charges<'a>(&'a self, throttle: &'a LoginThrottle) -> Vec<Charge<'a>> {
        let Some(address) = self.address else { return Vec::new() };
        let realm = KeyPart::Text(self.realm.as_str());
        let client = KeyPart::Client(address);
        let name = KeyPart::Text(&self.name);
        let both = LimitKey {
            limit: "login-address-name",
            parts: KeyParts::from_iter([client, realm, name]),
        };
        let one = LimitKey { limit: "login-address", parts: KeyParts::from_iter([client, realm]) };
        let all = [
            Charge {
                key: both,
                windows: &throttle.per_address_and_name,
                across: Across::default(),
            },
            Charge { key: one, windows: &throttle.per_address, across: Across::default() },
        ];
        all.into_iter().filter(|charge| !charge.windows.is_empty()).collect()
    }
}

/// Under which names an account may have been counted; a success under one of them clears all.
pub(super) fn names_of(account: &AccountRecord) -> Vec<Digest> {
    let names = [&account.username, &account.email].into_iter().flatten();
    names.map(|name| Digest::of(fold_name(name).as_bytes())).collect()
}

impl Inner {
    /// Refuses while the name is locked; else gives how many failures in a row it has.
    pub(super) async fn refuse_locked(
        &self,
        rules: &RealmRules,
        counted: &Counted,
        now: Timestamp,
    ) -> Result<u32, IdentityError> {
        if rules.lockout.is_none() {
            return Ok(0);
        }
        let state = self.store.login_state(&counted.realm, &counted.digest()).await?;
        match state.locked_for(now) {
            Some(retry_after) => Err(IdentityError::Locked { retry_after, by_this: false }),
            // The count of a lock that has run out is history.
            None if state.locked_until.is_some() => Ok(0),
            None => Ok(state.count),
        }
    }

    /// Refuses while failures of this address have used up a window. Charges nothing.
    pub(super) async fn refuse_throttled(
        &self,
        rules: &RealmRules,
        counted: &Counted,
    ) -> Result<(), IdentityError> {
        let charges = counted.charges(&rules.throttle);
        if charges.is_empty() {
            return Ok(());
        }
        match self.limiter.peek(&charges).await {
            Ok(Some(toll)) if toll.retry_after.is_some() || toll.remaining == 0 => {
                Err(IdentityError::Throttled(toll))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(refusal(error)),
        }
    }

    /// Charges a try, right or wrong, and refuses it when there were too many.
    pub(super) async fn charge_attempt(
        &self,
        rules: &RealmRules,
        counted: &Counted,
    ) -> Result<(), IdentityError> {
        match counted.attempt(&rules.throttle) {
            Some(charge) => self.limiter.check(&[charge]).await.map(drop).map_err(refusal),
            None => Ok(()),
        }
    }

    /// Charges one failure to the throttle.
    pub(super) async fn charge_failure(
        &self,
        rules: &RealmRules,
        counted: &Counted,
    ) -> Result<(), IdentityError> {
        let charges = counted.charges(&rules.throttle);
        // One by one: a window already full must not keep the other from counting.
        for charge in charges {
            match self.limiter.check(&[charge]).await {
                Ok(_) | Err(LimitError::Limited(_)) => {}
                Err(error) => return Err(refusal(error)),
            }
        }
        Ok(())
    }

    /// Counts a failed login, and gives the answer to it: the failure that locks is already answered as locked.
    pub(super) async fn login_failed(
        &self,
        rules: &RealmRules,
        counted: &Counted,
        record: AuditRecord,
        by: &Actor,
        now: Timestamp,
    ) -> Result<IdentityError, IdentityError> {
        self.charge_failure(rules, counted).await?;
        let Some(lockout) = rules.lockout else {
            self.store.audit_append(&[record]).await?;
            return Ok(IdentityError::InvalidCredentials);
        };
        let on_lock = AuditRecord {
            realm: record.realm.clone(),
            mount: record.mount.clone(),
            account: record.account.clone(),
            ..audit::event(EventKind::AccountLocked, by, now)
        };
        let failure = LoginFailure {
            realm: counted.realm.clone(),
            name: counted.digest(),
            now,
            threshold: lockout.failures,
            lock_for: lockout.duration,
        };
        let state = self.store.login_failed(&failure, &[record], &[on_lock]).await?;
        Ok(match state.locked_for(now) {
            Some(retry_after) => IdentityError::Locked { retry_after, by_this: state.locked_now },
            None => IdentityError::InvalidCredentials,
        })
    }
}

/// What a limiter's refusal means to the caller.
pub(super) fn refusal(error: LimitError) -> IdentityError {
    match error {
        LimitError::Limited(toll) => IdentityError::Throttled(toll),
        LimitError::Unavailable(cause) => {
            tracing::warn!(event = "limiter_unavailable", cause);
            IdentityError::Unavailable
        }
    }
}
