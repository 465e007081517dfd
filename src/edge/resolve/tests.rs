use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use async_trait::async_trait;

use super::*;
use crate::{
    identity::IdentityError,
    model::{AuthMethod, RealmName, Timestamp},
};

/// A store that counts questions and can fail.
struct Store {
    asked: AtomicUsize,
    epoch: AtomicU64,
    answer: std::sync::Mutex<Result<bool, IdentityError>>,
    vouched: std::sync::Mutex<Option<Instant>>,
    /// It takes a question and never answers.
    hangs: AtomicBool,
    idle_until: std::sync::Mutex<Timestamp>,
}

impl Store {
    fn new(knows: bool) -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicUsize::new(0),
            epoch: AtomicU64::new(1),
            answer: Ok(knows).into(),
            vouched: None.into(),
            hangs: false.into(),
            idle_until: Timestamp(1_000).into(),
        })
    }

    fn answer(&self, answer: Result<bool, IdentityError>) {
        *self.answer.lock().unwrap() = answer;
    }
}

#[async_trait]
impl Lookup for Store {
    async fn key(
        &self,
        _: &MountName,
        _: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        self.asked.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        let knows = self.answer.lock().unwrap().clone()?;
        Ok(knows.then(|| Arc::new(evidence())))
    }

    async fn session(
        &self,
        _: &MountName,
        _: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        self.asked.fetch_add(1, SeqCst);
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        let knows = self.answer.lock().unwrap().clone()?;
        let idle_until = Some(*self.idle_until.lock().unwrap());
        let principal = evidence().principal;
        Ok(knows.then(|| Arc::new(SessionEvidence { principal, ended: false, idle_until })))
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    fn vouched_at(&self) -> Option<Instant> {
        *self.vouched.lock().unwrap()
    }

    fn stale_for(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn used(&self, _: &KeyId, _: Timestamp) {}
}

fn evidence() -> KeyEvidence {
    let principal = Principal {
        subject: "someone".into(),
        username: None,
        email: None,
        realm: RealmName::from("main"),
        mount: "api".into(),
        tenant: None,
        method: AuthMethod::ApiKey,
        roles: Vec::new(),
        scopes: None,
        session: None,
        token: None,
        key: Some("k".into()),
        agent: None,
        allowed_ips: Vec::new(),
        rate_limit_per_hour: None,
        expires_at: None,
        issuer: None,
        bound: None,
    };
    let digest = Digest::of(b"secret");
    KeyEvidence { digest, principal: Arc::new(principal), expires_at: None, revoked: false }
}

struct Asking {
    cache: KeyCache,
    metrics: Metrics,
    start: Instant,
}

impl Asking {
    fn new() -> Self {
        Self {
            cache: KeyCache::new(CacheKind::Key, 100),
            metrics: Metrics::new().unwrap(),
            start: Instant::now(),
        }
    }

    async fn at(&self, store: &Arc<Store>, secs: u64) -> Result<bool, Deny> {
        let now = self.start + Duration::from_secs(secs);
        let key = (MountName::from("api"), KeyId::from("k"));
        let lookup: Arc<dyn Lookup> = store.clone();
        let asked = Asked { key: key.clone(), lookup: &lookup, metrics: &self.metrics, at: None };
        let ask = || {
            let (store, (mount, id)) = (store.clone(), key.clone());
            async move { store.key(&mount, &id).await }
        };
        let found = self.cache.evidence_at(asked, ask, now).await;
        found.map(|evidence| evidence.is_some())
    }
}

const UNDETERMINED: Result<bool, Deny> = Err(Deny::Unavailable { dependency: "identity" });

#[tokio::test]
async fn a_known_key_is_asked_for_once_while_it_is_fresh() {
    let (asking, store) = (Asking::new(), Store::new(true));
    for secs in [0, 1, 9] {
        assert_eq!(asking.at(&store, secs).await, Ok(true));
    }
    assert_eq!(store.asked.load(SeqCst), 1);
    assert_eq!(asking.at(&store, 11).await, Ok(true));
    assert_eq!(store.asked.load(SeqCst), 2);
}

#[tokio::test]
async fn an_unknown_key_is_remembered_for_a_moment_only() {
    let (asking, store) = (Asking::new(), Store::new(false));
    assert_eq!(asking.at(&store, 0).await, Ok(false));
    assert_eq!(asking.at(&store, 4).await, Ok(false));
    assert_eq!(store.asked.load(SeqCst), 1);
    store.answer(Ok(true));
    assert_eq!(asking.at(&store, 6).await, Ok(true));
}

#[tokio::test]
async fn a_change_of_any_key_is_seen_by_the_next_request() {
    let (asking, store) = (Asking::new(), Store::new(true));
    assert_eq!(asking.at(&store, 0).await, Ok(true));
    store.answer(Ok(false));
    store.epoch.store(2, SeqCst);
    assert_eq!(asking.at(&store, 0).await, Ok(false));
}

#[tokio::test]
async fn without_the_store_known_keys_go_on_for_a_minute_and_then_nothing_is_decided() {
    let (asking, store) = (Asking::new(), Store::new(true));
    assert_eq!(asking.at(&store, 0).await, Ok(true));
    store.answer(Err(IdentityError::Unavailable));
    assert_eq!(asking.at(&store, 11).await, Ok(true));
    assert_eq!(asking.at(&store, 11).await, Ok(true));
    assert_eq!(store.asked.load(SeqCst), 2, "a failing store is given a breath");
    assert_eq!(asking.at(&store, 59).await, Ok(true));
    assert_eq!(asking.at(&store, 61).await, UNDETERMINED);
    store.answer(Ok(true));
    assert_eq!(asking.at(&store, 61).await, Ok(true));
}

#[tokio::test]
async fn without_the_store_a_changed_epoch_is_never_bridged() {
    let (asking, store) = (Asking::new(), Store::new(true));
    assert_eq!(asking.at(&store, 0).await, Ok(true));
    store.answer(Err(IdentityError::Unavailable));
    store.epoch.store(2, SeqCst);
    assert_eq!(asking.at(&store, 1).await, UNDETERMINED);
}

#[tokio::test]
async fn a_key_is_not_asked_for_again_while_all_changes_are_followed() {
    let (asking, store) = (Asking::new(), Store::new(true));
    let vouch = |secs| {
        *store.vouched.lock().unwrap() = Some(asking.start + Duration::from_secs(secs));
    };
    vouch(0);
    assert_eq!(asking.at(&store, 0).await, Ok(true));
    for secs in 1..=300 {
        vouch(secs);
        assert_eq!(asking.at(&store, secs).await, Ok(true));
    }
    assert_eq!(store.asked.load(SeqCst), 1);
    // From the last word of the store on it grows old, and nobody waits for a store that is silent.
    store.answer(Err(IdentityError::Unavailable));
    assert_eq!(asking.at(&store, 359).await, Ok(true));
    assert_eq!(store.asked.load(SeqCst), 1);
    assert_eq!(asking.at(&store, 360).await, UNDETERMINED);
    // A change is asked for at once.
    store.answer(Ok(false));
    vouch(361);
    store.epoch.store(2, SeqCst);
    assert_eq!(asking.at(&store, 361).await, Ok(false));
}

/// A session is asked for now and then, because its being used elsewhere is not news; but nobody waits for that.
#[tokio::test(start_paused = true)]
async fn a_known_session_waits_for_no_store_but_where_its_use_elsewhere_may_matter() {
    let (cache, metrics) = (SessionCache::new(CacheKind::Session, 100), Metrics::new().unwrap());
    let store = Store::new(true);
    let (lookup, mount, secret): (Arc<dyn Lookup>, _, _) =
        (store.clone(), MountName::from("api"), Digest::of(b"secret"));
    let start = Instant::now();
    let ask = async |secs: u64, vouched: u64, at: i64| {
        *store.vouched.lock().unwrap() = Some(start + Duration::from_secs(vouched));
        let asked = Asked {
            key: (mount.clone(), secret),
            lookup: &lookup,
            metrics: &metrics,
            at: Some(Timestamp(at)),
        };
        let ask = || {
            let (lookup, mount) = (lookup.clone(), mount.clone());
            async move { lookup.session(&mount, &secret).await }
        };
        let began = tokio::time::Instant::now();
        let found = cache.evidence_at(asked, ask, start + Duration::from_secs(secs)).await;
        (found.map(|found| found.and_then(|found| found.idle_until)), began.elapsed())
    };
    let known = |end| (Ok(Some(Timestamp(end))), Duration::ZERO);
    assert_eq!(ask(0, 0, 10).await, known(1_000));
    *store.idle_until.lock().unwrap() = Timestamp(2_000);
    assert_eq!(ask(11, 11, 10).await, known(1_000), "asked for, and not waited for");
    tokio::task::yield_now().await;
    assert_eq!(ask(11, 11, 10).await, known(2_000), "what came of it");
    assert_eq!(store.asked.load(SeqCst), 2);
    store.hangs.store(true, SeqCst);
    assert_eq!(ask(22, 21, 10).await, known(2_000));
    assert_eq!(ask(22, 21, 10).await, known(2_000));
    tokio::task::yield_now().await;
    assert_eq!(store.asked.load(SeqCst), 3, "one question at a time");
    assert_eq!(ask(60, 21, 10).await, known(2_000), "a silent store is not asked");
    tokio::task::yield_now().await;
    assert_eq!(store.asked.load(SeqCst), 3);
    // It may have been used elsewhere meanwhile: nobody knows, and then nothing is said.
    assert_eq!(ask(70, 21, 2_000).await.0, Err(Deny::Unavailable { dependency: "identity" }));
    store.hangs.store(false, SeqCst);
    *store.idle_until.lock().unwrap() = Timestamp(9_000);
    assert_eq!(ask(70, 70, 2_000).await, known(9_000));
}

#[tokio::test]
async fn many_requests_for_one_key_are_one_question() {
    let (asking, store) = (Arc::new(Asking::new()), Store::new(true));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (asking, store) = (Arc::clone(&asking), Arc::clone(&store));
        tasks.spawn(async move { asking.at(&store, 0).await });
    }
    while let Some(result) = tasks.join_next().await {
        assert_eq!(result.unwrap(), Ok(true));
    }
    assert_eq!(store.asked.load(SeqCst), 1);
}

#[tokio::test]
async fn evidence_of_a_newer_epoch_is_good_enough() {
    let (asking, store) = (Asking::new(), Store::new(true));
    store.epoch.store(2, SeqCst);
    assert_eq!(asking.at(&store, 0).await, Ok(true));
    // A request that read the epoch before the change finds what another brought after it.
    store.epoch.store(1, SeqCst);
    store.answer(Err(IdentityError::Unavailable));
    assert_eq!(asking.at(&store, 0).await, Ok(true));
}

#[test]
fn a_refused_token_is_remembered_for_a_moment_and_for_its_mount_only() {
    let (cache, metrics, start) = (TokenCache::new(100), Metrics::new().unwrap(), Instant::now());
    let hits = || {
        let page = metrics.render();
        let line =
            "portcullis_credential_cache_lookups_total{kind=\"refused_token\",result=\"hit\"} ";
        page.lines().find_map(|found| found.strip_prefix(line)?.parse::<u64>().ok()).unwrap()
    };
    let ask = |mount: &str, token: &str, secs: u64| {
        let moment = start + Duration::from_secs(secs);
        if let Ok(whole) = cache.unrefused(&mount.into(), token, moment, &metrics) {
            cache.refuse(whole, TokenFault::Invalid, moment);
        }
        hits()
    };
    assert_eq!(ask("api", "a.b.c", 0), 0);
    assert_eq!(ask("api", "a.b.c", 4), 1);
    assert_eq!(ask("api", "a.x.c", 4), 1, "the same signature under another token");
    assert_eq!(ask("other", "a.b.c", 4), 1);
    assert_eq!(ask("api", "a.b.c", 6), 1, "judged anew");
}
