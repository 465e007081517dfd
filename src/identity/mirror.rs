//! Identity as an edge node has it: what it needs in memory, kept in step with an [`Origin`] that knows the truth. It holds no
//! store, no password and no key that signs.
//!
//! It is filled before it is handed out, so what had ended is refused from the first request on.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{
    AskedAssertion, AuditEvent, Facts, Followed, HangsOn, IdentityError, Lookup, Noted, Origin,
    StaticKey, Uses,
    changes::{self, Following, Memory},
    feed::Feed,
    usage::Usage,
};
use crate::{
    model::{
        AccountId, Clock, Digest, KeyId, MountName, Principal, SessionId, Timestamp, hop::HopNews,
    },
    pipeline::{KeyEvidence, News, RevocationView, SessionEvidence, jwt::VerificationKey},
    store::{ChangeKind, ChangePage, ChangeRecord},
};

/// Uses told in one question, which may have a mebibyte.
const USES_AT_ONCE: usize = 2000;
/// Clock differences and leeway on top of the end of a token.
const MARGIN: Duration = Duration::from_secs(120);

/// The facade; cheap to clone.
#[derive(Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
}

struct Inner {
    origin: Arc<dyn Origin>,
    clock: Arc<dyn Clock>,
    feed: Arc<Feed>,
    following: Following,
    usage: Usage<KeyId>,
    seen: Usage<SessionId>,
    /// Milliseconds for which an ended session matters.
    remember: AtomicU64,
    known: ArcSwap<Known>,
    nonce_secret: Option<[u8; 32]>,
    /// Held while uses are sent, so that no batch is sent twice.
    flushing: tokio::sync::Mutex<()>,
}

/// Sets of keys by their names.
type Known = HashMap<MountName, Vec<VerificationKey>>;

impl Mirror {
    /// Asks for everything that must be known before the first request.
    pub async fn open(
        origin: Arc<dyn Origin>,
        clock: Arc<dyn Clock>,
        sets: &[MountName],
        remember: Duration,
        stale_for: Duration,
    ) -> Result<Self, IdentityError> {
        let facts = origin.facts(sets).await?;
        let inner = Inner {
            origin,
            clock,
            feed: Arc::default(),
            following: Following::default(),
            usage: Usage::default(),
            seen: Usage::default(),
            remember: AtomicU64::new(millis(remember)),
            known: ArcSwap::from_pointee(read(&facts, sets)?),
            nonce_secret: facts.nonce_secret,
            flushing: tokio::sync::Mutex::default(),
        };
        let asked = Instant::now();
        let head = inner.fill().await?;
        inner.following.starts_at(head, asked);
        inner.following.pulse.allow(stale_for);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Follows the changes for as long as this is polled.
    pub async fn follow(&self) {
        changes::follow(self.inner.clone(), self.inner.origin.announcements(), None).await;
    }

    /// What verifies the tokens of a set.
    pub fn verification_keys(&self, set: &MountName) -> Vec<VerificationKey> {
        self.inner.known.load().get(set).cloned().unwrap_or_default()
    }

    /// Counts up whenever keys are to be read anew.
    pub fn key_changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.following.key_changes()
    }

    /// Reads the keys of these sets anew. A set that nobody knows is an error, and changes nothing.
    pub async fn read_keys(&self, sets: &[MountName]) -> Result<(), IdentityError> {
        let facts = self.inner.origin.facts(sets).await?;
        self.inner.known.store(Arc::new(read(&facts, sets)?));
        Ok(())
    }

    /// Takes over how long an ended session matters.
    pub fn remember(&self, span: Duration) {
        self.inner.remember.fetch_max(millis(span), Ordering::AcqRel);
    }

    /// The view of ended tokens and sessions.
    pub fn revocations(&self) -> Arc<dyn RevocationView> {
        self.inner.feed.clone()
    }

    /// The window for the edge.
    pub fn lookup(&self) -> Arc<dyn Lookup> {
        Arc::new(self.clone())
    }

    /// Where this node stands.
    pub fn followed(&self) -> Option<Followed> {
        self.inner.following.followed()
    }

    /// Whether the truth can be asked.
    pub async fn healthy(&self) -> bool {
        self.inner.origin.healthy().await
    }

    /// Ended tokens and sessions held.
    pub fn ended(&self) -> usize {
        self.inner.feed.len()
    }

    /// Forgets what has expired by itself, by a clock that does not jump.
    pub fn prune(&self, at_most: Timestamp) {
        self.inner.feed.prune(self.inner.clock.now().min(at_most));
    }

    /// Records what was seen here. Gives how many events were lost.
    pub async fn record(&self, events: Vec<AuditEvent>) -> usize {
        self.inner.origin.record(events).await
    }

