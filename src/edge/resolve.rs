//! Proven credentials kept at hand: verified tokens, and what the store knows of API keys and sessions.
//!
//! A hit is never a pass by itself. A cached token is held against time and revocations on every request, a cached key
//! against its evidence; what is saved is the signature and the query. Nothing undetermined is ever kept.

use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use memchr::memrchr;
use quick_cache::{Equivalent, sync::Cache};

use crate::{
    identity::{HangsOn, IdentityError, Lookup},
    issuer::Keeper,
    model::{Digest, Fingerprint, Fingerprints, KeyId, MountName, Principal, Timestamp},
    pipeline::{
        Deny, KeyEvidence, SessionEvidence,
        deny::TokenFault,
        mutate::{IdentityFields, IdentityHeaders},
    },
    telemetry::{Metrics, metrics::CacheKind},
};

/// Callers whose fields are kept. Fewer than credentials: writing them anew costs little.
const MAX_TOLD: usize = 4_096;
/// Evidence is fetched again after this time, so that another node's changes arrive.
const FRESH: Duration = Duration::from_secs(10);
/// An unknown key is asked for again after this time.
const FRESH_UNKNOWN: Duration = Duration::from_secs(5);
/// Tokens refused a moment ago, held at most, and for how long.
const MAX_REFUSED: usize = 8_192;
const REFUSED: Duration = Duration::from_secs(5);
/// Pause between two questions about one key while the store cannot be asked.
const BREATH: Duration = Duration::from_secs(1);
/// Without a word from the store for longer, it is not asked for what is known.
const SILENT: Duration = Duration::from_millis(2500);
/// Deadline of one question.
const LOOKUP: Duration = Duration::from_secs(1);
/// Questions for one request; more than one only when records change meanwhile.
const ATTEMPTS: usize = 3;

/// Tokens whose signature and claims were verified under the configuration in force; a reload begins with none.
///
/// A refused one is remembered for a moment, so that a client that repeats it costs no signature each time. By the digest
/// of the whole token: by its signature alone, somebody could have another's good one refused.
pub(super) struct TokenCache {
    refused: Cache<Whole, (TokenFault, Instant)>,
    /// By the fingerprint of the signature alone, which is short. Nobody outside can aim at one.
    entries: Cache<Fingerprint, Arc<Verified>>,
    names: Fingerprints,
}

struct Verified {
    /// Header and payload, exactly as they were signed. Without the signature they are no credential.
    signed: Box<str>,
    principal: Arc<Principal>,
    keys: Option<Generation>,
}

/// A token at a mount.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Whole(MountName, [u8; 32]);

/// Keys that change while the configuration stays, and which of their sets it was.
pub(super) type Generation = (Arc<Keeper>, u64);

/// Whom a token proves, and by which keys, where those may change or grow too old.
pub(super) struct Proven {
    pub(super) principal: Arc<Principal>,
    pub(super) keys: Option<Generation>,
}

impl TokenCache {
    /// Holds so many at most.
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: Cache::new(most),
            refused: Cache::new(MAX_REFUSED),
            names: Fingerprints::new(),
        }
    }

    /// The claims of a token that was verified before at this mount. Says nothing about time or revocation: the caller asks
    /// on.
    pub(super) fn known(
        &self,
        mount: &MountName,
        token: &str,
        moment: Instant,
        metrics: &Metrics,
    ) -> Option<Arc<Principal>> {
        let (signed, name) = self.parts(token);
        if let Some(hit) = self.entries.get(&name)
            && *hit.signed == *signed
            && hit.principal.mount == *mount
            && hit.keys.as_ref().is_none_or(|(keys, own)| keys.still_holds(*own, moment))
        {
            metrics.cache(CacheKind::Token, true);
            return Some(Arc::clone(&hit.principal));
        }
        metrics.cache(CacheKind::Token, false);
        None
    }

    /// The name under which a token would be refused, unless it was refused a moment ago.
    pub(super) fn unrefused(
        &self,
        mount: &MountName,
        token: &str,
        moment: Instant,
        metrics: &Metrics,
    ) -> Result<Whole, TokenFault> {
        let whole = Whole(mount.clone(), *Digest::of(token.as_bytes()).as_bytes());
        let refused = self.refused.get(&whole).filter(|(_, until)| moment < *until);
        metrics.cache(CacheKind::Refused, refused.is_some());
        refused.map_or(Ok(whole), |(fault, _)| Err(fault))
    }

    /// Remembers that a token is no good. Not for what a newer set of keys may change.
    pub(super) fn refuse(&self, whole: Whole, fault: TokenFault, moment: Instant) {
        self.refused.insert(whole, (fault, moment + REFUSED));
    }

    /// Keeps what a token proves.
    pub(super) fn keep(&self, token: &str, proven: Proven) -> Arc<Principal> {
        let Proven { principal, keys } = proven;
        let (signed, name) = self.parts(token);
        let entry = Verified { signed: signed.into(), principal: Arc::clone(&principal), keys };
        self.entries.insert(name, Arc::new(entry));
        principal
    }

    /// What was signed, and the fingerprint of the signature, which stands for it: a token itself is never kept.
    fn parts<'a>(&self, token: &'a str) -> (&'a str, Fingerprint) {
        let dot = memrchr(b'.', token.as_bytes()).unwrap_or(token.len());
        let (signed, signature) = token.split_at(dot);
        (signed, self.names.of(signature.as_bytes()))
    }
}

