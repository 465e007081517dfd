//! What one change means for what this node holds in memory. The same as if it had been made here.

use std::{
    collections::HashMap,
    sync::PoisonError,
    time::{Duration, Instant},
};

use crate::{
    identity::{Identity, IdentityError, Inner},
    model::MountName,
    pipeline::News,
    store::{ChangeKind, ChangeRecord},
};

/// Clock differences and leeway on top of the end of a token.
const MARGIN: Duration = Duration::from_secs(120);

impl Inner {
    /// Takes a change in. Twice is as good as once.
    pub(super) fn take_in(&self, change: &ChangeRecord) {
        let ChangeRecord { kind, subject, until, .. } = change;
        let (now, remember) = (self.clock.now(), self.state().remember());
        match kind {
            ChangeKind::Token => {
                let end = until.map_or(now + remember, |until| until + MARGIN);
                self.feed.end_token(subject.as_str().into(), end);
            }
            ChangeKind::Session => {
                self.feed.end_sessions([subject.as_str().into()], now + remember);
            }
            ChangeKind::Key if !subject.is_empty() => {
                self.feed.changed(News::Key(subject.as_str().into()));
            }
            ChangeKind::Account if !subject.is_empty() => {
                self.feed.changed(News::Account(subject.as_str().into()));
            }
            ChangeKind::Access if !subject.is_empty() => {
                self.access.changed(&subject.as_str().into());
            }
            ChangeKind::Access => self.access.all_changed(),
            ChangeKind::SigningKeys => self.signing_keys_changed(),
            ChangeKind::Key | ChangeKind::Account => self.feed.changed(News::Anything),
            ChangeKind::Anything => self.anything_changed(),
        }
    }

    /// Reads anew what memory holds of the store. Answers with the newest change that is surely in it.
    pub(super) async fn rebuild(&self) -> Result<u64, IdentityError> {
        // Before anything is read: what is changed meanwhile is heard of once more.
        let head = self.store.change_head().await?;
        self.load_revocations(self.clock.now(), self.state().remember()).await?;
        self.anything_changed();
        Ok(head)
    }

    /// Notes where following has to begin, before anything is read into memory.
    pub(in crate::identity) async fn notes_head(&self) -> Result<(), IdentityError> {
        if self.store.is_shared() {
            let read = Instant::now();
            let head = self.store.change_head().await?;
            let _ = self.following.begins.set((head, read));
        }
        Ok(())
    }

    fn anything_changed(&self) {
        self.feed.changed(News::Anything);
        self.access.all_changed();
        self.signing_keys_changed();
    }

    fn signing_keys_changed(&self) {
        self.following.keys.send_modify(|turns| *turns = turns.wrapping_add(1));
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
