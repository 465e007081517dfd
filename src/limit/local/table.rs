//! Where the windows of all keys are kept: sharded, bounded, swept in small steps.
//!
//! A decision locks every shard it touches, always in the order of their numbers, reads, and writes only if all
//! its windows passed. Keys are hashes; no text of a client is kept.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{Few, gcra::Tat};
use crate::model::Fingerprint;

/// Windows kept together under one key. A limit with more takes several entries.
pub(in crate::limit) const CELLS: usize = 4;
/// State of up to [`CELLS`] windows.
pub(in crate::limit) type Cells = [Tat; CELLS];
/// 128 bits of keyed hash: too many to meet by chance, and not to be aimed at from outside.
pub(in crate::limit) type Key = Fingerprint;

const SHARDS: usize = 256;
/// Shards looked at by one [`Table::sweep`].
const SWEPT_AT_ONCE: usize = 16;
/// A full shard is searched for free places at most this often, or a flood of new keys would be a flood of searches.
const SEARCH_INTERVAL: Tat = 1_000_000_000;

/// All tracked keys.
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
    /// One bucket per limit for keys that found the table full. As many as there are limits, so not bounded further.
    /// Locked only while holding shards, never the other way round.
    coarse: Mutex<Map>,
    tracked: AtomicUsize,
    cap: usize,
    next_swept: AtomicUsize,
}

type Map = HashMap<Key, Cells, BuildHasherDefault<Hashed>>;

#[derive(Default)]
struct Shard {
    map: Map,
    searched_at: Tat,
}

impl Table {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            coarse: Mutex::default(),
            tracked: AtomicUsize::new(0),
            cap,
            next_swept: AtomicUsize::new(0),
        }
    }

    pub(super) fn tracked(&self) -> usize {
        self.tracked.load(Relaxed)
    }

    pub(super) fn cap(&self) -> usize {
        self.cap
    }

    /// Changes the state of a key that is tracked; `None` if it is not.
    pub(super) fn known<R>(&self, key: Key, change: impl FnOnce(&mut Cells) -> R) -> Option<R> {
        let mut shard = held(self.shards.get(number(key))?);
        shard.map.get_mut(&key).map(change)
    }

    /// Locks the shards of these keys.
    pub(super) fn lock(&self, keys: impl Iterator<Item = Key> + Clone) -> Locked<'_> {
        let mut shards = Few::new();
        // A handful of keys: looking for the next number again each time is cheaper than a sorted list of them.
        let mut next = keys.clone().map(number).min();
        while let Some(n) = next {
            shards.extend(self.shards.get(n).map(|shard| (n, held(shard))));
            next = keys.clone().map(number).filter(|other| *other > n).min();
        }
        Locked { table: self, shards, coarse: None }
    }

    /// Forgets keys whose windows are all full again, in the next few shards.
    pub(super) fn sweep(&self, now: Tat) {
        let first = self.next_swept.fetch_add(SWEPT_AT_ONCE, Relaxed);
        for shard in (first..first.wrapping_add(SWEPT_AT_ONCE)).map(|n| n % SHARDS) {
            if let Some(shard) = self.shards.get(shard) {
                self.release(held(shard).forget_full(now));
            }
        }
        forget_full(&mut held(&self.coarse), now);
    }

    /// Takes a place for one more key, if there is one.
    fn reserve(&self) -> bool {
        let more = |tracked| (tracked < self.cap).then_some(tracked + 1);
        self.tracked.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    fn release(&self, places: usize) {
        self.tracked.fetch_sub(places, Relaxed);
    }
}

/// The shards of one decision, locked.
pub(super) struct Locked<'t> {
    table: &'t Table,
    shards: Few<(usize, MutexGuard<'t, Shard>)>,
    coarse: Option<MutexGuard<'t, Map>>,
}

/// Where the state of a key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// Under its own key.
    Known,
    /// New, with a place reserved. To be written or given back.
    Reserved,
    /// In the coarse bucket of its limit.
    Coarse(Key),
}

impl Locked<'_> {
    /// The state of a key, and where it is kept. `coarse` names the bucket of its limit, asked for only if the table is full.
    pub(super) fn find(
        &mut self,
        key: Key,
        coarse: impl FnOnce() -> Key,
        now: Tat,
    ) -> (Seat, Cells) {
        let table = self.table;
        if let Some(shard) = self.shard(key) {
            if let Some(cells) = shard.map.get(&key) {
                return (Seat::Known, *cells);
            }
            if table.reserve() {
                return (Seat::Reserved, Cells::default());
            }
            if now.saturating_sub(shard.searched_at) >= SEARCH_INTERVAL {
                shard.searched_at = now;
                table.release(shard.forget_full(now));
                if table.reserve() {
                    return (Seat::Reserved, Cells::default());
                }
            }
        }
        let coarse = coarse();
        let cells = self.coarse().get(&coarse).copied().unwrap_or_default();
        (Seat::Coarse(coarse), cells)
    }

    /// Keeps the new state of a key.
    pub(super) fn keep(&mut self, key: Key, seat: Seat, cells: Cells) {
        match seat {
            Seat::Coarse(key) => {
                self.coarse().insert(key, cells);
            }
            Seat::Known | Seat::Reserved => {
                let Some(shard) = self.shard(key) else { return };
                // A search for free places in the same decision may have forgotten a known key that was full again.
                if shard.map.insert(key, cells).is_none() && seat == Seat::Known {
                    self.table.tracked.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Gives the place of a key back that was reserved and is not needed.
    pub(super) fn give_back(&mut self, seat: Seat) {
        if seat == Seat::Reserved {
            self.table.release(1);
        }
    }

    fn shard(&mut self, key: Key) -> Option<&mut Shard> {
        let wanted = number(key);
        self.shards.iter_mut().find(|(n, _)| *n == wanted).map(|(_, shard)| &mut **shard)
    }

    fn coarse(&mut self) -> &mut Map {
        self.coarse.get_or_insert_with(|| held(&self.table.coarse))
    }
}

impl Shard {
    fn forget_full(&mut self, now: Tat) -> usize {
        forget_full(&mut self.map, now)
    }
}

/// A window whose time has come is as good as a fresh one, so forgetting it changes no decision.
fn forget_full(map: &mut Map, now: Tat) -> usize {
    let before = map.len();
    map.retain(|_, cells| cells.iter().any(|tat| *tat > now));
    let forgotten = before - map.len();
    if forgotten > 0 && map.capacity() / 4 > map.len() {
        map.shrink_to(map.len() * 2);
    }
    forgotten
}

fn number(key: Key) -> usize {
    // The map uses the other half of the key; the remainder fits in any usize.
    (key.1 % SHARDS as u64) as usize
}

/// A thread that panicked while holding a shard wrote whole entries or none, so the shard is still good.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the first half of a [`Key`] as it is: it is a hash already.
#[derive(Default)]
pub(in crate::limit) struct Hashed(Option<u64>);

impl Hasher for Hashed {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, half: u64) {
        self.0.get_or_insert(half);
    }

    fn finish(&self) -> u64 {
        self.0.unwrap_or_default()
    }
}