/// Fields that tell upstreams of callers, written once per credential. Belongs to one configuration, which names them.
pub(super) struct Told {
    /// By the address of the caller, which the entry keeps in place.
    entries: Cache<usize, (Arc<Principal>, IdentityFields)>,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { entries: Cache::new(MAX_TOLD) }
    }

    /// The fields of a caller under these names.
    pub(super) fn of(&self, names: &IdentityHeaders, who: &Arc<Principal>) -> IdentityFields {
        let address = Arc::as_ptr(who).addr();
        if let Some((kept, fields)) = self.entries.get(&address)
            && Arc::ptr_eq(&kept, who)
        {
            return fields;
        }
        let fields = IdentityFields::of(names, who);
        self.entries.insert(address, (Arc::clone(who), fields.clone()));
        fields
    }
}

/// Evidence by the id of a credential: one query per credential at a time, unknown ones remembered for a moment.
pub(super) struct EvidenceCache<I, E> {
    /// Shared with what is asked for in the background.
    entries: Arc<Entries<I, E>>,
    kind: CacheKind,
    /// Whether what is known of a credential also changes by its being used.
    moves: bool,
}

type Entries<I, E> = Cache<(MountName, I), Arc<Entry<E>>>;

/// Evidence of API keys.
pub(super) type KeyCache = EvidenceCache<KeyId, KeyEvidence>;
/// Evidence of sessions, by the digest of their secret.
pub(super) type SessionCache = EvidenceCache<Digest, SessionEvidence>;

struct Entry<E> {
    /// `None`: the store knows no such credential.
    evidence: Option<Arc<E>>,
    fetched: Instant,
    /// Until then the store is not asked again.
    ask_again: Instant,
    /// Of the records, taken before they were asked.
    epoch: u64,
    on: HangsOn,
}

/// Evidence of a kind of credential, which goes by this id.
pub(super) trait Hangs<I> {
    /// What it hangs on, or the lack of it.
    fn on(lookup: &dyn Lookup, id: &I, evidence: Option<&Self>) -> HangsOn;

    /// Whether being used elsewhere, which is not news, cannot matter at this time.
    fn stands(&self, _at: Option<Timestamp>) -> bool {
        true
    }
}

impl Hangs<KeyId> for KeyEvidence {
    fn on(lookup: &dyn Lookup, id: &KeyId, evidence: Option<&Self>) -> HangsOn {
        lookup.hangs_on(Some(id), evidence.map(|evidence| &evidence.principal.subject))
    }
}

impl Hangs<Digest> for SessionEvidence {
    fn on(lookup: &dyn Lookup, _: &Digest, evidence: Option<&Self>) -> HangsOn {
        lookup.hangs_on(None, evidence.map(|evidence| &evidence.principal.subject))
    }

    fn stands(&self, at: Option<Timestamp>) -> bool {
        self.idle_until.zip(at).is_none_or(|(end, now)| now < end)
    }
}

impl<E> Entry<E> {
    /// Whether what is known of a credential cannot have become better by its being used elsewhere.
    fn stands<I>(&self, at: Option<Timestamp>) -> bool
    where
        E: Hangs<I>,
    {
        self.evidence.as_ref().is_none_or(|evidence| evidence.stands(at))
    }

