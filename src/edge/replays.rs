//! Proofs that were used, for as long as they could be used again; so many at most, and one more is not believed.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    model::{Fingerprint, Fingerprints, confirmation::Thumbprint},
    pipeline::jwt::dpop,
    telemetry::Metrics,
};

/// Longer than any proof can be good.
const SPAN: Duration = dpop::MAX_AGE.saturating_add(dpop::MAX_AHEAD);
/// Proofs that come on many threads at once.
const SHARDS: usize = 16;
/// Proofs of one span in one shard: half a million in all, which is more than five thousand a second without end.
const MOST: usize = 500_000 / SHARDS;

/// There is no room to remember another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Proofs by key and id.
pub(super) struct Replays {
    names: Fingerprints,
    shards: [Mutex<Shard>; SHARDS],
    most: usize,
}

/// What is older than two spans is forgotten as a whole.
struct Shard {
    began: Instant,
    present: HashSet<Fingerprint>,
    past: HashSet<Fingerprint>,
}

impl Replays {
    pub(super) fn new() -> Self {
        Self::of(MOST)
    }

    fn of(most: usize) -> Self {
        let shard = || {
            let (present, past) = (HashSet::new(), HashSet::new());
            Mutex::new(Shard { began: Instant::now(), present, past })
        };
        Self { names: Fingerprints::new(), shards: std::array::from_fn(|_| shard()), most }
    }

    /// Remembers a proof. Returns whether it comes for the first time.
    pub(super) fn first(
        &self,
        key: &Thumbprint,
        id: &str,
        now: Instant,
        metrics: &Metrics,
    ) -> Result<bool, Full> {
        let name = self.names.of(&[key.as_slice(), id.as_bytes()].concat());
        let at = usize::try_from(name.0 % SHARDS as u64).unwrap_or(0);
        let shard = self.shards.get(at).unwrap_or(&self.shards[0]);
        // A poisoned lock is entered all the same: each change below is one operation of a set.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.forget(now, metrics);
        if shard.past.contains(&name) || shard.present.contains(&name) {
            return Ok(false);
        }
        if shard.present.len() >= self.most {
            return Err(Full);
        }
        shard.present.insert(name);
        metrics.proofs_remembered(1);
        Ok(true)
    }
}

impl Shard {
    fn forget(&mut self, now: Instant, metrics: &Metrics) {
        let spans = now.saturating_duration_since(self.began).as_secs() / SPAN.as_secs();
        if spans == 0 {
            return;
        }
        let before = self.present.len() + self.past.len();
        self.past = std::mem::take(&mut self.present);
        if spans > 1 {
            self.past = HashSet::new();
        }
        self.began = now;
        let gone = before - self.past.len();
        metrics.proofs_remembered(-i64::try_from(gone).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Thumbprint = [1; 32];

    #[test]
    fn a_proof_is_new_once_for_as_long_as_it_could_be_good() {
        let (replays, metrics) = (Replays::new(), Metrics::new().unwrap());
        let start = Instant::now();
        let first = |key: &Thumbprint, id: &str, secs| {
            replays.first(key, id, start + Duration::from_secs(secs), &metrics)
        };
        assert_eq!(first(&KEY, "a", 80), Ok(true));
        for secs in [80, 89, 90, 100, 169] {
            assert_eq!(first(&KEY, "a", secs), Ok(false), "{secs}");
        }
        assert_eq!(first(&KEY, "b", 169), Ok(true));
        assert_eq!(first(&[2; 32], "a", 169), Ok(true), "another client's");
        assert_eq!(first(&KEY, "a", 400), Ok(true), "no proof is that old");
    }

    #[test]
    fn what_cannot_be_remembered_is_not_believed_and_room_comes_with_time() {
        let (replays, metrics) = (Replays::of(4), Metrics::new().unwrap());
        let start = Instant::now();
        let all = |from: usize, secs| {
            let now = start + Duration::from_secs(secs);
            let of = |at: usize| replays.first(&KEY, &format!("p{at}"), now, &metrics);
            (from..from + 1000).filter(|at| of(*at) == Ok(true)).count()
        };
        assert_eq!(all(0, 0), 4 * SHARDS);
        assert_eq!(all(1000, 1), 0);
        assert_eq!(all(2000, 91), 4 * SHARDS);
        let held = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.present.len() + shard.past.len()
        };
        assert_eq!(replays.shards.iter().map(held).sum::<usize>(), 8 * SHARDS, "and no more");
    }
}
