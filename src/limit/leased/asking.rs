//! Asking Redis for shares and giving them back: the background half of [`super::Leases`].

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::{
    Fixed, Job, Leases, held, now,
    share::{Ask, Grant, IDLE, LEASE_MILLIS},
};
use crate::{
    fleet::{Lost, Value},
    limit::{
        levels::{self, Levels},
        local::table::{CELLS, Key},
    },
};

/// Does what is to be done, until the limiter is gone.
pub(super) async fn run(leases: Arc<Leases>, mut to_do: mpsc::UnboundedReceiver<Job>) {
    let idle = Duration::from_nanos(IDLE);
    let mut watched: VecDeque<(Instant, Key)> = VecDeque::new();
    loop {
        let job = match watched.front() {
            Some((due, _)) => tokio::time::timeout_at(*due, to_do.recv()).await.ok(),
            None => Some(to_do.recv().await),
        };
        match job {
            Some(Some(Job::Ask(key))) => leases.ask(key),
            Some(Some(Job::Watch(key))) => watched.push_back((Instant::now() + idle, key)),
            Some(None) => return,
            None => {}
        }
        let now = Instant::now();
        while let Some((due, key)) = watched.front().copied()
            && due <= now
        {
            watched.pop_front();
            if leases.give_back_idle(key) {
                watched.push_back((now + idle, key));
            }
        }
    }
}

impl Leases {
    /// Asks for more of this key.
    fn ask(self: &Arc<Self>, key: Key) {
        let Some(shard) = self.shard(key) else { return };
        let asked = held(&shard.entries).get_mut(&key).map(|entry| {
            let sent = now();
            (entry.share.ask(sent), Arc::clone(&entry.fixed), sent)
        });
        if let Some((ask, fixed, sent)) = asked {
            tokio::spawn(Arc::clone(self).settle(key, ask, fixed, sent));
        }
    }

    /// Gives the share of this key back if nobody uses it. Whether it is to be looked at again.
    fn give_back_idle(self: &Arc<Self>, key: Key) -> bool {
        let Some(shard) = self.shard(key) else { return false };
        let (sent, mut entries) = (now(), held(&shard.entries));
        let Some(entry) = entries.get_mut(&key) else { return false };
        let Some(ask) = entry.share.idle(sent) else {
            entry.watched = entry.share.holds();
            return entry.watched;
        };
        entry.watched = false;
        tokio::spawn(Arc::clone(self).settle(key, ask, Arc::clone(&entry.fixed), sent));
        false
    }

    async fn settle(self: Arc<Self>, key: Key, ask: Ask, fixed: Arc<Fixed>, sent: u64) {
        let answer = self.say(&ask, &fixed).await;
        let Some(shard) = self.shard(key) else { return };
        let watch = {
            let mut entries = held(&shard.entries);
            let Some(entry) = entries.get_mut(&key) else { return };
            match answer {
                Ok(grant) => entry.share.told(sent, now(), &grant),
                Err(Lost) => entry.share.failed(self.next_epoch()),
            }
            let watch = entry.share.holds() && !entry.watched;
            entry.watched |= watch;
            watch
        };
        if watch {
            self.to_do(Job::Watch(key));
        }
        shard.told.notify_waiters();
    }

    /// One call. [`Lost`] as well where Redis has heard of a later beginning: then this one is over.
    async fn say(&self, ask: &Ask, fixed: &Fixed) -> Result<Grant, Lost> {
        let mut arguments = vec![
            self.members.name().to_owned(),
            ask.epoch.to_string(),
            ask.spent.to_string(),
            ask.back.to_string(),
            ask.need.to_string(),
            ask.extra.to_string(),
            LEASE_MILLIS.to_string(),
            self.members.known().to_string(),
        ];
        arguments.extend(levels::arguments(&fixed.windows));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = self.client.run(&self.script, &[&fixed.key], &arguments).await?;
        read(said, fixed.windows.len()).ok_or(Lost)
    }
}

fn read(said: Value, windows: usize) -> Option<Grant> {
    let Value::Array(said) = said else { return None };
    let mut said = said.into_iter();
    let mut whole = || match said.next()? {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    };
    let (known, ready, extra, wait) = (whole()? == 1, whole()?, whole()?, whole()?);
    let few = Levels::read(&mut said, windows)?;
    let mut levels = [0.0; CELLS];
    levels.iter_mut().zip(few.as_slice()).for_each(|(level, read)| *level = *read);
    let small = |number| u32::try_from(number).ok();
    let (ready, extra, wait) = (small(ready)?, small(extra)?, wait.saturating_mul(1_000));
    Some(Grant { known, ready, extra, levels, wait })
}