    fn fetched(evidence: Option<Arc<E>>, (epoch, on): (u64, HangsOn), now: Instant) -> Self {
        let span = if evidence.is_some() { FRESH } else { FRESH_UNKNOWN };
        Self { evidence, fetched: now, ask_again: now + span, epoch, on }
    }

    /// The same evidence, after the store could not be asked, which it may outlive by so much.
    fn kept(&self, stale_for: Duration, now: Instant) -> Self {
        let ask_again = (now + BREATH).min(self.fetched + stale_for);
        Self { evidence: self.evidence.clone(), ask_again, ..*self }
    }

    /// The same evidence without asking, where whoever follows the changes of the store had heard of none at `vouched`: then
    /// it is as good as fetched in that moment.
    fn vouched(&self, vouched: Instant, need: Need<'_>, now: Instant) -> Option<Self> {
        let fetched = self.fetched.max(vouched);
        let same = Self { evidence: self.evidence.clone(), fetched, ..*self };
        let good = same.evidence.is_some() && same.is_usable(need, now);
        let ask_again = (now + BREATH).min(fetched + need.stale_for);
        good.then_some(Self { ask_again, ..same })
    }

    /// Whether it may be used without asking: nothing changed since, and it is young.
    fn is_fresh(&self, lookup: &dyn Lookup, now: Instant) -> bool {
        now < self.ask_again && self.epoch >= lookup.last_change(self.on)
    }

    /// Whether it may be used because the store cannot be asked. A change since then may have been a revocation, which
    /// must hold at the next request: so never evidence from before one. What another request brought meanwhile, after all
    /// that this request must know, is good enough.
    fn is_usable(&self, need: Need<'_>, now: Instant) -> bool {
        self.epoch >= need.lookup.last_change(self.on).min(need.epoch)
            && now.saturating_duration_since(self.fetched) < need.stale_for
    }
}

/// What a request must see.
#[derive(Clone, Copy)]
struct Need<'a> {
    lookup: &'a Arc<dyn Lookup>,
    /// Changes before the request.
    epoch: u64,
    stale_for: Duration,
    /// When the request came, where that matters.
    at: Option<Timestamp>,
}

impl KeyCache {
    /// What is known of this key at this mount; `Ok(None)` if there is no such key.
    pub(super) async fn evidence(
        &self,
        lookup: &Arc<dyn Lookup>,
        metrics: &Metrics,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, Deny> {
        let asked = Asked { key: (mount.clone(), id.clone()), lookup, metrics, at: None };
        let ask = || {
            let (lookup, mount, id) = (Arc::clone(lookup), mount.clone(), id.clone());
            async move { lookup.key(&mount, &id).await }
        };
        self.evidence_at(asked, ask, Instant::now()).await
    }
}

impl SessionCache {
    /// What is known of this session at this mount; `Ok(None)` if there is no such session.
    pub(super) async fn evidence(
        &self,
        lookup: &Arc<dyn Lookup>,
        metrics: &Metrics,
        (mount, secret): (&MountName, &Digest),
        at: Timestamp,
    ) -> Result<Option<Arc<SessionEvidence>>, Deny> {
        let asked = Asked { key: (mount.clone(), *secret), lookup, metrics, at: Some(at) };
        let ask = || {
            let (lookup, mount, secret) = (Arc::clone(lookup), mount.clone(), *secret);
            async move { lookup.session(&mount, &secret).await }
        };
        self.evidence_at(asked, ask, Instant::now()).await
    }
}

/// A key of the cache as it stands elsewhere: a question must not copy it.
#[derive(Hash)]
struct Borrowed<'a, I>((&'a MountName, &'a I));

impl<I: Eq> Equivalent<(MountName, I)> for Borrowed<'_, I> {
    fn equivalent(&self, (mount, id): &(MountName, I)) -> bool {
        self.0 == (mount, id)
    }
}

/// What is asked for, and by whom it can be answered.
struct Asked<'a, I> {
    key: (MountName, I),
    lookup: &'a Arc<dyn Lookup>,
    metrics: &'a Metrics,
    at: Option<Timestamp>,
}

