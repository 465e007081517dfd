//! The one background task: names are resolved and backends checked for whatever configuration is in force, so that a
//! reload may bring and take pools.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use super::{Live, Shared};

/// How often due health checks are looked for.
const TICK: Duration = Duration::from_millis(250);
/// How often names are resolved anew.
const DISCOVERY: Duration = Duration::from_secs(10);
/// Start-up waits no longer than this for names.
const FIRST_DISCOVERY: Duration = Duration::from_secs(3);

/// Resolves the names of the configuration in force once, before anything listens.
pub(super) async fn first_discovery(shared: &Shared) {
    // What is not known by then is found by the task below; requests to it wait for a moment, then get a 502.
    let _ = tokio::time::timeout(FIRST_DISCOVERY, discover(&shared.live())).await;
}

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut discovered = Instant::now();
    loop {
        let swapped = tokio::time::timeout(TICK, shared.swapped.notified()).await.is_ok();
        let live = shared.live();
        if swapped || discovered.elapsed() >= DISCOVERY {
            discover(&live).await;
            discovered = Instant::now();
        }
        let mut checks = JoinSet::new();
        for pool in live.pools() {
            let pool = Arc::clone(pool);
            checks.spawn(async move {
                pool.check().await;
                pool.publish();
            });
        }
        // Held apart from the wait: a configuration that was replaced meanwhile must be free to go.
        drop(live);
        while checks.join_next().await.is_some() {}
    }
}

async fn discover(live: &Live) {
    let mut running = JoinSet::new();
    for pool in live.pools() {
        let pool = Arc::clone(pool);
        running.spawn(async move { pool.discover().await });
    }
    while running.join_next().await.is_some() {}
}
