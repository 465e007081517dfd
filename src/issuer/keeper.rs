//! The keys of one issuer: fetched ahead of need by one task, kept while no newer ones can be had.
//!
//! Whoever misses a key can ask for a fetch and wait for it. Fetches are made one at a time, and begin no sooner after each
//! other than the floor says, so nobody can turn the gateway against the issuer with keys that he makes up.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use url::Url;

use super::{
    client::{Client, DEADLINE, FetchFault},
    discovery,
    registry::Parts,
    settings::{Fetching, KeysAt},
};
use crate::{
    model::{Digest, Timestamp},
    pipeline::jwt::{KeySet, algorithm_name},
};

/// A key that is asked for is fetched within this time, or whoever asked is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests that wait for keys of one issuer; more are told to come back.
const MAX_WAITING: usize = 64;
/// What is taken for a difference of clocks where a token says when it was issued.
const SKEW: Duration = Duration::from_secs(60);
/// A set may say that it is fresh for a shorter time; fetched it is no more often than this.
const SHORTEST_REFRESH: Duration = Duration::from_secs(60);
/// Longest pause between two tries while the issuer is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Where the metadata says that keys are is asked again after this time, and after a failure.
const METADATA_AGE: Duration = Duration::from_secs(3600);

/// The keys of one issuer.
pub struct Keeper {
    name: Arc<str>,
    settings: Fetching,
    client: Client,
    parts: Parts,
    held: ArcSwapOption<Held>,
    rounds: watch::Sender<Round>,
    plan: Mutex<Plan>,
    wanted: Arc<Notify>,
    /// The operator asked: no floor.
    forced: AtomicBool,
    seats: Arc<Semaphore>,
}

/// A set in hand.
#[derive(Clone, Debug)]
pub struct Held {
    /// The keys.
    pub keys: Arc<KeySet>,
    /// When they were asked for.
    pub asked: Instant,
    /// The same as the calendar has it.
    pub asked_at: Timestamp,
    /// Counts changes of the keys.
    pub generation: u64,
    /// From then on they are not used any more.
    good_until: Instant,
    digest: Digest,
}

impl Held {
    /// Whether it may be used.
    pub fn is_usable(&self, now: Instant) -> bool {
        now < self.good_until
    }

    /// Whether a key that is not in it is none of the issuer's: it was asked for after the token was shown, or well after the
    /// token says that it was made.
    pub fn is_final(&self, shown: Instant, issued_at: Option<Timestamp>) -> bool {
        self.asked >= shown || issued_at.is_some_and(|issued| issued + SKEW < self.asked_at)
    }
}

/// One fetch that has ended.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    number: u64,
    began: Option<Instant>,
    fault: Option<FetchFault>,
}

struct Plan {
    /// When the next fetch is due by itself.
    due: Instant,
    /// Before this none begins.
    earliest: Instant,
    failures: u32,
    last_fault: Option<FetchFault>,
    /// What was told of the age of the last good set.
    told_too_old: bool,
    found: Option<(Url, Instant)>,
}

/// What is known about the keys of an issuer, for operators.
#[derive(Clone, Debug)]
pub struct KeyState {
    /// Its name.
    pub name: Arc<str>,
    /// Its `iss`.
    pub issuer: Arc<str>,
    /// The address that the configuration names.
    pub url: String,
    /// `fresh`, `stale` (the last good set, while no newer one can be had), `too_old`, or `none`.
    pub state: &'static str,
    /// Id and algorithm of each key.
    pub keys: Vec<(Arc<str>, &'static str)>,
    /// Keys of the set that are not used.
    pub passed_over: usize,
    /// When the set was asked for.
    pub fetched_at: Option<Timestamp>,
    /// How long ago.
    pub age: Option<Duration>,
    /// Until the next fetch.
    pub next_in: Duration,
    /// Why the last fetch brought nothing.
    pub fault: Option<String>,
}

/// Nothing came in time; the caller is to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInTime;

/// A request that waits for keys.
pub struct Waiting {
    rounds: watch::Receiver<Round>,
    shown: Instant,
    until: Instant,
    _seat: OwnedSemaphorePermit,
}

impl Waiting {
    /// Waits for the end of a fetch. `Err`: one that began after the wait did brought nothing, or none ended in time.
    pub async fn next(&mut self) -> Result<(), NotInTime> {
        let end = tokio::time::timeout_at(self.until.into(), self.rounds.changed()).await;
        let Ok(Ok(())) = end else { return Err(NotInTime) };
        let round = *self.rounds.borrow_and_update();
        let own = round.began.is_some_and(|began| began >= self.shown);
        if own && round.fault.is_some() { Err(NotInTime) } else { Ok(()) }
    }
}

impl Keeper {
    /// Begins to fetch; ends with the last holder.
    pub(super) fn start(
        name: Arc<str>,
        settings: Fetching,
        parts: Parts,
    ) -> Result<Arc<Self>, String> {
        let client = Client::new(settings.authorities.as_deref())
            .map_err(|error| format!("no HTTP client for issuer \"{name}\": {error}"))?;
        let now = Instant::now();
        let plan = Plan {
            due: now,
            earliest: now,
            failures: 0,
            last_fault: None,
            told_too_old: false,
            found: None,
        };
        let keeper = Arc::new(Self {
            name,
            settings,
            client,
            parts,
            held: ArcSwapOption::empty(),
            rounds: watch::Sender::default(),
            plan: Mutex::new(plan),
            wanted: Arc::default(),
            forced: AtomicBool::new(false),
            seats: Arc::new(Semaphore::new(MAX_WAITING)),
        });
        tokio::spawn(tend(Arc::downgrade(&keeper), Arc::clone(&keeper.wanted)));
        Ok(keeper)
    }