impl<I, E> EvidenceCache<I, E>
where
    I: Clone + Eq + Hash + Send + Sync + 'static,
    E: Hangs<I> + Send + Sync + 'static,
{
    /// Holds so many at most, known and unknown.
    pub(super) fn new(kind: CacheKind, most: usize) -> Self {
        let moves = kind == CacheKind::Session;
        Self { entries: Arc::new(Cache::new(most)), kind, moves }
    }

    /// What is known without asking; `None`: it must be asked for.
    pub(super) fn at_hand(
        &self,
        lookup: &dyn Lookup,
        metrics: &Metrics,
        key: (&MountName, &I),
        now: Instant,
    ) -> Option<Option<Arc<E>>> {
        let entry = self.entries.get(&Borrowed(key))?;
        if !entry.is_fresh(lookup, now) {
            return None;
        }
        metrics.cache(self.kind, true);
        Some(entry.evidence.clone())
    }

    async fn evidence_at<F>(
        &self,
        asked: Asked<'_, I>,
        ask: impl Fn() -> F,
        now: Instant,
    ) -> Result<Option<Arc<E>>, Deny>
    where
        F: Future<Output = Result<Option<Arc<E>>, IdentityError>> + Send + 'static,
    {
        let Asked { key, lookup, metrics, at } = asked;
        // Read before the store: a change in between makes the entry old at once, never too new.
        let need = Need { lookup, epoch: lookup.epoch(), stale_for: lookup.stale_for(), at };
        if let Some(entry) = self.entries.get(&key)
            && entry.is_fresh(&**lookup, now)
        {
            metrics.cache(self.kind, true);
            return Ok(entry.evidence.clone());
        }
        metrics.cache(self.kind, false);
        if let Some(vouched) = lookup.vouched_at()
            && let Some(old) = self.entries.get(&key)
            && let Some(entry) = old.vouched(vouched, need, now)
            && entry.stands(at)
        {
            self.entries.insert(key.clone(), Arc::new(entry));
            // What also changes by being used is asked for; but no request waits for what cannot change its answer.
            if self.moves && now.saturating_duration_since(vouched) < SILENT {
                self.ask_beside(key, ask(), need, now);
            }
            return Ok(old.evidence.clone());
        }
        // In a box: a hit must not carry the space that a question takes.
        Box::pin(self.fetch(&key, ask, need, now)).await
    }

    /// Asks while the request goes on. What cannot be told now is asked for again by one that comes later.
    fn ask_beside<F>(&self, key: (MountName, I), asking: F, need: Need<'_>, now: Instant)
    where
        F: Future<Output = Result<Option<Arc<E>>, IdentityError>> + Send + 'static,
    {
        let (entries, lookup, epoch) =
            (Arc::clone(&self.entries), Arc::clone(need.lookup), need.epoch);
        tokio::spawn(async move {
            if let Ok(Ok(evidence)) = tokio::time::timeout(LOOKUP, asking).await {
                let on = E::on(&*lookup, &key.1, evidence.as_deref());
                entries.insert(key, Arc::new(Entry::fetched(evidence, (epoch, on), now)));
            }
        });
    }

    async fn fetch<F>(
        &self,
        key: &(MountName, I),
        ask: impl Fn() -> F,
        need: Need<'_>,
        now: Instant,
    ) -> Result<Option<Arc<E>>, Deny>
    where
        F: Future<Output = Result<Option<Arc<E>>, IdentityError>> + Send + 'static,
    {
        const UNDETERMINED: Deny = Deny::Unavailable { dependency: "identity" };
        let (mount, id) = key;
        for _ in 0..ATTEMPTS {
            let old = self.entries.remove_if(key, |entry| !entry.is_fresh(&**need.lookup, now));
            let old = old.map(|(_, entry)| entry);
            let entry = self.entries.get_or_insert_async(key, async {
                match tokio::time::timeout(LOOKUP, ask()).await {
                    Ok(Ok(evidence)) => {
                        let on = E::on(&**need.lookup, id, evidence.as_deref());
                        Ok(Arc::new(Entry::fetched(evidence, (need.epoch, on), now)))
                    }
                    failed => {
                        let reason = failed.map_or("timeout", |found| match found {
                            Err(error) => error.reason(),
                            Ok(_) => "",
                        });
                        tracing::warn!(event = "key_lookup_failed", %mount, reason);
                        old.filter(|old| old.is_usable(need, now) && old.stands(need.at))
                            .map(|old| Arc::new(old.kept(need.stale_for, now)))
                            .ok_or(UNDETERMINED)
                    }
                }
            });
            let entry = entry.await?;
            // Another request may have asked before the change that this one must see.
            if entry.is_usable(need, now) {
                return Ok(entry.evidence.clone());
            }
        }
        Err(UNDETERMINED)
    }
}

#[cfg(test)]
mod tests;
