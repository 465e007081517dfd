//! The administrator of a mount that has one: name and hash stand in the configuration, nothing in the store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;

use super::{
    Actor, EventKind, ForeignFault, Identity, IdentityError, audit, lockout::Counted, password,
};
use crate::{
    model::{Digest, MountName, SecretString, Timestamp, secret::ExposeSecret},
    store::AuditRecord,
};

/// How long a proof is remembered: a script's next calls need no hash of their own.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Who may administrate a mount by name and password.
#[derive(Clone, Debug)]
pub struct Administrator {
    /// Name.
    pub username: Arc<str>,
    /// bcrypt or Argon2id text.
    pub password_hash: SecretString,
}

/// Why a text cannot be the hash of a password here; `None`: it can.
pub fn refused_hash(hash: &str) -> Option<&'static str> {
    password::refused_import(hash)
}

/// The last proof of each mount's administrator: a keyed digest, never the password.
#[derive(Default)]
pub(super) struct Proofs {
    last: Mutex<HashMap<MountName, (Digest, Timestamp)>>,
}

// A poisoned lock is entered all the same: every change is one map operation, so the map is whole.
impl Proofs {
    fn holds(&self, mount: &MountName, proof: &Digest, now: Timestamp) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(mount)
            .is_some_and(|(known, at)| known == proof && now >= *at && now.since(*at) < REMEMBERED)
    }

    fn keep(&self, mount: &MountName, proof: Digest, now: Timestamp) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(mount.clone(), (proof, now));
    }
}

impl Identity {
    /// Proves the administrator of a mount. A wrong name costs as much as a wrong password; failures of an address are
    /// throttled like failed logins of the realm, and nothing locks the administrator out from elsewhere.
    pub async fn prove_administrator(
        &self,
        mount: &MountName,
        username: &str,
        password: &SecretString,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        const WRONG: IdentityError = IdentityError::Foreign(ForeignFault::Administrator);
        let state = self.inner.state();
        let mount = state.mount(mount)?;
        let rules = state.rules(&mount.realm)?;
        let counted = Counted::new(&mount.realm, &format!("administrator of {}", mount.name), by);
        self.inner.refuse_throttled(&rules, &counted).await?;

        let own = mount.administrator.as_ref();
        // By digest: neither length nor beginning of the name shows in the time.
        let named = own
            .filter(|own| Digest::of(own.username.as_bytes()) == Digest::of(username.as_bytes()));
        let hash = named.map(|own| own.password_hash.expose_secret());
        let proof = self.proof(hash.unwrap_or_default(), username, password);
        let now = self.now();
        if hash.is_some() && self.inner.proofs.holds(&mount.name, &proof, now) {
            return Ok(());
        }
        if state.pool.verify(password, hash).await? {
            self.inner.proofs.keep(&mount.name, proof, now);
            return Ok(());
        }
        self.inner.charge_failure(&rules, &counted).await?;
        let told = AuditRecord {
            realm: Some(mount.realm.clone()),
            mount: Some(mount.name.clone()),
            details: json!({ "reason": WRONG.reason() }),
            ..audit::event(EventKind::LoginFailed, by, now)
        };
        self.inner.store.audit_append(&[told]).await?;
        Err(WRONG)
    }

    /// Of name, password and the hash they were held against, under a key of this process.
    fn proof(&self, hash: &str, username: &str, password: &SecretString) -> Digest {
        let parts = [hash, username, password.expose_secret()];
        let parts = parts.map(|part| Digest::of(part.as_bytes()));
        let mut all = self.inner.proof_key.to_vec();
        parts.iter().for_each(|part| all.extend_from_slice(part.as_bytes()));
        Digest::of(&all)
    }
}
