//! What is kept in step with the changes, and what others are told of where it stands.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::{Notify, broadcast, mpsc, watch};

use super::{Followed, Following};
use crate::{
    identity::IdentityError,
    store::{Announcement, Announcements, ChangePage, ChangeRecord},
};

/// Announcements that may wait for a node that hears them from here.
const PASSED_ON: usize = 1024;

/// The memory of an identity node or of an edge node.
#[async_trait]
pub(in crate::identity) trait Memory: Send + Sync + 'static {
    /// Where it stands.
    fn following(&self) -> &Following;
    /// Takes a change in. Twice is as good as once.
    fn take_in(&self, change: &ChangeRecord);
    /// What was changed behind this number.
    async fn changes_since(&self, after: u64, limit: u32) -> Result<ChangePage, IdentityError>;
    /// Reads everything anew. Answers with the newest change that is surely in it.
    async fn rebuild(&self) -> Result<u64, IdentityError>;
}

impl Following {
    /// Where to begin: everything up to this change was read from the store, at this moment.
    pub(in crate::identity) fn starts_at(&self, head: u64, read: Instant) {
        let _ = self.begins.set((head, read));
    }

    /// Signing keys are to be read anew.
    pub(in crate::identity) fn keys_changed(&self) {
        self.keys.send_modify(|turns| *turns = turns.wrapping_add(1));
    }

    /// Counts up whenever signing keys are to be read anew.
    pub(in crate::identity) fn key_changes(&self) -> watch::Receiver<u64> {
        self.keys.subscribe()
    }

    /// Where this stands; `None`: nobody else changes the store.
    pub(in crate::identity) fn followed(&self) -> Option<Followed> {
        let Following { pulse, newest, upto, rebuilt, owed, .. } = self;
        let [database, redis] = owed
            .each_ref()
            .map(|owed| owed.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_millis));
        Some(Followed {
            lag: pulse.age(Instant::now())?,
            newest: newest.load(Ordering::Relaxed),
            upto: upto.load(Ordering::Relaxed),
            rebuilt: rebuilt.load(Ordering::Relaxed),
            owed: [("database", database), ("redis", redis)],
        })
    }

    /// What is heard here from now on, for somebody who hears nothing else.
    pub(in crate::identity) fn announced(&self) -> Announcements {
        let mut source = self.heard.get_or_init(|| broadcast::Sender::new(PASSED_ON)).subscribe();
        let (tell, heard) = mpsc::channel(PASSED_ON);
        tokio::spawn(async move {
            loop {
                let said = tokio::select! {
                    said = source.recv() => said,
                    () = tell.closed() => return,
                };
                let said = match said {
                    Ok(said) => said,
                    Err(broadcast::error::RecvError::Lagged(_)) => Announcement::Interrupted,
                    Err(broadcast::error::RecvError::Closed) => return,
                };
                if tell.send(said).await.is_err() {
                    return;
                }
            }
        });
        Announcements { heard, doubt: Arc::new(Notify::new()), wrote: Arc::new(Notify::new()) }
    }

    /// Tells the nodes that hear only this one.
    pub(super) fn passes_on(&self, heard: &Announcement) {
        if let Some(others) = self.heard.get() {
            // Nobody may listen at the moment.
            let _ = others.send(heard.clone());
        }
    }
}
