//! The edge node's end: asks identity nodes, one after the other until one answers.
//!
//! A question may be asked again elsewhere, for it changes nothing. What is to be noted is sent again only where it surely
//! did not arrive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{Mutex, Notify, Semaphore, mpsc};

use super::{
    dial::{self, Node},
    lines::{self, Lines},
    settings::Settings,
    words::{
        ALIVE, ASSERTION, AskedChanges, AskedFacts, AskedKey, AskedSession, CHANGES, ENDED, EVENTS,
        FACTS, KEY, KeyWords, Lost, NEWS, Page, SESSION, SessionWords, Signed, USES,
    },
};
use crate::{
    identity::{
        Announcement, Announcements, AskedAssertion, AuditEvent, ChangePage, Ended, Facts,
        IdentityError, Noted, Origin, Uses, read_line,
    },
    model::{Digest, KeyId, MountName, Timestamp},
    pipeline::{KeyEvidence, SessionEvidence},
};

/// Longest answer to a question.
const LONGEST: usize = 8 * 1024 * 1024;
/// Everything that has ended may take longer than a question: there may be a million of them.
const WHOLE: Duration = Duration::from_secs(30);
/// Without a word for so long a line is dead.
const SILENT: Duration = Duration::from_secs(6);
/// Pause before a lost line is opened anew.
const PAUSE: Duration = Duration::from_millis(200);
/// Announcements that may wait; more wait in the connection.
const WAITING: usize = 1024;
/// Events sent at once.
const BATCH: usize = 500;

/// Asks identity nodes; cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    settings: Settings,
    nodes: ArcSwap<Vec<Node>>,
    /// What the files held of which the connections were made.
    held: Mutex<[Vec<u8>; 3]>,
    /// The node that answered last.
    first: AtomicUsize,
    places: Semaphore,
}

/// Why a node gave no answer.
enum Fault {
    /// Nothing was sent.
    NotSent,
    /// It may have been done.
    Unsure,
    /// It said so itself.
    Said(IdentityError),
}

