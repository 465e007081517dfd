//! Which key signs for a mount and which ones verify: made on first start, rotated with overlap, sealed at rest.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use super::{
    Actor, EventKind, FieldError, Identity, IdentityError, Inner, MountSettings, audit,
    signing::{FreshKey, SigningKey},
    state::State,
};
use crate::{
    model::{MountName, Timestamp},
    pipeline::jwt::VerificationKey,
    store::{AuditRecord, Ciphertext, SigningKeyRecord},
};

/// Longest leeway that any mount may grant on `exp` (requirement 6).
const LEEWAY: Duration = Duration::from_secs(60);

/// The keys of one mount.
pub(super) struct MountKeys {
    /// Signs.
    pub(super) current: Arc<SigningKey>,
    /// Signs as soon as the edge verifies it.
    waiting: Option<Arc<SigningKey>>,
    /// Verifies, newest first, each until the moment given.
    verifying: Vec<(VerificationKey, Option<Timestamp>)>,
}

impl MountKeys {
    /// What verifies now, newest first.
    pub(super) fn verifying_at(&self, now: Timestamp) -> Vec<VerificationKey> {
        let live = self.verifying.iter().filter(|(_, until)| until.is_none_or(|end| end > now));
        live.map(|(key, _)| key.clone()).collect()
    }
}

impl Identity {
    /// Verification keys of a mount, newest first, for the edge's snapshot.
    pub fn verification_keys(&self, mount: &MountName) -> Vec<VerificationKey> {
        let Some(keys) = self.inner.mount_keys(mount) else { return Vec::new() };
        keys.verifying_at(self.now())
    }

    /// Makes a new signing key for a mount; the old ones go on verifying until their tokens have expired. Answers with
    /// the new `kid`. The caller must rebuild the edge's snapshot next, and then call [`Identity::sign_with_newest`]:
    /// until then the old key signs, so that no token is out that the edge cannot verify.
    pub async fn rotate_signing_key(
        &self,
        mount: &MountName,
        by: &Actor,
    ) -> Result<String, IdentityError> {
        let inner = &self.inner;
        let _one_at_a_time = inner.changing.lock().await;
        let settings = inner.state().mount(mount)?;
        if settings.tokens.secret.is_some() {
            return Err(IdentityError::Invalid(vec![FieldError {
                field: "mount",
                kind: "invalid",
                message: "The signing secret of this mount is given by the configuration".into(),
            }]));
        }
        let now = self.now();
        let (record, fresh) = inner.fresh_key(&settings, now).await?;
        let told = AuditRecord {
            realm: Some(settings.realm.clone()),
            mount: Some(mount.clone()),
            details: serde_json::json!({ "kid": record.kid }),
            ..audit::event(EventKind::SigningKeyRotated, by, now)
        };
        let until = now + settings.tokens.longest_signed() + LEEWAY;
        inner.store.rotate_signing_key(&record, until, &[told]).await?;
        let mut keys = inner.read_keys(&settings, now).await?;
        if let Some(old) = inner.mount_keys(mount) {
            keys.waiting = Some(std::mem::replace(&mut keys.current, old.current.clone()));
        }
        inner.set_mount_keys(mount.clone(), keys);
        Ok(fresh.key.kid().to_string())
    }

    /// Lets the key that [`Identity::rotate_signing_key`] made sign. Nothing happens where none waits.
    pub async fn sign_with_newest(&self, mount: &MountName) {
        let inner = &self.inner;
        let _one_at_a_time = inner.changing.lock().await;
        let Some(keys) = inner.mount_keys(mount) else { return };
        if let Some(newest) = &keys.waiting {
            let (current, verifying) = (newest.clone(), keys.verifying.clone());
            inner.set_mount_keys(mount.clone(), MountKeys { current, waiting: None, verifying });
        }
    }
}

impl Inner {
    /// Loads or makes the keys of every mount in `state`; all of them or an error.
    pub(super) async fn keys_for(
        &self,
        state: &State,
        now: Timestamp,
    ) -> Result<HashMap<MountName, Arc<MountKeys>>, IdentityError> {
        let mut all = HashMap::new();
        for settings in state.mounts() {
            let keys = self.load_keys(settings, now).await.inspect_err(|_| {
                tracing::error!(event = "signing_keys_not_loaded", mount = %settings.name);
            })?;
            all.insert(settings.name.clone(), Arc::new(keys));
        }
        Ok(all)
    }

