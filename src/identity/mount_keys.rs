//! Which key signs for a mount and which ones verify: made on first start, rotated with overlap, sealed at rest. A mount
//! with a standard issuer has a second set for it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use super::{
    Actor, EventKind, FieldError, Identity, IdentityError, Inner, MountSettings, audit,
    signing::{FreshKey, SigningKey},
    state::State,
};
use crate::{
    model::{MountName, SecretString, Timestamp},
    pipeline::jwt::{VerificationKey, algorithm_name},
    store::{AuditRecord, Ciphertext, SigningKeyRecord},
};

/// Longest leeway that any mount may grant on `exp` (requirement 6).
const LEEWAY: Duration = Duration::from_secs(60);

/// When every node that may serve knows a new key: more than the slowest news, and differences of clocks.
const KNOWN_EVERYWHERE: Duration = Duration::from_secs(10);

/// What separates a mount's name from the name of its second set of keys; it can stand in no name of the configuration.
const SECOND: &str = "/issuer";

/// Under which name the keys of a mount's standard issuer are kept: its tokens are of another profile, and no key signs both.
pub fn issuer_keys(mount: &MountName) -> MountName {
    format!("{mount}{SECOND}").into()
}

/// One set of keys, as the settings want it.
struct KeySet<'a> {
    name: MountName,
    mount: &'a MountSettings,
    algorithm: Algorithm,
    /// Given by the configuration; then there is no other.
    secret: Option<&'a SecretString>,
    /// How long the longest-lived token may be out.
    longest: Duration,
    /// How long a new key is published before it signs.
    ahead: Duration,
}

impl MountSettings {
    fn key_sets(&self) -> impl Iterator<Item = KeySet<'_>> {
        let own = KeySet {
            name: self.name.clone(),
            mount: self,
            algorithm: self.tokens.algorithm,
            secret: self.tokens.secret.as_ref(),
            longest: self.tokens.longest_signed(),
            ahead: Duration::ZERO,
        };
        let issuer = self.authorization_server.as_deref().map(|server| KeySet {
            name: issuer_keys(&self.name),
            mount: self,
            algorithm: server.algorithm,
            secret: None,
            longest: server.longest_signed(),
            ahead: server.publish_ahead,
        });
        [Some(own), issuer].into_iter().flatten()
    }
}

/// The keys of one set.
pub(super) struct MountKeys {
    /// Sign one after another, each until the moment given; the last one has none.
    signing: Vec<(Arc<SigningKey>, Option<Timestamp>)>,
    /// `kid` of the one that signs as soon as the edge verifies it, and not before.
    waiting: Option<Arc<str>>,
    /// Verifies, newest first, each until the moment given.
    verifying: Vec<(VerificationKey, Option<Timestamp>)>,
    /// When the newest was made.
    made_at: Timestamp,
}

impl MountKeys {
    /// What verifies now, newest first.
    pub(super) fn verifying_at(&self, now: Timestamp) -> Vec<VerificationKey> {
        let live = self.verifying.iter().filter(|(_, until)| until.is_none_or(|end| end > now));
        live.map(|(key, _)| key.clone()).collect()
    }

    /// What signs now. While the newest waits, the one before goes on, however long that takes.
    pub(super) fn signing_at(&self, now: Timestamp) -> Result<&Arc<SigningKey>, IdentityError> {
        let may = |key: &SigningKey| self.waiting.as_ref().is_none_or(|kid| kid != key.kid());
        let mut able = self.signing.iter().filter(|(key, _)| may(key));
        let found = able.clone().find(|(_, until)| until.is_none_or(|end| end > now));
        found.or_else(|| able.next_back()).map(|(key, _)| key).ok_or(IdentityError::Internal)
    }
}

impl MountKeys {
    /// The same keys, of which a new one signs only when the edge knows it as well. `before`: those that the edge knows.
    pub(super) fn after(self, before: Option<&MountKeys>) -> Self {
        let known = |kid: &Arc<str>| {
            before.is_some_and(|before| {
                before.waiting.as_ref() != Some(kid)
                    && before.verifying.iter().any(|(key, _)| key.kid == *kid)
            })
        };
        let newest = self.signing.last().map(|(key, _)| key.kid().clone());
        Self { waiting: newest.filter(|kid| !known(kid)), ..self }
    }

    /// Whether one of them waits for the edge.
    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some()
    }
}

/// A key of a mount as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// `kid`.
    pub kid: Arc<str>,
    /// `alg`.
    pub algorithm: &'static str,
    /// Whether it signs now.
    pub signs: bool,
    /// Until when it verifies; `None`: it will sign, or signs.
    pub verifies_until: Option<Timestamp>,
}

