//! Shares of limits: a node takes some of a limit in advance and in the background, and decides from what it holds. Only the
//! first requests of a key, and those that find the share used up while the limit is not, wait for Redis.

mod asking;
pub(super) mod share;
#[cfg(test)]
mod simulation;

use std::{
    collections::HashMap,
    hash::BuildHasherDefault,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use smallvec::SmallVec;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use self::share::{Nanos, Share, Take, Waits};
use super::{
    levels,
    local::{
        name,
        table::{CELLS, Hashed, Key},
    },
};
use crate::{
    fleet::{Client, Lost, Members, Script},
    model::{Fingerprints, time::coarse},
    pipeline::quota::{Charge, Toll, Window},
};

const SHARDS: usize = 256;
/// Shards looked at by one sweep.
const SWEPT_AT_ONCE: usize = 16;

/// The shares of this node.
pub(super) struct Leases {
    client: Client,
    members: Members,
    script: Script,
    names: Fingerprints,
    shards: Vec<Shard>,
    tracked: AtomicUsize,
    cap: usize,
    epochs: AtomicU64,
    next_swept: AtomicUsize,
    jobs: mpsc::UnboundedSender<Job>,
    to_do: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
}

#[derive(Default)]
struct Shard {
    entries: Mutex<HashMap<Key, Entry, BuildHasherDefault<Hashed>>>,
    /// Told when something was heard of one of its keys.
    told: Notify,
}

struct Entry {
    share: Share,
    fixed: Arc<Fixed>,
    /// Whether somebody looks whether it is idle.
    watched: bool,
}

/// What never changes of a key.
struct Fixed {
    limit: Arc<str>,
    windows: SmallVec<[Window; CELLS]>,
    key: String,
}

/// What is done in the background. As many wait as keys are tracked, at most twice.
enum Job {
    Ask(Key),
    Watch(Key),
}

/// What a request gets of a share.
pub(super) enum Outcome {
    Taken(Toll, Taken),
    Refused(Toll),
    /// Redis has to be asked: `round` tells when it was.
    Wait(u64),
    /// There are too many keys, or too many windows for a share: Redis decides each request.
    Unshared,
}

/// What was taken, to give it back.
pub(super) struct Taken {
    key: Key,
    ready: bool,
}

impl Leases {
    pub(super) fn new(client: Client, members: Members, cap: usize) -> Self {
        let (jobs, to_do) = mpsc::unbounded_channel();
        Self {
            client,
            members,
            script: Script::new(include_str!("lease.lua")),
            names: Fingerprints::new(),
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
            tracked: AtomicUsize::new(0),
            cap,
            epochs: AtomicU64::new(1),
            next_swept: AtomicUsize::new(0),
            jobs,
            to_do: Mutex::new(Some(to_do)),
        }
    }

    /// Starts what is done in the background, on the runtime it is called on. Later calls do nothing.
    pub(super) fn start(self: &Arc<Self>) {
        if let Some(to_do) = held(&self.to_do).take() {
            tokio::spawn(asking::run(Arc::clone(self), to_do));
        }
    }

    /// Keys that are tracked.
    pub(super) fn tracked(&self) -> usize {
        self.tracked.load(Relaxed)
    }

    /// One request, without waiting.
    pub(super) fn take(&self, charge: &Charge<'_>, waits: Waits) -> Outcome {
        let key = name::of_windows(&self.names, charge, 0, charge.windows);
        let Some(shard) = self.shard(key) else { return Outcome::Unshared };
        let now = now();
        let mut entries = held(&shard.entries);
        if let Some(entry) = entries.get_mut(&key) {
            return self.decide(entry, key, now, waits);
        }
        if waits == Waits::No {
            return Outcome::Wait(0);
        }
        if charge.windows.len() > CELLS || !self.reserve() {
            return Outcome::Unshared;
        }
        let entry = entries.entry(key).or_insert(Entry {
            share: Share::new(self.next_epoch()),
            fixed: self.fixed(charge),
            watched: false,
        });
        self.decide(entry, key, now, waits)
    }

    /// One request, which waits for Redis where it must.
    pub(super) async fn take_waiting(
        &self,
        charge: &Charge<'_>,
        patience: Duration,
    ) -> Result<Outcome, Lost> {
        let key = name::of_windows(&self.names, charge, 0, charge.windows);
        let Some(shard) = self.shard(key) else { return Ok(Outcome::Unshared) };
        let (end, mut waits) = (Instant::now() + patience, Waits::New);
        loop {
            // Before looking: what is told from here on is heard.
            let mut told = std::pin::pin!(shard.told.notified());
            told.as_mut().enable();
            match self.take(charge, waits) {
                Outcome::Wait(round) => waits = Waits::Since(round),
                decided => return Ok(decided),
            }
            let heard = tokio::time::timeout_at(end, told).await.is_ok();
            if !heard || !self.client.is_up() {
                return Err(Lost);
            }
        }
    }

    /// Gives back what was taken for a request that was refused by something else.
    pub(super) fn untake(&self, taken: &Taken) {
        if let Some(shard) = self.shard(taken.key)
            && let Some(entry) = held(&shard.entries).get_mut(&taken.key)
        {
            entry.share.untake(taken.ready);
        }
    }

    /// The state as far as it is known here; `None`: nothing is.
    pub(super) fn look(&self, charge: &Charge<'_>) -> Option<Toll> {
        let key = name::of_windows(&self.names, charge, 0, charge.windows);
        let entries = held(&self.shard(key)?.entries);
        let entry = entries.get(&key).filter(|entry| !entry.share.is_new())?;
        let toll = entry.toll()?;
        let wait = entry.share.used_up(now()).map(Duration::from_nanos);
        Some(Toll { retry_after: wait, ..toll })
    }

    /// Forgets some keys that nobody has used lately.
    pub(super) fn sweep(&self) {
        let (now, first) = (now(), self.next_swept.fetch_add(SWEPT_AT_ONCE, Relaxed));
        for number in (first..first.wrapping_add(SWEPT_AT_ONCE)).map(|number| number % SHARDS) {
            let Some(shard) = self.shards.get(number) else { continue };
            let mut entries = held(&shard.entries);
            let before = entries.len();
            entries.retain(|_, entry| !entry.share.is_over(now));
            self.tracked.fetch_sub(before - entries.len(), Relaxed);
            if entries.capacity() / 4 > entries.len() {
                let most = entries.len() * 2;
                entries.shrink_to(most);
            }
        }
    }

    fn decide(&self, entry: &mut Entry, key: Key, now: Nanos, waits: Waits) -> Outcome {
        let (toll, refill, ready) = match entry.share.take(now, waits) {
            Take::Taken { refill, ready } => (entry.toll(), refill, ready),
            Take::Refused(wait) => {
                let retry_after = Some(Duration::from_nanos(wait));
                return match entry.toll() {
                    Some(toll) => Outcome::Refused(Toll { remaining: 0, retry_after, ..toll }),
                    None => Outcome::Unshared,
                };
            }
            Take::Wait { start, round } => {
                if start {
                    self.to_do(Job::Ask(key));
                }
                return Outcome::Wait(round);
            }
        };
        if refill {
            self.to_do(Job::Ask(key));
        }
        toll.map_or(Outcome::Unshared, |toll| Outcome::Taken(toll, Taken { key, ready }))
    }

    /// Without the task nothing is asked, and what waits gives up in time.
    fn to_do(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    fn fixed(&self, charge: &Charge<'_>) -> Arc<Fixed> {
        let name = name::in_all_nodes(charge);
        Arc::new(Fixed {
            limit: charge.key.limit.into(),
            windows: charge.windows.iter().copied().collect(),
            key: self.client.named(&format!("limit:l:{name}")),
        })
    }

    fn shard(&self, key: Key) -> Option<&Shard> {
        self.shards.get((key.1 % SHARDS as u64) as usize)
    }

    fn next_epoch(&self) -> u64 {
        self.epochs.fetch_add(1, Relaxed)
    }

    fn reserve(&self) -> bool {
        let more = |tracked| (tracked < self.cap).then_some(tracked + 1);
        self.tracked.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}

impl Entry {
    fn toll(&self) -> Option<Toll> {
        levels::tightest(&self.fixed.limit, &self.fixed.windows, |window| self.share.left(window))
    }
}

fn now() -> Nanos {
    Nanos::try_from(coarse().as_nanos()).unwrap_or(Nanos::MAX)
}

/// A thread that panicked here has changed a whole share or none.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
