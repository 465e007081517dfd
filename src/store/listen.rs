//! Hearing of changes while they are made (`LISTEN`). One connection beside the pools, made anew whenever it is lost.
//!
//! Nothing hangs on it but time: whoever hears of nothing asks ([`Store::changes_since`]).

use std::{sync::Arc, time::Duration};

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use super::{Announcement, Engine, Store, StoreError, postgres::Door};

/// What the triggers of the schema notify.
const CHANNEL: &str = "portcullis_change";
/// Announcements that may wait; more wait in the connection.
const WAITING: usize = 1024;
/// Pause before a lost connection is made anew, and how long making it may take.
const PAUSE: Duration = Duration::from_millis(200);
const CONNECTING: Duration = Duration::from_secs(3);

/// What is announced, until it is dropped.
pub struct Announcements {
    /// In the order in which it came.
    pub heard: mpsc::Receiver<Announcement>,
    /// Told when something was changed of which nothing was heard: a connection may be dead without knowing it.
    pub doubt: Arc<Notify>,
    /// Told when this process has ended a write.
    pub wrote: Arc<Notify>,
}

impl Store {
    /// Begins to listen to what is changed in this store. Nothing is ever heard where it is one process's own.
    pub fn announcements(&self) -> Announcements {
        let (tell, heard) = mpsc::channel(WAITING);
        let doubt = Arc::new(Notify::new());
        if let Engine::Postgres(door) = &self.inner.engine {
            tokio::spawn(listen(door.clone(), tell, doubt.clone()));
        }
        Announcements { heard, doubt, wrote: self.inner.wrote.clone() }
    }
}

/// Listens until nobody hears any more.
async fn listen(door: Door, tell: mpsc::Sender<Announcement>, doubt: Arc<Notify>) {
    while !tell.is_closed() {
        // A doubt of the connection before is none of this one.
        let connected = timeout(CONNECTING, connect(&door)).await;
        if let Ok(Ok(listener)) = connected {
            let lost = tokio::select! {
                lost = forward(listener, &tell) => lost,
                () = doubt.notified() => "silent",
                () = tell.closed() => return,
            };
            tracing::info!(event = "change_listener_lost", reason = lost);
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = tell.closed() => return,
        }
    }
}

async fn connect(door: &Door) -> Result<PgListener, StoreError> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECTING)
        .connect_with(door.listening()?)
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Passes on what is heard, until the connection is lost.
async fn forward(mut listener: PgListener, tell: &mpsc::Sender<Announcement>) -> &'static str {
    // Whatever was made before is to be asked for.
    let mut said = Announcement::Interrupted;
    loop {
        if tell.send(said).await.is_err() {
            return "stopped";
        }
        said = match listener.try_recv().await {
            Ok(Some(notification)) => Announcement::parse(notification.payload())
                // A word of a newer version: something was changed.
                .unwrap_or(Announcement::Interrupted),
            Ok(None) => return "closed",
            Err(_) => return "failed",
        };
    }
}
