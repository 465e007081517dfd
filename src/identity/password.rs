//! Password hashing: Argon2id on threads of its own, a few at once, a short queue, then a refusal.
//!
//! Hashing is the dearest thing a stranger can make this process do, so it is bounded here and nowhere else. Two equal
//! checks are never folded into one: that would tell known names from unknown ones by time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{Params, Version, password_hash::phc::PasswordHash};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{HashSettings, IdentityError, argon};
use crate::model::{Random, SecretString, priority, secret::ExposeSecret};

/// Longest password looked at in a login. Longer ones are wrong, at the usual price.
pub(super) const LONGEST_LOGIN: usize = 1024;
/// Bytes of salt (requirement 26).
const SALT_BYTES: usize = 16;
/// The priority of hashes that are not to wait until a core is idle: a tenth of the share of a thread that serves.
const NICE: i32 = 10;
/// What bcrypt reads of a password; the rest it ignores.
const BCRYPT_READS: usize = 72;

/// A bounded pool of hash workers.
pub(super) struct HashPool {
    settings: HashSettings,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    random: Arc<dyn Random>,
    /// A real hash of a random password, with the parameters of today.
    dummy: Arc<str>,
}

impl HashPool {
    /// Makes the pool and its dummy hash.
    pub(super) async fn open(
        settings: HashSettings,
        random: Arc<dyn Random>,
    ) -> Result<Self, IdentityError> {
        let mut pool = Self {
            settings,
            permits: Arc::new(Semaphore::new(settings.permits.max(1))),
            waiting: AtomicUsize::new(0),
            random,
            dummy: Arc::from(""),
        };
        let mut bytes = [0; 16];
        pool.random.fill(&mut bytes).map_err(|_| IdentityError::Internal)?;
        let nobody = crate::model::api_key::hex(&bytes).into();
        pool.dummy = pool.hash(&nobody).await?.into();
        Ok(pool)
    }

    /// The settings it was made with.
    pub(super) fn settings(&self) -> &HashSettings {
        &self.settings
    }

    /// Hashes a new password; the text carries algorithm, parameters and salt.
    pub(super) async fn hash(&self, password: &SecretString) -> Result<String, IdentityError> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt).map_err(|_| IdentityError::Internal)?;
        let (settings, password) = (self.settings, password.clone());
        self.run(move || argon::hash(&settings, password.expose_secret().as_bytes(), &salt)).await?
    }

    /// Whether `password` fits `hash`. Without a hash it costs the same and is never right.
    ///
    /// An imported bcrypt hash has its own price until the first login replaces it.
    pub(super) async fn verify(
        &self,
        password: &SecretString,
        hash: Option<&str>,
    ) -> Result<bool, IdentityError> {
        let fits = password.expose_secret().len() <= LONGEST_LOGIN;
        let real = hash.filter(|_| fits);
        let against: Arc<str> = real.map_or_else(|| self.dummy.clone(), Arc::from);
        let given = if fits { password.clone() } else { SecretString::from("") };
        let right = self.run(move || matches_hash(given.expose_secret(), &against)).await??;
        Ok(right && real.is_some())
    }

    /// Whether a hash that was just found right should be replaced by one of today's parameters.
    pub(super) fn is_outdated(&self, password: &SecretString, hash: &str) -> bool {
        if is_bcrypt(hash) {
            // Beyond that length bcrypt took any ending; hashing the whole would shut out who types another one.
            return password.expose_secret().len() <= BCRYPT_READS;
        }
        let Ok(parsed) = PasswordHash::new(hash) else { return false };
        let Ok(params) = Params::try_from(&parsed) else { return false };
        parsed.algorithm.as_str() != "argon2id"
            || parsed.version != Some(Version::V0x13.into())
            || params.m_cost() != self.settings.memory_kib
            || params.t_cost() != self.settings.iterations
            || params.p_cost() != 1
    }

    /// Refuses a login for which there would be no place in the queue, before anything is looked up for it.
    pub(super) fn refuse_if_full(&self) -> Result<(), IdentityError> {
        if self.is_full() { Err(IdentityError::Busy) } else { Ok(()) }
    }

    /// Whether one more would be refused.
    pub(super) fn is_full(&self) -> bool {
        self.permits.available_permits() == 0 && self.waiting() >= self.settings.queue
    }

    /// Hashes running now.
    pub(super) fn running(&self) -> usize {
        self.settings.permits.max(1).saturating_sub(self.permits.available_permits())
    }

    /// Callers waiting for a permit now.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    async fn run<T, F>(&self, work: F) -> Result<T, IdentityError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permit = self.permit().await?;
        let (tell, told) = oneshot::channel();
        let when_idle = self.settings.only_when_idle;
        // A thread of its own: its priority is nobody else's, and what it costs is nothing beside a hash.
        let begun = std::thread::Builder::new().name("hash".to_owned()).spawn(move || {
            if when_idle {
                priority::only_when_idle()
            } else {
                priority::lower(NICE)
            }
            let out = work();
            // The permit ends with the work, not with the caller: one who hangs up frees no worker early.
            drop(permit);
            let _ = tell.send(out);
        });
        if let Err(error) = begun {
            tracing::error!(event = "hash_worker_failed", %error);
            return Err(IdentityError::Busy);
        }
        told.await.map_err(|_| {
            tracing::error!(event = "hash_worker_failed", error = "it panicked");
            IdentityError::Internal
        })
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, IdentityError> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.settings.queue)?;
        self.permits.clone().acquire_owned().await.map_err(|_| IdentityError::Internal)
    }
}

