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
use tokio::sync::{Notify, Semaphore, watch};
use url::Url;

use super::{
    client::{Client, DEADLINE, FetchFault},
    discovery::{self, Described},
    held::Held,
    registry::Parts,
    rounds::{NotInTime, Round, Waiting},
    settings::{Fetching, KeysAt},
    shelf::{self, Kept},
};
use crate::{model::Timestamp, pipeline::jwt::KeySet};

/// A key that is asked for is fetched within this time, or whoever asked is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests that wait for keys of one issuer; more are told to come back.
const MAX_WAITING: usize = 512;
/// A set may say that it is fresh for a shorter time; fetched it is no more often than this.
const SHORTEST_REFRESH: Duration = Duration::from_secs(60);
/// Longest pause between two tries while the issuer is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The same set is put on the shelf again after this time.
const SHELVED: Duration = Duration::from_secs(60);
/// Where the metadata says that keys are is asked again after this time, and after a failure.
const METADATA_AGE: Duration = Duration::from_secs(3600);

/// The keys of one issuer.
pub struct Keeper {
    name: Arc<str>,
    pub(super) settings: Fetching,
    client: Client,
    pub(super) parts: Parts,
    held: ArcSwapOption<Held>,
    described: ArcSwapOption<Described>,
    rounds: watch::Sender<Round>,
    plan: Mutex<Plan>,
    wanted: Arc<Notify>,
    /// The operator asked: no floor.
    forced: AtomicBool,
    seats: Arc<Semaphore>,
}

pub(super) struct Plan {
    /// When the next fetch is due by itself.
    pub(super) due: Instant,
    /// Before this none begins.
    earliest: Instant,
    failures: u32,
    pub(super) last_fault: Option<FetchFault>,
    /// What was told of the age of the last good set.
    told_too_old: bool,
    found: Option<(Url, Instant)>,
    /// When the set in hand was last put on the shelf.
    shelved: Option<Instant>,
}

