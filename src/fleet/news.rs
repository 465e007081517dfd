//! News over Redis: whoever listens hears what is told from then on, and is told when something may have been missed.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::Instant,
};

use super::{Client, dial};

/// How often a quiet connection is asked whether it is there.
const LOOK: Duration = Duration::from_millis(500);
/// How long it may take to say so.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_millis(150);
/// Messages that wait for the listener. More, and the connection waits.
const WAITING: usize = 1024;

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something that was told.
    Message(Vec<u8>),
    /// From here on nothing is missed; before, something may have been. The first thing heard on every connection.
    Listening,
    /// The connection was lost: what is told meanwhile is missed.
    Lost,
}

/// A place to listen at. Dropped, it ends.
pub struct Subscription {
    news: mpsc::Receiver<News>,
    doubt: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Subscription {
    pub(super) fn start(client: Client, channel: String) -> Self {
        let (tell, news) = mpsc::channel(WAITING);
        let doubt = Arc::new(Notify::new());
        let doubted = doubt.clone();
        let task = tokio::spawn(async move {
            // Ends when nobody listens any more.
            while listen(&client, &channel, &tell, &doubted).await.is_some() {
                tokio::time::sleep(AGAIN).await;
            }
        });
        Self { news, doubt, task }
    }

    /// For whoever knows that something was told which was not heard here: another connection is made then.
    pub fn doubt(&self) -> Arc<Notify> {
        self.doubt.clone()
    }

    /// The next thing to know. `None` only when the runtime ends.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens over one connection until it is lost, doubted, or to another server than the one that is asked. `None`: nobody wants
/// to know.
async fn listen(
    client: &Client,
    channel: &str,
    tell: &mpsc::Sender<News>,
    doubt: &Notify,
) -> Option<()> {
    // What the client finds after this is somewhere else: after a failover the old primary may still answer.
    let mut turns = client.turns();
    while !client.is_up() {
        turns.changed().await.ok()?;
    }
    let Ok(link) = dial::listen(client.settings()).await else { return Some(()) };
    let (mut sink, mut stream) = link.split();
    let subscribed = tokio::time::timeout(PATIENCE, sink.subscribe(channel)).await;
    if !matches!(subscribed, Ok(Ok(()))) {
        return Some(());
    }
    tell.send(News::Listening).await.ok()?;
    let mut look = Instant::now() + LOOK;
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(message) => {
                    let bytes = message.get_payload_bytes().to_vec();
                    tell.send(News::Message(bytes)).await.ok()?;
                }
                None => break,
            },
            () = tokio::time::sleep_until(look) => {
                let there = tokio::time::timeout(PATIENCE, sink.ping::<redis::Value>()).await;
                if !matches!(there, Ok(Ok(_))) {
                    break;
                }
                look = Instant::now() + LOOK;
            }
            () = doubt.notified() => break,
            turned = turns.changed() => {
                turned.ok()?;
                if client.is_up() {
                    break;
                }
            }
        }
    }
    tell.send(News::Lost).await.ok()
}