/// A place in the queue, given back also when the caller goes away.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, queue: usize) -> Result<Self, IdentityError> {
        let before = waiting.fetch_add(1, Ordering::AcqRel);
        let place = Place(waiting);
        if before >= queue { Err(IdentityError::Busy) } else { Ok(place) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why a hash cannot be imported; `None`: it can.
pub(super) fn refused_import(hash: &str) -> Option<&'static str> {
    if is_bcrypt(hash) {
        return refused_bcrypt(hash);
    }
    if !hash.starts_with("$argon2id$") {
        return Some("password_hash is neither Argon2id nor bcrypt");
    }
    let Ok(parsed) = PasswordHash::new(hash) else {
        return Some("password_hash is not a well-formed Argon2id hash");
    };
    let Ok(params) = Params::try_from(&parsed) else {
        return Some("password_hash has unknown Argon2id parameters");
    };
    let salted = parsed.salt.as_ref().is_some_and(|salt| salt.as_ref().len() >= 8);
    let whole = parsed.hash.as_ref().is_some_and(|output| output.len() >= 16);
    if !salted || !whole {
        return Some("password_hash has no salt or too short a hash");
    }
    // The weakest pair of memory and passes that OWASP names is 7 MiB with five passes.
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() < 7 * 1024 || work < 5 * 7 * 1024 {
        return Some("password_hash has too weak Argon2id parameters");
    }
    if params.m_cost() > 256 * 1024 || params.t_cost() > 20 || params.p_cost() > 16 {
        return Some("password_hash has too costly Argon2id parameters");
    }
    None
}

fn refused_bcrypt(hash: &str) -> Option<&'static str> {
    let Ok(parts) = hash.parse::<bcrypt::HashParts>() else {
        return Some("password_hash is not a well-formed bcrypt hash");
    };
    match parts.get_cost() {
        0..10 => Some("password_hash has too weak a bcrypt cost (at least 10)"),
        10..=16 => None,
        _ => Some("password_hash has too high a bcrypt cost (at most 16)"),
    }
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix))
}

fn matches_hash(password: &str, hash: &str) -> Result<bool, IdentityError> {
    if !is_bcrypt(hash) {
        return argon::verify(hash, password.as_bytes());
    }
    bcrypt::verify(password, hash).map_err(|_| {
        tracing::error!(event = "stored_hash_unreadable");
        IdentityError::Internal
    })
}

