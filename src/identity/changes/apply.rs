//! What one change means for what this node holds in memory. The same as if it had been made here.

use std::{
    collections::HashMap,
    sync::PoisonError,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{Following, Memory};
use crate::{
    identity::{Identity, IdentityError, Inner, feed::Feed},
    model::{MountName, Timestamp},
    pipeline::News,
    store::{ChangeKind, ChangePage, ChangeRecord},
};

/// Clock differences and leeway on top of the end of a token.
const MARGIN: Duration = Duration::from_secs(120);

/// Takes into a view what a change means for it.
pub(in crate::identity) fn take_in(
    feed: &Feed,
    change: &ChangeRecord,
    now: Timestamp,
    remember: Duration,
) {
    let ChangeRecord { kind, subject, until, .. } = change;
    match kind {
        ChangeKind::Token => {
            let end = until.map_or(now + remember, |until| until + MARGIN);
            feed.end_token(subject.as_str().into(), end);
        }
        ChangeKind::Session => feed.end_sessions([subject.as_str().into()], now + remember),
        ChangeKind::Key if !subject.is_empty() => {
            feed.changed(News::Key(subject.as_str().into()));
        }
        ChangeKind::Account if !subject.is_empty() => {
            feed.changed(News::Account(subject.as_str().into()));
        }
        ChangeKind::Key | ChangeKind::Account | ChangeKind::Anything => {
            feed.changed(News::Anything);
        }
        ChangeKind::Access | ChangeKind::SigningKeys => {}
    }
}

#[async_trait]
impl Memory for Inner {
    fn following(&self) -> &Following {
        &self.following
    }

    fn take_in(&self, change: &ChangeRecord) {
        take_in(&self.feed, change, self.clock.now(), self.state().remember());
        match change.kind {
            ChangeKind::Access if !change.subject.is_empty() => {
                self.access.changed(&change.subject.as_str().into());
            }
            ChangeKind::Access => self.access.all_changed(),
            ChangeKind::SigningKeys => self.following.keys_changed(),
            ChangeKind::Anything => {
                self.access.all_changed();
                self.following.keys_changed();
            }
            _ => {}
        }
    }

    async fn changes_since(&self, after: u64, limit: u32) -> Result<ChangePage, IdentityError> {
        Ok(self.store.changes_since(after, limit).await?)
    }

    async fn rebuild(&self) -> Result<u64, IdentityError> {
        // Before anything is read: what is changed meanwhile is heard of once more.
        let head = self.store.change_head().await?;
        self.load_revocations(self.clock.now(), self.state().remember()).await?;
        self.feed.changed(News::Anything);
        self.access.all_changed();
        self.following.keys_changed();
        Ok(head)
    }
}

impl Inner {
    /// Notes where following has to begin, before anything is read into memory.
    pub(in crate::identity) async fn notes_head(&self) -> Result<(), IdentityError> {
        if self.store.is_shared() {
            let read = Instant::now();
            let head = self.store.change_head().await?;
            self.following.starts_at(head, read);
        }
        Ok(())
    }
}

impl Identity {
    /// Reads the signing keys of all mounts anew, as another node has left them. Gives the sets that have a new key; the
    /// caller must rebuild the edge's snapshot next, and then call [`Identity::sign_with_newest`] for each of them.
    pub async fn read_signing_keys(&self) -> Result<Vec<MountName>, IdentityError> {
        let inner = &self.inner;
        let _one_at_a_time = inner.changing.lock().await;
        let (state, now) = (inner.state(), self.now());
        let read = inner.read_all_keys(&state, now).await?;
        let mut all = inner.mount_keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        let read: HashMap<_, _> = read
            .into_iter()
            .map(|(set, keys)| {
                let keys = keys.after(all.get(&set).map(|keys| &**keys));
                if keys.waits() {
                    new.push(set.clone());
                }
                (set, keys)
            })
            .collect();
        for (set, keys) in read {
            all.insert(set, keys.into());
        }
        Ok(new)
    }
}