impl Identity {
    /// Verification keys of a mount, newest first, for the edge's snapshot.
    pub fn verification_keys(&self, mount: &MountName) -> Vec<VerificationKey> {
        let Some(keys) = self.inner.mount_keys(mount) else { return Vec::new() };
        keys.verifying_at(self.now())
    }

    /// Every set of keys of a mount: its name, and what is in it, newest first.
    pub fn key_facts(
        &self,
        mount: &MountName,
    ) -> Result<Vec<(MountName, Vec<KeyFacts>)>, IdentityError> {
        let (settings, now) = (self.inner.state().mount(mount)?, self.now());
        let mut all = Vec::new();
        for set in settings.key_sets() {
            let keys = self.inner.mount_keys(&set.name).ok_or(IdentityError::Internal)?;
            let signs = keys.signing_at(now)?.kid().clone();
            let live = keys.verifying.iter().filter(|(_, until)| until.is_none_or(|end| end > now));
            let facts = live.map(|(key, until)| KeyFacts {
                kid: key.kid.clone(),
                algorithm: algorithm_name(key.algorithm).unwrap_or_default(),
                signs: key.kid == signs,
                verifies_until: *until,
            });
            all.push((set.name, facts.collect()));
        }
        Ok(all)
    }

    /// How long ago the newest key of each set was made. A secret that the configuration gives has no age.
    pub fn key_ages(&self) -> Vec<(MountName, Duration)> {
        let (state, now) = (self.inner.state(), self.now());
        let sets = state.mounts().flat_map(|mount| mount.key_sets());
        let made = sets.filter(|set| set.secret.is_none()).filter_map(|set| {
            let keys = self.inner.mount_keys(&set.name)?;
            Some((set.name, now.since(keys.made_at)))
        });
        made.collect()
    }

    /// Sets of keys whose newest is as old as their schedule allows.
    pub fn keys_due(&self) -> Vec<MountName> {
        let (state, now) = (self.inner.state(), self.now());
        let due = state.mounts().filter(|mount| {
            let every = mount.authorization_server.as_ref().and_then(|own| own.rotate_every);
            let keys = self.inner.mount_keys(&issuer_keys(&mount.name));
            every.zip(keys).is_some_and(|(every, keys)| keys.made_at + every <= now)
        });
        due.map(|mount| issuer_keys(&mount.name)).collect()
    }

    /// Makes a new signing key for a set; the old ones go on verifying until their tokens have expired. Answers with
    /// the new `kid`. The caller must rebuild the edge's snapshot next, and then call [`Identity::sign_with_newest`]:
    /// until then the old key signs, so that no token is out that the edge cannot verify. A set with a time to be
    /// published ahead signs with the old key until that has passed as well.
    pub async fn rotate_signing_key(
        &self,
        set: &MountName,
        by: &Actor,
    ) -> Result<String, IdentityError> {
        let inner = &self.inner;
        let _one_at_a_time = inner.changing.lock().await;
        let state = inner.state();
        let mut sets = state.mounts().flat_map(|mount| mount.key_sets());
        let set = sets.find(|known| known.name == *set).ok_or(IdentityError::NotFound)?;
        if set.secret.is_some() {
            return Err(IdentityError::Invalid(vec![FieldError {
                field: "mount",
                kind: "invalid",
                message: "The signing secret of this mount is given by the configuration".into(),
            }]));
        }
        let now = self.now();
        let (record, fresh) = inner.fresh_key(&set, now).await?;
        let told = AuditRecord {
            realm: Some(set.mount.realm.clone()),
            mount: Some(set.mount.name.clone()),
            details: serde_json::json!({ "kid": record.kid, "keys": set.name.as_str() }),
            ..audit::event(EventKind::SigningKeyRotated, by, now)
        };
        // Nobody signs with a key before every node can know it.
        let everywhere = if inner.store.is_shared() { KNOWN_EVERYWHERE } else { Duration::ZERO };
        let signs_from = now + set.ahead.max(everywhere);
        let until = signs_from + set.longest + LEEWAY;
        inner.store.rotate_signing_key(&record, signs_from, until, &[told]).await?;
        let mut keys = inner.read_keys(&set, now).await?;
        keys.waiting = Some(fresh.key.kid().clone());
        inner.set_mount_keys(set.name, keys);
        Ok(fresh.key.kid().to_string())
    }

