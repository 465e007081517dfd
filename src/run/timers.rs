//! What is done from time to time. A failure is logged and tried again at the next turn.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval};

use super::Gateway;
use crate::{
    admin::Control,
    courier::Courier,
    model::{Clock, SystemClock},
};

pub(super) const USAGE: Duration = Duration::from_secs(3);
pub(super) const LIMITER: Duration = Duration::from_secs(1);
pub(super) const REFUSALS: Duration = Duration::from_secs(60);
/// A schedule is in days; this only says how exactly it is kept.
const ROTATION: Duration = Duration::from_secs(30);
pub(super) const SWEEP: Duration = Duration::from_secs(300);
pub(super) const CERTIFICATES: Duration = Duration::from_millis(500);
const FILE: Duration = Duration::from_secs(1);

/// Starts all timers on the current runtime; they end with it.
pub(super) fn start(gateway: &Arc<Gateway>, watch_file: bool) {
    every(USAGE, gateway, |gateway| async move {
        if let Err(error) = gateway.opened().identity.flush_usage().await {
            tracing::warn!(event = "usage_not_written", %error);
        }
    });
    every(LIMITER, gateway, |gateway| async move {
        gateway.opened().limiter.sweep();
        if let Some(shared) = &gateway.opened().shared_limiter {
            shared.sweep();
        }
    });
    if gateway.edge().has_certificates() {
        every(CERTIFICATES, gateway, |gateway| async move { gateway.refresh_certificates().await });
    }
    gateway.publish_key_ages();
    every(ROTATION, gateway, |gateway| async move { gateway.rotate_due_keys().await });
    every(REFUSALS, gateway, |gateway| async move { gateway.record_refusals().await });
    let (wall, started) = (SystemClock.now(), Instant::now());
    every(SWEEP, gateway, move |gateway| async move {
        if let Err(error) = gateway.opened().identity.sweep(wall + started.elapsed()).await {
            tracing::warn!(event = "sweep_failed", %error);
        }
        let Some(keep) = gateway.active().blueprint.process.audit_retention else { return };
        let at_most = wall + started.elapsed();
        if let Err(error) = gateway.opened().identity.trim_audit(keep, at_most).await {
            tracing::warn!(event = "audit_not_trimmed", %error);
        }
    });
    match Courier::new() {
        Ok(courier) => {
            let identity = gateway.opened().identity.clone();
            tokio::spawn(async move { identity.deliver_webhooks(Arc::new(courier)).await });
        }
        // What is to be told waits in the store.
        Err(error) => tracing::error!(event = "webhooks_not_delivered", %error),
    }
    if watch_file {
        tokio::spawn(follow(gateway.clone(), gateway.active().file.clone()));
    }
}

/// Does something again and again, as long as the runtime lasts.
pub(super) fn every<T, F, W>(span: Duration, gateway: &Arc<T>, work: F)
where
    T: Send + Sync + 'static,
    F: Fn(Arc<T>) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let gateway = gateway.clone();
    tokio::spawn(async move {
        let mut turns = interval(span);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.tick().await;
        loop {
            turns.tick().await;
            work(gateway.clone()).await;
        }
    });
}

/// Reloads when the file became another one. Editors and config maps replace files, so the inode counts too.
pub(super) async fn follow(gateway: Arc<impl Control>, path: PathBuf) {
    let mut turns = interval(FILE);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = mark(&path);
    loop {
        turns.tick().await;
        let now = mark(&path);
        // A file that is gone for a moment is being replaced.
        if now.is_some() && now != seen {
            seen = now;
            gateway.reload().await;
        }
    }
}

fn mark(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}