    /// Name of the issuer.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn settings(&self) -> &Fetching {
        &self.settings
    }

    /// The set in hand, young enough or not.
    pub fn held(&self) -> Option<Arc<Held>> {
        self.held.load_full()
    }

    /// Whether a token that was verified with this generation of keys need not be verified again.
    pub fn still_holds(&self, generation: u64, now: Instant) -> bool {
        let held = self.held.load();
        held.as_ref().is_some_and(|held| held.generation == generation && held.is_usable(now))
    }

    /// Asks for a fetch, and takes a place among those who wait for it. `Err`: all places are taken, or the floor lets none
    /// begin soon; it will be made all the same.
    pub fn wait(&self, shown: Instant) -> Result<Waiting, NotInTime> {
        let rounds = self.rounds.subscribe();
        let earliest = self.plan().earliest;
        self.wanted.notify_one();
        if earliest > shown + PATIENCE {
            return Err(NotInTime);
        }
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| NotInTime)?;
        Ok(Waiting { rounds, shown, until: shown + PATIENCE + DEADLINE, _seat: seat })
    }

    /// Fetches now, whatever the floor says, and tells what came of it.
    pub async fn refresh(&self) -> Result<(), String> {
        let asked = Instant::now();
        let mut rounds = self.rounds.subscribe();
        self.forced.store(true, Ordering::SeqCst);
        self.wanted.notify_one();
        // Of a fetch that runs already the end is awaited, then the own one.
        let end = asked + 4 * DEADLINE;
        loop {
            let round = *rounds.borrow_and_update();
            if round.began.is_some_and(|began| began >= asked) {
                return round.fault.map_or(Ok(()), |fault| Err(fault.to_string()));
            }
            if !matches!(tokio::time::timeout_at(end.into(), rounds.changed()).await, Ok(Ok(()))) {
                return Err("no answer in time".into());
            }
        }
    }

    /// Waits until the first fetch has ended, well or not.
    pub(super) async fn first_round(&self) {
        // The sender is ours: it does not go away.
        let _ = self.rounds.subscribe().wait_for(|round| round.number > 0).await;
    }

    /// What is known, for operators.
    pub fn state(&self) -> KeyState {
        let (now, held) = (Instant::now(), self.held());
        let (next_in, fault) = {
            let plan = self.plan();
            (plan.due.saturating_duration_since(now), plan.last_fault)
        };
        let keys = held.as_ref().map(|held| {
            let name = |key: &crate::pipeline::jwt::VerificationKey| {
                (key.kid.clone(), algorithm_name(key.algorithm).unwrap_or_default())
            };
            held.keys.keys().iter().map(name).collect()
        });
        KeyState {
            name: self.name.clone(),
            issuer: self.settings.issuer.clone(),
            url: self.settings.at.url().to_string(),
            state: match (&held, fault) {
                (None, _) => "none",
                (Some(held), _) if !held.is_usable(now) => "too_old",
                (Some(_), Some(_)) => "stale",
                (Some(_), None) => "fresh",
            },
            keys: keys.unwrap_or_default(),
            passed_over: held.as_ref().map_or(0, |held| held.keys.passed_over()),
            fetched_at: held.as_ref().map(|held| held.asked_at),
            age: held.as_ref().map(|held| now.saturating_duration_since(held.asked)),
            next_in,
            fault: fault.map(|fault| fault.to_string()),
        }
    }

    /// Brings the figures up to date.
    pub(super) fn publish(&self) {
        let (now, held) = (Instant::now(), self.held());
        let keys = held
            .as_ref()
            .filter(|held| held.is_usable(now))
            .map_or(0, |held| held.keys.keys().len());
        let age = held.map(|held| now.saturating_duration_since(held.asked));
        self.parts.metrics.issuer_keys(&self.name, keys, age);
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next fetch may begin. `asked`: somebody waits for it.
    fn next(&self, asked: bool) -> Instant {
        let plan = self.plan();
        if self.forced.load(Ordering::SeqCst) {
            return Instant::now();
        }
        if asked { plan.earliest } else { plan.due.max(plan.earliest) }
    }

    /// One fetch, with everything that comes of it.
    async fn fetch(&self) {
        let (began, began_at) = (Instant::now(), self.parts.clock.now());
        self.forced.store(false, Ordering::SeqCst);
        self.plan().earliest = began + self.settings.floor;
        let asked = tokio::time::timeout(DEADLINE, self.ask(began)).await;
        let fault = match asked.unwrap_or(Err(FetchFault::Timeout)) {
            Ok((keys, max_age)) => {
                self.take(keys, max_age, (began, began_at));
                None
            }
            Err(fault) => {
                self.miss(fault, began);
                Some(fault)
            }
        };
        let result = fault.map_or("ok", FetchFault::reason);
        self.parts.metrics.issuer_fetch(&self.name, result);
        self.rounds.send_modify(|round| {
            *round = Round { number: round.number + 1, began: Some(began), fault };
        });
    }

    async fn ask(&self, now: Instant) -> Result<(KeySet, Option<Duration>), FetchFault> {
        let url = match &self.settings.at {
            KeysAt::Set(url) => url.clone(),
            KeysAt::Metadata { url, origins } => {
                let known = self.plan().found.clone();
                let fresh =
                    known.filter(|(_, at)| now.saturating_duration_since(*at) < METADATA_AGE);
                match fresh {
                    Some((found, _)) => found,
                    None => {
                        let metadata = self.client.get(url).await?;
                        let issuer = &self.settings.issuer;
                        let found = discovery::keys_at(&metadata.body, issuer, url, origins)?;
                        self.plan().found = Some((found.clone(), now));
                        found
                    }
                }
            }
        };
        let fetched = self.client.get(&url).await?;
        Ok((KeySet::read(&fetched.body, &self.settings.algorithms)?, fetched.max_age))
    }

    fn take(
        &self,
        keys: KeySet,
        max_age: Option<Duration>,
        (asked, asked_at): (Instant, Timestamp),
    ) {
        let (digest, name) = (keys.digest(), &self.name);
        let old = self.held();
        let same = old.as_ref().is_some_and(|old| old.digest == digest);
        let generation = old.as_ref().map_or(0, |old| old.generation) + u64::from(!same);
        let (count, passed_over) = (keys.keys().len(), keys.passed_over());
        // The same keys are kept in one place, however often they come.
        let keys = old.filter(|_| same).map_or_else(|| Arc::new(keys), |old| Arc::clone(&old.keys));
        let good_until = asked + self.settings.keep;
        let held = Held { keys, asked, asked_at, generation, good_until, digest };
        self.held.store(Some(Arc::new(held)));
        let wait = self.fresh_for(max_age);
        let mut plan = self.plan();
        let was_away = plan.last_fault.take().is_some();
        plan.failures = 0;
        plan.told_too_old = false;
        plan.due = asked + wait;
        drop(plan);
        if !same {
            tracing::info!(event = "issuer_keys_changed", issuer = %name, keys = count, passed_over);
        } else if was_away {
            tracing::info!(event = "issuer_keys_again", issuer = %name, keys = count);
        }
    }

    fn miss(&self, fault: FetchFault, began: Instant) {
        let usable = self.held().is_some_and(|held| held.is_usable(Instant::now()));
        let name = &self.name;
        let mut plan = self.plan();
        let first = plan.last_fault.replace(fault) != Some(fault);
        let too_old = !usable && !std::mem::replace(&mut plan.told_too_old, !usable);
        plan.found = None;
        let pause =
            self.settings.floor.saturating_mul(1 << plan.failures.min(6)).min(LONGEST_PAUSE);
        plan.failures = plan.failures.saturating_add(1);
        plan.due = began + self.jittered(pause.max(self.settings.floor));
        drop(plan);
        let reason = fault.reason();
        if first {
            tracing::warn!(event = "issuer_keys_not_fetched", issuer = %name, reason, error = %fault, usable);
        }
        if too_old {
            tracing::error!(event = "issuer_keys_unusable", issuer = %name, reason);
        }
    }

    /// How long a set is left alone: as it says itself, within the bounds of the configuration.
    fn fresh_for(&self, max_age: Option<Duration>) -> Duration {
        let most = self.settings.refresh;
        let least = SHORTEST_REFRESH.min(most);
        self.jittered(max_age.unwrap_or(most).clamp(least, most))
    }

    /// Between three quarters and the whole of a time, so that many gateways do not ask at once.
    fn jittered(&self, span: Duration) -> Duration {
        let mut byte = [0_u8; 1];
        // Without randomness the whole time will do.
        let part = self.parts.random.fill(&mut byte).map_or(0, |()| u32::from(byte[0]));
        span.saturating_sub(span / 4 / 255 * part)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.wanted.notify_one();
        self.parts.metrics.forget_issuer(&self.name);
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The one task that fetches.
async fn tend(keeper: Weak<Keeper>, wanted: Arc<Notify>) {
    let mut asked = false;
    loop {
        let Some(at) = keeper.upgrade().map(|keeper| keeper.next(asked)) else { return };
        if at <= Instant::now() {
            let Some(keeper) = keeper.upgrade() else { return };
            keeper.fetch().await;
            asked = false;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep_until(at.into()) => {}
            () = wanted.notified() => asked = true,
        }
    }
}
