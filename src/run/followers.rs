//! What keeps this node's memory in step with what other nodes change in the store. Nothing of it runs where a node has its
//! store for itself.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Gateway, heralds};
use crate::{
    admin::{Control, Trouble},
    identity::Followed,
};

/// Pause before signing keys that could not be read are asked for again.
const PAUSE: Duration = Duration::from_millis(500);

/// The store confirms once a second what is held of it in memory; a word that is older than this is missing.
const CURRENT: Duration = Duration::from_secs(5);

/// Begins to follow.
pub(super) fn start(gateway: &Arc<Gateway>) {
    let opened = gateway.opened();
    if !opened.store.is_shared() {
        return;
    }
    let (identity, announcements) = (opened.identity.clone(), opened.store.announcements());
    let herald = opened.redis.as_ref().map(heralds::start);
    // Before the first change can be taken in.
    let changes = identity.signing_key_changes();
    tokio::spawn(follow_keys(gateway.clone(), changes));
    tokio::spawn(async move { identity.follow_changes(announcements, herald).await });
}

/// What is wrong where the store has confirmed nothing for a while.
pub(super) fn trouble(followed: Option<Followed>) -> Option<Trouble> {
    let lag = followed?.lag;
    let what = format!(
        "what other nodes changed in the last {} s is not known: after stale_for every credential is answered 503",
        lag.as_secs()
    );
    (lag > CURRENT).then_some(Trouble { part: "changes", what })
}

/// Takes over signing keys that another node has made: first the edge verifies them, then this node signs with them.
async fn follow_keys(gateway: Arc<Gateway>, mut changes: watch::Receiver<u64>) {
    let identity = &gateway.opened().identity;
    while changes.changed().await.is_ok() {
        let new = loop {
            match identity.read_signing_keys().await {
                Ok(new) => break new,
                Err(error) => {
                    tracing::warn!(event = "signing_keys_not_read", %error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        gateway.keys_changed().await;
        for set in new {
            identity.sign_with_newest(&set).await;
            tracing::info!(event = "signing_key_taken_over", keys = %set);
        }
    }
}