    /// Sends batched uses of keys and sessions; called by a timer and at stop.
    pub async fn flush_usage(&self) -> Result<(), IdentityError> {
        let _one_at_a_time = self.inner.flushing.lock().await;
        let keys = self.inner.usage.take().into_iter();
        let keys: Vec<_> = keys.map(|(id, uses)| (id, uses.count, uses.last)).collect();
        // In parts: there may be as many as there were requests, and a question has a bound.
        for part in keys.chunks(USES_AT_ONCE) {
            self.note(Uses { keys: part.to_vec(), sessions: Vec::new() }).await?;
            self.inner.usage.written(part.iter().map(|(id, ..)| id));
        }
        let sessions = self.inner.seen.take().into_iter();
        let sessions: Vec<_> = sessions.map(|(id, uses)| (id, uses.last)).collect();
        for part in sessions.chunks(USES_AT_ONCE) {
            self.note(Uses { keys: Vec::new(), sessions: part.to_vec() }).await?;
            self.inner.seen.written(part.iter().map(|(id, _)| id));
        }
        Ok(())
    }

    async fn note(&self, uses: Uses) -> Result<(), IdentityError> {
        match self.inner.origin.note(&uses).await {
            Noted::No => Err(IdentityError::Unavailable),
            Noted::Yes | Noted::Perhaps => Ok(()),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn read(facts: &Facts, sets: &[MountName]) -> Result<Known, IdentityError> {
    let mut known = Known::new();
    for set in sets {
        let Some(keys) = facts.sets.get(set) else {
            tracing::error!(
                event = "mount_unknown_to_identity", keys = %set,
                advice = "give identity nodes and edge nodes the same mounts, identity nodes first"
            );
            return Err(IdentityError::NotFound);
        };
        let keys = keys.iter().map(|key| key.read().ok_or(IdentityError::Internal));
        known.insert(set.clone(), keys.collect::<Result<_, _>>()?);
    }
    Ok(known)
}

impl Inner {
    fn span(&self) -> Duration {
        Duration::from_millis(self.remember.load(Ordering::Acquire))
    }

    /// Enters what has ended. Answers with the newest change that is surely in it.
    async fn fill(&self) -> Result<u64, IdentityError> {
        let ended = self.origin.ended().await?;
        for (id, end) in ended.tokens {
            self.feed.end_token(id, end + MARGIN);
        }
        for (id, at) in ended.sessions {
            self.feed.end_sessions([id], at + self.span());
        }
        Ok(ended.head)
    }
}

#[async_trait]
impl Memory for Inner {
    fn following(&self) -> &Following {
        &self.following
    }

    fn take_in(&self, change: &ChangeRecord) {
        changes::take_in(&self.feed, change, self.clock.now(), self.span());
        if matches!(change.kind, ChangeKind::SigningKeys | ChangeKind::Anything) {
            self.following.keys_changed();
        }
    }

    async fn changes_since(&self, after: u64, limit: u32) -> Result<ChangePage, IdentityError> {
        self.origin.changes_since(after, limit).await
    }

    async fn rebuild(&self) -> Result<u64, IdentityError> {
        let head = self.fill().await?;
        self.feed.changed(News::Anything);
        self.following.keys_changed();
        Ok(head)
    }
}

#[async_trait]
impl Lookup for Mirror {
    async fn key(
        &self,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        self.inner.origin.key(mount, id).await
    }

    async fn session(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        self.inner.origin.session(mount, secret).await
    }

    fn is_current(&self) -> bool {
        self.inner.following.pulse.is_current()
    }

    async fn becomes_current(&self) -> bool {
        self.inner.following.pulse.becomes_current().await
    }

    fn vouched_at(&self) -> Option<Instant> {
        self.inner.following.pulse.vouched_at()
    }

    fn stale_for(&self) -> Duration {
        self.inner.following.pulse.stale_for()
    }

    fn epoch(&self) -> u64 {
        self.inner.feed.epoch()
    }

    fn last_change(&self, on: HangsOn) -> u64 {
        self.inner.feed.last_change(on)
    }

    fn hangs_on(&self, key: Option<&KeyId>, owner: Option<&AccountId>) -> HangsOn {
        self.inner.feed.hangs_on(key, owner)
    }

    fn news(&self) -> broadcast::Receiver<News> {
        self.inner.feed.news()
    }

    fn hears(&self, news: HopNews) {
        let until = self.inner.clock.now() + self.inner.span();
        let HopNews { tokens, sessions, keys, accounts, anything } = news;
        for id in tokens {
            self.inner.feed.end_token(id, until);
        }
        self.inner.feed.end_sessions(sessions, until);
        keys.into_iter().for_each(|id| self.inner.feed.changed(News::Key(id)));
        accounts.into_iter().for_each(|id| self.inner.feed.changed(News::Account(id)));
        if anything {
            self.inner.feed.changed(News::Anything);
        }
    }

    fn used(&self, id: &KeyId, now: Timestamp) {
        if !StaticKey::is_static(id) {
            self.inner.usage.note(id, now);
        }
    }

    async fn assertion(
        &self,
        mount: &MountName,
        who: &Principal,
        audience: &str,
        lifetime: Duration,
        _: Timestamp,
    ) -> Result<(String, Timestamp), IdentityError> {
        let asked = AskedAssertion {
            mount: mount.clone(),
            who: who.clone(),
            audience: audience.to_owned(),
            lifetime_ms: millis(lifetime),
        };
        self.inner.origin.assertion(&asked).await
    }

    fn nonce_secret(&self) -> Option<[u8; 32]> {
        self.inner.nonce_secret
    }

    fn seen(&self, id: &SessionId, now: Timestamp) {
        self.inner.seen.note(id, now);
    }
}