impl Client {
    /// Reads the certificates. Nothing is asked yet.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let held = dial::held(&settings.files).ok_or("the link's certificates cannot be read")?;
        let nodes = dial::nodes(&settings, &held)?;
        let places = Semaphore::new(settings.at_once);
        Ok(Self(Arc::new(Inner {
            settings,
            nodes: ArcSwap::from_pointee(nodes),
            held: Mutex::new(held),
            first: AtomicUsize::new(0),
            places,
        })))
    }

    /// Takes certificates over that changed; `true`: they did, and connections begin anew.
    pub async fn refresh(&self) -> bool {
        let inner = &self.0;
        let files = inner.settings.files.clone();
        let read = tokio::task::spawn_blocking(move || dial::held(&files)).await;
        let Ok(Some(now)) = read else { return false };
        let mut held = inner.held.lock().await;
        if *held == now {
            return false;
        }
        match dial::nodes(&inner.settings, &now) {
            Ok(nodes) => {
                inner.nodes.store(Arc::new(nodes));
                *held = now;
                tracing::info!(event = "link_certificate_reloaded");
                true
            }
            Err(reason) => {
                // One of two files is always the first to be replaced; those in force go on.
                tracing::warn!(event = "link_certificate_refused", reason);
                false
            }
        }
    }

    /// What may be asked again elsewhere.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, IdentityError> {
        let body = serde_json::to_vec(body).map_err(|_| IdentityError::Internal)?;
        let _place = self.place().await?;
        let (nodes, first) = self.order();
        // All of them have a turn in the time of one question.
        let turns = u32::try_from(nodes.len()).unwrap_or(u32::MAX).clamp(1, 2);
        let patience = self.0.settings.timeout / turns;
        let mut last = IdentityError::Unavailable;
        for turn in 0..nodes.len() {
            let at = (first + turn) % nodes.len();
            let Some(node) = nodes.get(at) else { break };
            match post(node, path, body.clone(), patience).await {
                Ok(bytes) => {
                    self.0.first.store(at, Ordering::Relaxed);
                    return serde_json::from_slice(&bytes).map_err(|_| unreadable(node, path));
                }
                // It knows, and so do all others.
                Err(Fault::Said(error @ IdentityError::NotFound)) => return Err(error),
                Err(Fault::Said(error)) => last = error,
                Err(Fault::NotSent | Fault::Unsure) => last = IdentityError::Unavailable,
            }
        }
        Err(last)
    }

    /// What must not be done twice.
    async fn tell<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Option<T>, Noted> {
        let body = serde_json::to_vec(body).map_err(|_| Noted::No)?;
        let _place = self.place().await.map_err(|_| Noted::No)?;
        let (nodes, first) = self.order();
        for turn in 0..nodes.len() {
            let at = (first + turn) % nodes.len();
            let Some(node) = nodes.get(at) else { break };
            match post(node, path, body.clone(), self.0.settings.timeout).await {
                Ok(bytes) if bytes.is_empty() => return Ok(None),
                Ok(bytes) => return serde_json::from_slice(&bytes).map_err(|_| Noted::Perhaps),
                Err(Fault::NotSent) => {}
                Err(Fault::Unsure | Fault::Said(_)) => return Err(Noted::Perhaps),
            }
        }
        Err(Noted::No)
    }

    fn order(&self) -> (Arc<Vec<Node>>, usize) {
        (self.0.nodes.load_full(), self.0.first.load(Ordering::Relaxed))
    }

    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, IdentityError> {
        let place = tokio::time::timeout(self.0.settings.timeout, self.0.places.acquire());
        // It is never closed.
        place.await.ok().and_then(Result::ok).ok_or(IdentityError::Busy)
    }

    async fn everything_ended(&self, node: &Node) -> Result<Ended, IdentityError> {
        let asked = node.client().get(node.url(ENDED)).timeout(WHOLE).send().await;
        let mut reply = asked.map_err(|error| lost(node, ENDED, &error))?;
        if !reply.status().is_success() {
            return Err(said(reply.status()));
        }
        let (mut lines, mut ended) = (Lines::default(), Ended::default());
        while let Some(piece) = reply.chunk().await.map_err(|error| lost(node, ENDED, &error))? {
            for line in lines.take(&piece)? {
                if lines::read(&line, &mut ended)? {
                    return Ok(ended);
                }
            }
        }
        // Without its end it is not all of it, and must not be taken for that.
        Err(IdentityError::Unavailable)
    }

    /// Listens at one node until nobody hears any more, or the line is lost.
    async fn listen(&self, node: &Node, tell: &mpsc::Sender<Announcement>) {
        let asked = tokio::time::timeout(SILENT, node.client().get(node.url(NEWS)).send()).await;
        let mut reply = match asked {
            Ok(Ok(reply)) if reply.status().is_success() => reply,
            _ => return,
        };
        // What was changed before it was open has been announced to nobody here.
        if tell.send(Announcement::Interrupted).await.is_err() {
            return;
        }
        let mut lines = Lines::default();
        while let Ok(Ok(Some(piece))) = tokio::time::timeout(SILENT, reply.chunk()).await {
            let Ok(whole) = lines.take(&piece) else { return };
            for said in whole.iter().filter(|line| !line.is_empty()).filter_map(|l| read_line(l)) {
                if tell.send(said).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Sends one question to one node.
async fn post(
    node: &Node,
    path: &str,
    body: Vec<u8>,
    patience: Duration,
) -> Result<Vec<u8>, Fault> {
    let request = node.client().post(node.url(path)).timeout(patience);
    let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body);
    let mut reply = request.send().await.map_err(|error| {
        lost(node, path, &error);
        if error.is_connect() { Fault::NotSent } else { Fault::Unsure }
    })?;
    if !reply.status().is_success() {
        return Err(Fault::Said(said(reply.status())));
    }
    let mut whole = Vec::new();
    while let Some(piece) = reply.chunk().await.map_err(|_| Fault::Unsure)? {
        if whole.len() + piece.len() > LONGEST {
            return Err(Fault::Unsure);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

fn said(status: http::StatusCode) -> IdentityError {
    match status {
        http::StatusCode::NOT_FOUND => IdentityError::NotFound,
        http::StatusCode::SERVICE_UNAVAILABLE => IdentityError::Unavailable,
        _ => IdentityError::Internal,
    }
}

fn lost(node: &Node, path: &str, error: &reqwest::Error) -> IdentityError {
    let reason = match () {
        () if error.is_connect() => "no connection",
        () if error.is_timeout() => "timeout",
        () => "broken",
    };
    tracing::debug!(event = "identity_node_lost", node = %node.label, path, reason);
    IdentityError::Unavailable
}

fn unreadable(node: &Node, path: &str) -> IdentityError {
    tracing::warn!(event = "identity_node_unreadable", node = %node.label, path);
    IdentityError::Internal
}

#[async_trait]
impl Origin for Client {
    async fn key(
        &self,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        let asked = AskedKey { mount: mount.clone(), id: id.clone() };
        let found: Option<KeyWords> = self.ask(KEY, &asked).await?;
        Ok(found.and_then(KeyWords::read).map(Arc::new))
    }

    async fn session(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        let asked = AskedSession { mount: mount.clone(), secret: *secret.as_bytes() };
        let found: Option<SessionWords> = self.ask(SESSION, &asked).await?;
        Ok(found.map(|found| Arc::new(found.read())))
    }

    async fn assertion(
        &self,
        asked: &AskedAssertion,
    ) -> Result<(String, Timestamp), IdentityError> {
        let Signed { text, end } = self.ask(ASSERTION, asked).await?;
        Ok((text, end))
    }

    async fn facts(&self, sets: &[MountName]) -> Result<Facts, IdentityError> {
        self.ask(FACTS, &AskedFacts { sets: sets.to_vec() }).await
    }

    async fn changes_since(&self, after: u64, limit: u32) -> Result<ChangePage, IdentityError> {
        let page: Page = self.ask(CHANGES, &AskedChanges { after, limit }).await?;
        Ok(page.read())
    }

    async fn ended(&self) -> Result<Ended, IdentityError> {
        let (nodes, first) = self.order();
        let mut last = IdentityError::Unavailable;
        for turn in 0..nodes.len() {
            let Some(node) = nodes.get((first + turn) % nodes.len()) else { break };
            match self.everything_ended(node).await {
                Ok(ended) => return Ok(ended),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn announcements(&self) -> Announcements {
        let (tell, heard) = mpsc::channel(WAITING);
        let (client, doubt) = (self.clone(), Arc::new(Notify::new()));
        let doubted = doubt.clone();
        tokio::spawn(async move {
            let mut turn = 0_usize;
            while !tell.is_closed() {
                let (nodes, first) = client.order();
                let began = Instant::now();
                if let Some(node) = nodes.get((first + turn) % nodes.len().max(1)) {
                    let node_lost = tokio::select! {
                        () = client.listen(node, &tell) => "lost",
                        () = doubted.notified() => "silent",
                        () = tell.closed() => return,
                    };
                    tracing::info!(event = "link_news_lost", node = %node.label, reason = node_lost);
                }
                // One that could not be heard at all is not the one to try next.
                turn = if began.elapsed() < SILENT { turn.wrapping_add(1) } else { 0 };
                tokio::time::sleep(PAUSE).await;
            }
        });
        Announcements { heard, doubt, wrote: Arc::new(Notify::new()) }
    }

    async fn note(&self, uses: &Uses) -> Noted {
        match self.tell::<()>(USES, uses).await {
            Ok(_) => Noted::Yes,
            Err(noted) => noted,
        }
    }

    async fn record(&self, events: Vec<AuditEvent>) -> usize {
        let mut lost = 0;
        for batch in events.chunks(BATCH) {
            lost += match self.tell::<Lost>(EVENTS, &batch).await {
                Ok(told) => told.map_or(0, |told| told.lost),
                Err(_) => batch.len(),
            };
        }
        lost
    }

    async fn healthy(&self) -> bool {
        let (nodes, first) = self.order();
        for turn in 0..nodes.len() {
            let Some(node) = nodes.get((first + turn) % nodes.len()) else { break };
            let asked = node.client().get(node.url(ALIVE)).timeout(self.0.settings.timeout / 2);
            if asked.send().await.is_ok_and(|reply| reply.status().is_success()) {
                return true;
            }
        }
        false
    }
}