    /// Lets the key that [`Identity::rotate_signing_key`] made sign. Nothing happens where none waits.
    pub async fn sign_with_newest(&self, set: &MountName) {
        let inner = &self.inner;
        let _one_at_a_time = inner.changing.lock().await;
        let Some(keys) = inner.mount_keys(set).filter(|keys| keys.waiting.is_some()) else {
            return;
        };
        let (signing, verifying) = (keys.signing.clone(), keys.verifying.clone());
        let keys = MountKeys { signing, waiting: None, verifying, made_at: keys.made_at };
        inner.set_mount_keys(set.clone(), keys);
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
        for set in state.mounts().flat_map(|mount| mount.key_sets()) {
            let keys = self.load_keys(&set, now).await.inspect_err(|_| {
                tracing::error!(event = "signing_keys_not_loaded", mount = %set.name);
            })?;
            all.insert(set.name.clone(), Arc::new(keys));
        }
        Ok(all)
    }

    /// The keys of every mount in `state` as they are in the store; none is made.
    pub(super) async fn read_all_keys(
        &self,
        state: &State,
        now: Timestamp,
    ) -> Result<Vec<(MountName, MountKeys)>, IdentityError> {
        let mut all = Vec::new();
        let kept = state.mounts().flat_map(|mount| mount.key_sets());
        for set in kept.filter(|set| set.secret.is_none()) {
            all.push((set.name.clone(), self.read_keys(&set, now).await?));
        }
        Ok(all)
    }

    /// What signs in this set now.
    pub(super) fn signing_key(&self, set: &MountName) -> Result<Arc<SigningKey>, IdentityError> {
        let keys = self.mount_keys(set).ok_or(IdentityError::Internal)?;
        keys.signing_at(self.clock.now()).cloned()
    }

    async fn load_keys(
        &self,
        set: &KeySet<'_>,
        now: Timestamp,
    ) -> Result<MountKeys, IdentityError> {
        if let Some(secret) = set.secret {
            // The file says which key it is; keys that the store made before are out of use.
            let current = Arc::new(SigningKey::of_secret(secret)?);
            let verifying = vec![(current.verification(), None)];
            let signing = vec![(current, None)];
            return Ok(MountKeys { signing, waiting: None, verifying, made_at: now });
        }
        let stored = self.store.signing_keys(Some(&set.name), now).await?;
        let wanted = name(set.algorithm)?;
        if !stored.iter().any(|key| key.algorithm == wanted && key.retired_at.is_none()) {
            let (record, _) = self.fresh_key(set, now).await?;
            if stored.is_empty() {
                self.store.ensure_signing_key(&record, &[]).await?;
            } else {
                let until = now + set.longest + LEEWAY;
                self.store.rotate_signing_key(&record, now, until, &[]).await?;
            }
        }
        self.read_keys(set, now).await
    }

    async fn read_keys(
        &self,
        set: &KeySet<'_>,
        now: Timestamp,
    ) -> Result<MountKeys, IdentityError> {
        let wanted = set.algorithm;
        let (mut signing, mut verifying) = (Vec::new(), Vec::new());
        let mut made_at = Timestamp(0);
        for record in self.store.signing_keys(Some(&set.name), now).await? {
            let algorithm = parse(&record.algorithm)?;
            // HMAC and public-key algorithms never stand in one set (requirement 1).
            if (algorithm == Algorithm::HS256) != (wanted == Algorithm::HS256) {
                continue;
            }
            let purpose = purpose(&record.mount, &record.kid);
            let private = self.keyring.open(&purpose, &record.private.0)?;
            let key = SigningKey::load(record.kid.as_str().into(), algorithm, &private)?;
            verifying.push((key.verification(), record.expires_at));
            if algorithm == wanted {
                made_at = made_at.max(record.created_at);
                signing.push((Arc::new(key), record.retired_at));
            }
        }
        // In the order in which they stop, the one that does not stop last.
        signing.sort_by_key(|(_, until)| until.unwrap_or(Timestamp(i64::MAX)));
        if signing.iter().all(|(_, until)| until.is_some()) {
            return Err(IdentityError::Internal);
        }
        Ok(MountKeys { signing, waiting: None, verifying, made_at })
    }

    async fn fresh_key(
        &self,
        set: &KeySet<'_>,
        now: Timestamp,
    ) -> Result<(SigningKeyRecord, FreshKey), IdentityError> {
        let algorithm = set.algorithm;
        let random = self.random.clone();
        let making = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, &*random));
        let fresh = making.await.map_err(|_| IdentityError::Internal)??;
        let kid = fresh.key.kid().to_string();
        let sealed = self.keyring.seal(&purpose(&set.name, &kid), &fresh.private, &*self.random)?;
        let record = SigningKeyRecord {
            mount: set.name.clone(),
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
