//! When sessions were last used: noted in memory, and written to the store so that what another node reads there is never
//! more than [`STEP`] and one turn of the timer behind.
//!
//! A use stays here until the store has it or a later one, so that the last one of all arrives there whatever else is lost. A
//! session in constant use is written once per step. What the store has is learned wherever it is read, and from the other
//! nodes by the way ([`Marks`]): a session that all of them see is then written by one of them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{Identity, IdentityError};
use crate::model::{SessionId, Timestamp};

/// How far the store may be behind while a session is used. Half of the shortest time for which one may rest (1 min), with
/// the timer: whoever reads in the store that a session has rested for that long is right.
pub(super) const STEP: Duration = Duration::from_secs(20);
/// What nothing is to be written of is forgotten after this time.
const FORGOTTEN: Duration = Duration::from_secs(120);
/// Sessions of one write, for which all others wait.
const BATCH: usize = 500;
/// Parts of the table, so that busy workers rarely wait for each other.
const SHARDS: usize = 16;

/// Where nodes tell each other what the store has. Whatever is lost there, or made up, costs a write or the rest of a step:
/// nothing that is said there lets a session live longer.
#[async_trait]
pub trait Marks: Send + Sync + 'static {
    /// Up to when the store has the uses of these sessions, each where that is known.
    async fn known(&self, ids: &[&SessionId]) -> Vec<Option<Timestamp>>;

    /// The store has these now.
    async fn tell(&self, stored: &[(SessionId, Timestamp)], now: Timestamp);
}

/// One session.
#[derive(Clone, Copy, Debug, Default)]
struct Touch {
    /// Last used here.
    last: Timestamp,
    /// What the store has at least.
    stored: Timestamp,
}

/// Uses of sessions.
#[derive(Default)]
pub(super) struct Touches {
    shards: [Mutex<HashMap<SessionId, Touch>>; SHARDS],
}

impl Touches {
    /// A session is used.
    pub(super) fn note(&self, id: &SessionId, now: Timestamp) {
        self.change(id, |touch| touch.last = touch.last.max(now));
    }

    /// The store has this use, or one that leaves as little to be written.
    pub(super) fn learn(&self, id: &SessionId, stored: Timestamp) {
        self.change(id, |touch| touch.stored = touch.stored.max(stored));
    }

    /// When it was last used here, as far as that is still known.
    pub(super) fn last(&self, id: &SessionId) -> Option<Timestamp> {
        self.shard(id).get(id).map(|touch| touch.last)
    }

