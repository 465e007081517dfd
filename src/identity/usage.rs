//! How often and when keys and sessions are used: counted in memory, written in batches, never one write per request.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use crate::model::Timestamp;

/// Parts of the table, so that busy workers rarely wait for each other.
const SHARDS: usize = 16;

/// Uses of one key or session since the last batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// How many.
    pub(super) count: u64,
    /// The last one.
    pub(super) last: Timestamp,
}

impl Uses {
    fn add(&mut self, other: Uses) {
        self.count = self.count.saturating_add(other.count);
        self.last = self.last.max(other.last);
    }
}

/// Uses not yet written.
pub(super) struct Usage<K> {
    shards: [Mutex<HashMap<K, Uses>>; SHARDS],
    /// Taken out for writing, still counted until the write is done.
    writing: Mutex<HashMap<K, Uses>>,
}

impl<K> Default for Usage<K> {
    fn default() -> Self {
        Self { shards: Default::default(), writing: Mutex::default() }
    }
}

// A poisoned lock is entered all the same: losing a count is worse than reading one.
impl<K: Clone + Eq + Hash + Borrow<str>> Usage<K> {
    /// Counts one use.
    pub(super) fn note(&self, id: &K, now: Timestamp) {
        self.add(id, 1, now);
    }

    /// Counts so many uses, the last one at this moment.
    pub(super) fn add(&self, id: &K, count: u64, last: Timestamp) {
        let mut map = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        let some = Uses { count, last };
        match map.get_mut(id.borrow()) {
            Some(uses) => uses.add(some),
            None => {
                map.insert(id.clone(), some);
            }
        }
    }

    /// What is not yet written of one key.
    pub(super) fn pending(&self, id: &K) -> Uses {
        // Same order of locks as in `take`, so that nothing is seen twice or missed on its way between the two.
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let counting = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        let mut uses = writing.get(id.borrow()).copied().unwrap_or_default();
        uses.add(counting.get(id.borrow()).copied().unwrap_or_default());
        uses
    }

    /// Takes everything out for writing. What is never [`Usage::written`] comes again next time.
    pub(super) fn take(&self) -> Vec<(K, Uses)> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shards {
            let mut map = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, uses) in map.drain() {
                writing.entry(id).or_default().add(uses);
            }
        }
        writing.iter().map(|(id, uses)| (id.clone(), *uses)).collect()
    }

    /// These of the batch are in the store.
    pub(super) fn written<'a>(&self, ids: impl IntoIterator<Item = &'a K>)
    where
        K: 'a,
    {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            writing.remove(id.borrow());
        }
        if writing.is_empty() {
            // After a moment with very many, their room.
            writing.shrink_to(SHARDS);
        }
    }

    fn shard(&self, id: &K) -> &Mutex<HashMap<K, Uses>> {
        // Ids are random to their last letter.
        let last = Borrow::<str>::borrow(id).as_bytes().last().copied().unwrap_or_default();
        let [first, ..] = &self.shards;
        self.shards.get(usize::from(last) % SHARDS).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyId;

    #[test]
    fn uses_are_counted_while_pending_and_while_being_written() {
        let usage = Usage::<KeyId>::default();
        let id = KeyId::from("k");
        usage.note(&id, Timestamp(1));
        usage.note(&id, Timestamp(3));
        assert_eq!(usage.pending(&id), Uses { count: 2, last: Timestamp(3) });
        assert_eq!(usage.take(), [(id.clone(), Uses { count: 2, last: Timestamp(3) })]);
        usage.note(&id, Timestamp(4));
        assert_eq!(usage.pending(&id).count, 3);
        usage.written([&id]);
        assert_eq!(usage.pending(&id), Uses { count: 1, last: Timestamp(4) });
    }

    #[test]
    fn a_failed_write_is_tried_again_with_what_came_after() {
        let usage = Usage::<KeyId>::default();
        usage.note(&"k".into(), Timestamp(1));
        usage.note(&"in-time".into(), Timestamp(1));
        usage.take();
        // Of a batch in parts the first was written.
        usage.written([&"in-time".into()]);
        usage.note(&"k".into(), Timestamp(2));
        assert_eq!(usage.take(), [("k".into(), Uses { count: 2, last: Timestamp(2) })]);
    }
}