    async fn load_keys(
        &self,
        settings: &MountSettings,
        now: Timestamp,
    ) -> Result<MountKeys, IdentityError> {
        if let Some(secret) = &settings.tokens.secret {
            // The file says which key it is; keys that the store made before are out of use.
            let current = Arc::new(SigningKey::of_secret(secret)?);
            let verifying = vec![(current.verification(), None)];
            return Ok(MountKeys { current, waiting: None, verifying });
        }
        let stored = self.store.signing_keys(Some(&settings.name), now).await?;
        let wanted = name(settings.tokens.algorithm)?;
        if !stored.iter().any(|key| key.algorithm == wanted && key.retired_at.is_none()) {
            let (record, _) = self.fresh_key(settings, now).await?;
            if stored.is_empty() {
                self.store.ensure_signing_key(&record, &[]).await?;
            } else {
                let until = now + settings.tokens.longest_signed() + LEEWAY;
                self.store.rotate_signing_key(&record, until, &[]).await?;
            }
        }
        self.read_keys(settings, now).await
    }

    async fn read_keys(
        &self,
        settings: &MountSettings,
        now: Timestamp,
    ) -> Result<MountKeys, IdentityError> {
        let wanted = settings.tokens.algorithm;
        let mut current = None;
        let mut verifying = Vec::new();
        for record in self.store.signing_keys(Some(&settings.name), now).await? {
            let algorithm = parse(&record.algorithm)?;
            // HMAC and public-key algorithms never stand in one set (requirement 1).
            if (algorithm == Algorithm::HS256) != (wanted == Algorithm::HS256) {
                continue;
            }
            let purpose = purpose(&record.mount, &record.kid);
            let private = self.keyring.open(&purpose, &record.private.0)?;
            let key = SigningKey::load(record.kid.as_str().into(), algorithm, &private)?;
            verifying.push((key.verification(), record.expires_at));
            if current.is_none() && algorithm == wanted && record.retired_at.is_none() {
                current = Some(Arc::new(key));
            }
        }
        let current = current.ok_or(IdentityError::Internal)?;
        Ok(MountKeys { current, waiting: None, verifying })
    }

    async fn fresh_key(
        &self,
        settings: &MountSettings,
        now: Timestamp,
    ) -> Result<(SigningKeyRecord, FreshKey), IdentityError> {
        let algorithm = settings.tokens.algorithm;
        let random = self.random.clone();
        let making = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, &*random));
        let fresh = making.await.map_err(|_| IdentityError::Internal)??;
        let kid = fresh.key.kid().to_string();
        let sealed =
            self.keyring.seal(&purpose(&settings.name, &kid), &fresh.private, &*self.random)?;
        let record = SigningKeyRecord {
            mount: settings.name.clone(),
            kid,
            algorithm: name(algorithm)?.to_owned(),
            private: Ciphertext(sealed),
            public: fresh.key.public().unwrap_or_default().to_vec(),
            created_at: now,
            retired_at: None,
            expires_at: None,
        };
        Ok((record, fresh))
    }
}

/// The words under which a private key is sealed: it opens for no other mount and no other `kid`.
fn purpose(mount: &MountName, kid: &str) -> String {
    format!("signing key {kid} of {mount}")
}

const NAMES: [(Algorithm, &str); 4] = [
    (Algorithm::HS256, "HS256"),
    (Algorithm::RS256, "RS256"),
    (Algorithm::ES256, "ES256"),
    (Algorithm::EdDSA, "EdDSA"),
];

fn name(algorithm: Algorithm) -> Result<&'static str, IdentityError> {
    let found = NAMES.iter().find(|(known, _)| *known == algorithm);
    found.map(|(_, name)| *name).ok_or(IdentityError::Internal)
}

fn parse(name: &str) -> Result<Algorithm, IdentityError> {
    let found = NAMES.iter().find(|(_, known)| *known == name);
    found.map(|(algorithm, _)| *algorithm).ok_or(IdentityError::Internal)
}