/// A set as it came.
struct Came {
    keys: KeySet,
    text: Vec<u8>,
    max_age: Option<Duration>,
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
            shelved: None,
        };
        let keeper = Arc::new(Self {
            name,
            settings,
            client,
            parts,
            held: ArcSwapOption::empty(),
            described: ArcSwapOption::empty(),
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

    /// What its metadata said last, where keys are found by metadata.
    pub(super) fn described(&self) -> Option<Arc<Described>> {
        self.described.load_full()
    }

    /// Whether a token that was verified with this generation of keys need not be verified again.
    pub fn still_holds(&self, generation: u64, now: Instant) -> bool {
        let held = self.held.load();
        held.as_ref().is_some_and(|held| held.generation == generation && held.is_usable(now))
    }

    /// Asks for a fetch, and takes a place among those who wait for it. `Err`: all places are taken, the floor lets none begin
    /// soon, or the last one brought nothing; it will be made all the same.
    pub fn wait(&self, shown: Instant) -> Result<Waiting, NotInTime> {
        let rounds = self.rounds.subscribe();
        let (earliest, is_away) = {
            let plan = self.plan();
            (plan.earliest, plan.last_fault.is_some())
        };
        self.wanted.notify_one();
        // Whoever waited for an issuer that is away would hold his place for nothing.
        if is_away || earliest > shown + PATIENCE {
            return Err(NotInTime);
        }
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| NotInTime)?;
        Ok(Waiting::new(rounds, shown + PATIENCE + DEADLINE, seat))
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

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
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

    /// One fetch, with everything that comes of it. `asked`: somebody waits for it.
    async fn fetch(&self, asked: bool) {
        let (began, began_at) = (Instant::now(), self.parts.clock.now());
        let forced = self.forced.swap(false, Ordering::SeqCst);
        self.plan().earliest = began + self.settings.floor;
        if !forced && self.takes_over(began, asked).await {
            self.parts.metrics.issuer_fetch(&self.name, "taken_over");
            self.ends_round(began, None, true);
            return;
        }
        let asked = tokio::time::timeout(DEADLINE, self.ask(began)).await;
        let (fault, text) = match asked.unwrap_or(Err(FetchFault::Timeout)) {
            Ok(came) => (None, Some(self.take(came, began, began_at))),
            Err(fault) => {
                self.miss(fault, began);
                (Some(fault), None)
            }
        };
        let result = fault.map_or("ok", FetchFault::reason);
        self.parts.metrics.issuer_fetch(&self.name, result);
        self.ends_round(began, fault, false);
        // Last: nobody waits for it.
        if let Some(text) = text.flatten() {
            shelf::put(self, Kept::new(&self.settings, began_at, text)).await;
        }
    }

    fn ends_round(&self, began: Instant, fault: Option<FetchFault>, others: bool) {
        self.rounds.send_modify(|round| {
            *round = Round { number: round.number + 1, began: Some(began), fault, others };
        });
    }

    /// Whether what its metadata says is known well enough, where it is asked for any.
    pub(super) fn is_described(&self, now: Instant) -> bool {
        let young = |at: Instant| now.saturating_duration_since(at) < METADATA_AGE;
        match self.settings.at {
            KeysAt::Set(_) => true,
            KeysAt::Metadata { .. } => self.plan().found.as_ref().is_some_and(|(_, at)| young(*at)),
        }
    }

    /// All is well until the next fetch.
    pub(super) fn settles(&self, due: Instant) -> bool {
        let mut plan = self.plan();
        plan.failures = 0;
        plan.told_too_old = false;
        plan.due = due;
        plan.last_fault.take().is_some()
    }

    async fn ask(&self, now: Instant) -> Result<Came, FetchFault> {
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
                        let described = Described::read(&metadata.body, url, origins);
                        self.described.store(Some(Arc::new(described)));
                        self.plan().found = Some((found.clone(), now));
                        found
                    }
                }
            }
        };
        let fetched = self.client.get(&url).await?;
        let keys = KeySet::read(&fetched.body, &self.settings.algorithms)?;
        Ok(Came { keys, text: fetched.body, max_age: fetched.max_age })
    }

    /// Takes a set over, and gives its text back if it is to be put on the shelf.
    fn take(
        &self,
        came: Came,
        asked: Instant,
        asked_at: Timestamp,
    ) -> Option<(Vec<u8>, Option<Duration>)> {
        let Came { keys, text, max_age } = came;
        let (count, passed_over, name) = (keys.keys().len(), keys.passed_over(), &self.name);
        let same = self.hold(keys, asked, asked_at);
        let was_away = self.settles(asked + self.fresh_for(max_age));
        let mut plan = self.plan();
        // Its age counts there, too.
        let pause = SHELVED.min(self.settings.keep / 4);
        let long_ago = plan.shelved.is_none_or(|at| asked.saturating_duration_since(at) >= pause);
        // Others wait for it where they leave the fetch to this one.
        let to_shelve = !same || long_ago || self.parts.turns.is_some();
        if to_shelve {
            plan.shelved = Some(asked);
        }
        drop(plan);
        if !same {
            tracing::info!(event = "issuer_keys_changed", issuer = %name, keys = count, passed_over);
        } else if was_away {
            tracing::info!(event = "issuer_keys_again", issuer = %name, keys = count);
        }
        to_shelve.then_some((text, max_age))
    }

    /// Puts a set into the place of the one in hand; tells whether it has the same keys.
    pub(super) fn hold(&self, keys: KeySet, asked: Instant, asked_at: Timestamp) -> bool {
        let (digest, old) = (keys.digest(), self.held());
        let same = old.as_ref().is_some_and(|old| old.digest == digest);
        let generation = old.as_ref().map_or(0, |old| old.generation) + u64::from(!same);
        // The same keys are kept in one place, however often they come.
        let keys = old.filter(|_| same).map_or_else(|| Arc::new(keys), |old| Arc::clone(&old.keys));
        let good_until = asked + self.settings.keep;
        let held = Held { keys, asked, asked_at, generation, good_until, digest };
        self.held.store(Some(Arc::new(held)));
        same
    }

    /// Takes the set over that was in hand when the process last ended, as old as it is.
    async fn recall(&self) {
        let (now, now_at) = (Instant::now(), self.parts.clock.now());
        let Some(shelf::Found { keys, asked_at, .. }) = shelf::get(self, now_at).await else {
            return;
        };
        let age = now_at.since(asked_at);
        // Before the machine was started, too, on every system that we know.
        let Some(asked) = now.checked_sub(age).filter(|_| age < self.settings.keep) else { return };
        let (name, keys_of) = (&self.name, keys.keys().len());
        self.hold(keys, asked, asked_at);
        tracing::info!(event = "issuer_keys_recalled", issuer = %name, keys = keys_of, age = age.as_secs());
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
    pub(super) fn fresh_for(&self, max_age: Option<Duration>) -> Duration {
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
    if let Some(keeper) = keeper.upgrade() {
        keeper.recall().await;
    }
    loop {
        let Some(at) = keeper.upgrade().map(|keeper| keeper.next(asked)) else { return };
        if at <= Instant::now() {
            let Some(keeper) = keeper.upgrade() else { return };
            keeper.fetch(asked).await;
            asked = false;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep_until(at.into()) => {}
            () = wanted.notified() => asked = true,
        }
    }
}