#[cfg(test)]
mod tests {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};

    use super::*;
    use crate::model::SystemRandom;

    fn cheap(permits: usize, queue: usize) -> HashSettings {
        HashSettings { memory_kib: 64, iterations: 1, permits, queue, only_when_idle: true }
    }

    async fn pool(settings: HashSettings) -> HashPool {
        HashPool::open(settings, Arc::new(SystemRandom)).await.unwrap()
    }

    // requirement: 26
    #[tokio::test]
    async fn a_hash_carries_its_parameters_and_fits_only_its_password() {
        let pool = pool(cheap(1, 1)).await;
        let hash = pool.hash(&"correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(pool.verify(&"correct horse".into(), Some(&hash)).await.unwrap());
        assert!(!pool.verify(&"correct horsf".into(), Some(&hash)).await.unwrap());
        assert!(!pool.verify(&"correct horse".into(), None).await.unwrap());
        assert_ne!(hash, pool.hash(&"correct horse".into()).await.unwrap(), "own salt each time");
    }

    // requirement: 27
    #[tokio::test]
    async fn an_over_long_password_is_wrong_and_not_cut() {
        let pool = pool(cheap(1, 1)).await;
        let hash = pool.hash(&"".into()).await.unwrap();
        assert!(!pool.verify(&"x".repeat(2000).into(), Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn bcrypt_is_accepted_and_outdated_like_other_parameters() {
        let pool = pool(cheap(1, 1)).await;
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let hash = bcrypt::hash("legacy", 4).unwrap().replacen("$2b$", prefix, 1);
            assert!(pool.verify(&"legacy".into(), Some(&hash)).await.unwrap());
            assert!(!pool.verify(&"Legacy".into(), Some(&hash)).await.unwrap());
            assert!(pool.is_outdated(&"legacy".into(), &hash));
            assert!(!pool.is_outdated(&"x".repeat(73).into(), &hash));
        }
        let own = pool.hash(&"a".into()).await.unwrap();
        assert!(!pool.is_outdated(&"a".into(), &own));
        let other = HashSettings { iterations: 2, ..cheap(1, 1) };
        let other = HashPool::open(other, Arc::new(SystemRandom)).await.unwrap();
        assert!(other.is_outdated(&"a".into(), &own));
    }

    // requirement: 26
    // limit: 11
    #[test]
    fn the_defaults_leave_a_core_to_traffic_and_let_a_few_wait() {
        let cores = std::thread::available_parallelism().unwrap().get();
        let usual = HashSettings::default();
        assert_eq!(usual.permits, (cores - 1).max(1));
        assert_eq!(usual.queue, 4 * usual.permits);
        assert_eq!((usual.memory_kib, usual.iterations), (19 * 1024, 2));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_yields_to_traffic_and_nothing_else_does() {
        let policy = || thread_priority::thread_schedule_policy().unwrap();
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = (policy(), nice());
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        assert_eq!(pool(cheap(1, 1)).await.run(policy).await.unwrap(), idle);
        let low = HashSettings { only_when_idle: false, ..cheap(1, 1) };
        let found = pool(low).await.run(move || (policy(), nice())).await.unwrap();
        assert!(found.0 == before.0 && found.1 >= NICE, "{found:?}");
        assert_eq!((policy(), nice()), before);
    }

    // requirement: 26
    // limit: 11
    #[tokio::test]
    async fn a_full_queue_is_refused_at_once_and_a_free_place_waits() {
        let pool = Arc::new(pool(cheap(1, 1)).await);
        let permit = pool.permit().await.unwrap();
        assert_eq!(pool.running(), 1);
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.verify(&"x".into(), None).await }
        });
        while pool.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.verify(&"y".into(), None).await, Err(IdentityError::Busy));
        assert_eq!(pool.refuse_if_full(), Err(IdentityError::Busy));
        drop(permit);
        assert_eq!(waiter.await.unwrap(), Ok(false));
        assert_eq!((pool.running(), pool.waiting()), (0, 0));
        assert_eq!(pool.refuse_if_full(), Ok(()));
    }

    #[test]
    fn weak_costly_and_foreign_hashes_are_refused_at_import() {
        let fine = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                    AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        assert_eq!(refused_import(fine), None);
        assert!(refused_import(&fine.replace("m=19456", "m=1024")).is_some());
        assert!(refused_import(&fine.replace("m=19456", "m=1048576")).is_some());
        assert!(refused_import(&fine.replace("argon2id", "argon2i")).is_some());
        assert!(refused_import("plain").is_some());
        assert!(refused_import("$2b$04$abc").is_some());
        assert!(refused_import(&bcrypt::hash("x", 4).unwrap()).is_some());
        assert_eq!(refused_import(&bcrypt::hash("x", 10).unwrap()), None);
    }
}