    /// What is to be written now. `all`: whatever the store does not have.
    fn due(&self, now: Timestamp, all: bool) -> Vec<(SessionId, Timestamp)> {
        let mut due = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, touch| {
                touch.last > touch.stored || now.since(touch.stored) < FORGOTTEN
            });
            let late = |touch: &Touch| all || now.since(touch.stored) >= STEP;
            let found = shard.iter().filter(|(_, touch)| touch.last > touch.stored && late(touch));
            due.extend(found.map(|(id, touch)| (id.clone(), touch.last)));
        }
        due
    }

    fn change(&self, id: &SessionId, change: impl FnOnce(&mut Touch)) {
        let mut shard = self.shard(id);
        match shard.get_mut(id) {
            Some(touch) => change(touch),
            None => change(shard.entry(id.clone()).or_default()),
        }
    }

    // A poisoned lock is entered all the same: each change is one of a number.
    fn shard(&self, id: &SessionId) -> MutexGuard<'_, HashMap<SessionId, Touch>> {
        // Ids are random to their last letter.
        let last = id.as_str().as_bytes().last().copied().unwrap_or_default();
        let [first, ..] = &self.shards;
        let shard = self.shards.get(usize::from(last) % SHARDS).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    /// Has the nodes tell each other here which uses of sessions are written. Later calls do nothing.
    pub fn share_touches(&self, marks: std::sync::Arc<dyn Marks>) {
        let _ = self.inner.marks.set(marks);
    }

    /// Writes the uses of sessions that are due. `all`: whatever is not written yet, because the process ends.
    pub(super) async fn flush_touches(&self, all: bool) -> Result<(), IdentityError> {
        let (touches, now) = (&self.inner.touches, self.now());
        let mut due = touches.due(now, all);
        let marks = self.inner.marks.get().filter(|_| !due.is_empty());
        if let Some(marks) = marks {
            for part in due.chunks(BATCH) {
                let ids: Vec<_> = part.iter().map(|(id, _)| id).collect();
                // Part by part: of one for which nobody answers nothing is known.
                let known = marks.known(&ids).await;
                for (id, known) in ids.into_iter().zip(known) {
                    // Nobody has written what is still to come.
                    known.filter(|at| *at <= now).iter().for_each(|at| touches.learn(id, *at));
                }
            }
            due = touches.due(now, all);
        }
        for part in due.chunks(BATCH) {
            self.inner.store.sessions_seen(part).await?;
            part.iter().for_each(|(id, at)| touches.learn(id, *at));
            if let Some(marks) = marks {
                marks.tell(part, now).await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;
    use crate::identity::test_kit::Kit;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn due(touches: &Touches, now: Timestamp) -> Vec<Timestamp> {
        touches.due(now, false).into_iter().map(|(_, at)| at).collect()
    }

    #[test]
    fn a_session_in_use_is_written_once_per_step_and_its_last_use_always() {
        let (touches, id) = (Touches::default(), SessionId::from("s"));
        touches.note(&id, START);
        assert_eq!(due(&touches, START), [START]);
        // A write that fails is tried again.
        assert_eq!(due(&touches, START + SECOND), [START]);
        touches.learn(&id, START);
        let mut written = 0;
        for second in 1..=100 {
            let now = START + second * SECOND;
            touches.note(&id, now);
            for at in due(&touches, now) {
                touches.learn(&id, at);
                written += 1;
            }
        }
        assert_eq!(written, 5);
        let last = START + 107 * SECOND;
        touches.note(&id, last);
        assert_eq!(touches.last(&id), Some(last));
        assert_eq!(due(&touches, last), []);
        assert_eq!(due(&touches, START + 120 * SECOND), [last], "though nobody comes any more");
        touches.learn(&id, last);
        assert_eq!(due(&touches, START + 9999 * SECOND), []);
        assert_eq!(touches.last(&id), None, "it is forgotten");
    }

    /// Answers nothing at first, and then that everything is written; remembers what it was told.
    #[derive(Default)]
    struct Forgetful {
        asked: AtomicBool,
        known: Mutex<Vec<SessionId>>,
        told: Mutex<Vec<SessionId>>,
    }

    #[async_trait]
    impl Marks for Forgetful {
        async fn known(&self, ids: &[&SessionId]) -> Vec<Option<Timestamp>> {
            if !self.asked.swap(true, Ordering::SeqCst) {
                return Vec::new();
            }
            self.known.lock().unwrap().extend(ids.iter().copied().cloned());
            vec![Some(Timestamp(1)); ids.len()]
        }

        async fn tell(&self, stored: &[(SessionId, Timestamp)], _: Timestamp) {
            self.told.lock().unwrap().extend(stored.iter().map(|(id, _)| id.clone()));
        }
    }

    /// What is known of one part of many is not taken for another's, when nobody answers for the parts before.
    #[tokio::test]
    async fn an_answer_that_lacks_puts_off_no_session_but_those_it_is_about() {
        let kit = Kit::open(|_| ()).await;
        let marks = Arc::new(Forgetful::default());
        kit.identity.share_touches(marks.clone());
        for number in 0..=BATCH {
            kit.identity.inner.touches.note(&format!("s-{number}").as_str().into(), Timestamp(1));
        }
        kit.identity.flush_usage().await.unwrap();
        let (known, told) = (marks.known.lock().unwrap(), marks.told.lock().unwrap());
        assert_eq!((known.len(), told.len()), (1, BATCH));
        assert!(!told.contains(&known[0]), "the one that is known is the one that is not written");
        assert!(kit.identity.inner.touches.due(kit.identity.now(), false).is_empty());
    }

    #[test]
    fn what_others_have_written_puts_off_what_is_older_than_a_step_and_takes_nothing_away() {
        let (touches, id) = (Touches::default(), SessionId::from("s"));
        touches.note(&id, START + 5 * SECOND);
        touches.learn(&id, START);
        assert_eq!(due(&touches, START + 19 * SECOND), []);
        assert_eq!(due(&touches, START + STEP), [START + 5 * SECOND]);
        // Another node has written an earlier use meanwhile, then a later one.
        touches.learn(&id, START + 4 * SECOND);
        assert_eq!(due(&touches, START + STEP), []);
        assert_eq!(touches.due(START + STEP, true).len(), 1, "the process ends");
        assert_eq!(due(&touches, START + 24 * SECOND), [START + 5 * SECOND]);
        touches.learn(&id, START + 6 * SECOND);
        assert_eq!(due(&touches, START + 99 * SECOND), []);
    }
}
