//! HTTP/2 with clients: one connection, its streams, and what it may do.
//!
//! The library (`h2`) speaks the protocol; it is asked here and not through pingora so that each stream has the deadlines
//! that a connection of HTTP/1 has ([`Stream`]), and so that a connection that uses up a budget can be told to go
//! ([`Frames`]). A stream is handed to pingora as a session of its own, already in the form that HTTP/1 has: a path,
//! and the authority as `Host`.

mod frames;
mod head;
mod stream;
mod turns;

use std::{
    future::poll_fn,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::Request;
use pingora::{apps::HttpServerApp, protocols::http::ServerSession, proxy::HttpProxy};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use self::turns::Turns;
pub(super) use self::{
    frames::{Budget, Frames, Settled},
    stream::Stream,
};
use super::{
    Gateway, Shared,
    accept::{Counted, digest_of},
    alarm::Alarm,
    conn::Conn,
    guard::{Guard, Wire},
    settings::Http2,
};

/// How long the last words of a connection may take.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes of an answer that the library keeps for one stream.
const SEND_BUFFER: usize = 64 << 10;

/// What every connection of the process is handed on with.
pub(super) struct Door {
    pub(super) shared: Arc<Shared>,
    pub(super) proxy: Arc<HttpProxy<Gateway>>,
    /// What pingora is told: true once no further request may come on a connection.
    pub(super) closing: watch::Receiver<bool>,
}

/// Serves a connection to its end.
pub(super) async fn serve(wire: impl Wire, conn: Arc<Conn>, permit: Counted, door: &Door) {
    let Some(digest) = digest_of(&conn) else { return };
    let limits = door.shared.settings.http2;
    let budget = Arc::new(Budget::default());
    let frames = Frames::new(limits, Arc::clone(&budget));
    let guard = Guard::new(wire, Arc::clone(&conn), digest, permit).with_frames(frames);
    // Until the client's first words are read, the deadline of a new connection holds.
    let shaken = builder(&limits).handshake::<_, Bytes>(guard).await;
    let connection = match shaken {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(event = "http2_handshake_failed", peer = %conn.peer, %error);
            return;
        }
    };
    if !conn.in_head() {
        conn.head_ended();
    }
    let session = Session {
        connection,
        conn,
        budget,
        open: Arc::default(),
        idle: Alarm::default(),
        since: None,
        ending: false,
        accepted: 0,
        settled: Settled::default(),
    };
    // Boxed: it is large, and a connection of HTTP/1 takes the same way here.
    Box::pin(session.run(door)).await;
}

fn builder(limits: &Http2) -> Builder {
    let resets = limits.resets.try_into().unwrap_or(usize::MAX);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_list)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(resets)
        .max_pending_accept_reset_streams(resets);
    builder
}

/// Streams that run now.
#[derive(Default)]
pub(super) struct Open {
    count: AtomicUsize,
    /// Told when the last one ends, and when one finds that the client reads nothing.
    turn: Notify,
    turns: Arc<Turns>,
}

/// One stream among those that run.
pub(super) struct Running(Arc<Open>);

impl Running {
    fn new(open: &Arc<Open>) -> Self {
        open.count.fetch_add(1, Relaxed);
        Self(Arc::clone(open))
    }

    /// Has the connection look at its budgets.
    fn wake(&self) {
        self.0.turn.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Relaxed) == 1 {
            self.wake();
        }
    }
}

struct Session<T> {
    connection: Connection<T, Bytes>,
    conn: Arc<Conn>,
    budget: Arc<Budget>,
    open: Arc<Open>,
    idle: Alarm,
    /// Since when no stream has been open.
    since: Option<Instant>,
    /// The client was told to open no more.
    ending: bool,
    accepted: u32,
    settled: Settled,
}

enum Event {
    Request(Box<(Request<RecvStream>, SendResponse<Bytes>)>),
    /// Ended by either side.
    Over,
    /// A budget is used up.
    Spent(&'static str),
    Idle,
    /// The process wants to stop.
    Closing,
    /// Something to look at anew.
    Turn,
}

impl<T> Session<T>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    async fn run(mut self, door: &Door) {
        let mut closing = door.closing.clone();
        let mut left = self.conn.limits.requests;
        loop {
            let open = Arc::clone(&self.open);
            let event = tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing), if !self.ending => Event::Closing,
                event = poll_fn(|cx| self.poll(cx)) => event,
                () = open.turn.notified() => Event::Turn,
            };
            match event {
                Event::Request(request) => {
                    self.accepted = self.accepted.wrapping_add(1);
                    self.begin(*request, door);
                    left = left.saturating_sub(1);
                    if left == 0 && !self.ending {
                        self.conn.last_request();
                        self.say_last();
                    }
                }
                Event::Closing => self.say_last(),
                Event::Spent(reason) => {
                    door.shared.parts.metrics.http2_ended(reason);
                    let peer = self.conn.peer;
                    tracing::info!(event = "http2_budget_spent", %peer, reason);
                    return self.end(h2::Reason::ENHANCE_YOUR_CALM).await;
                }
                Event::Idle => {
                    if !self.ending {
                        self.conn.rested();
                    }
                    return self.end(h2::Reason::NO_ERROR).await;
                }
                Event::Turn => {}
                Event::Over => return,
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let accepted = self.connection.poll_accept(cx);
        // Whatever came of it: the frames were counted while they were read.
        if let Some(reason) = self.budget.spent() {
            return Poll::Ready(Event::Spent(reason));
        }
        match accepted {
            Poll::Ready(Some(Ok(request))) => {
                return Poll::Ready(Event::Request(Box::new(request)));
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(event = "http2_ended", peer = %self.conn.peer, %error);
                if error.is_go_away() && error.is_library() {
                    self.settle();
                }
                return Poll::Ready(Event::Over);
            }
            Poll::Ready(None) => return Poll::Ready(Event::Over),
            Poll::Pending => self.settle(),
        }
        if self.open.count.load(Relaxed) > 0 {
            self.since = None;
            return Poll::Pending;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        // A client that does not answer to a good-bye would else be waited for like one that is at rest.
        let rest = match self.accepted {
            _ if self.ending => LAST_WORDS,
            0 => self.conn.limits.head_timeout,
            _ => self.conn.limits.idle_timeout,
        };
        self.idle.poll(since + rest, cx).map(|()| Event::Idle)
    }

    /// Counts the requests that the library refused by itself.
    fn settle(&mut self) {
        for _ in 0..self.budget.settle(self.accepted, &mut self.settled) {
            self.conn.refused_unseen();
        }
    }

    /// Tells the client to open no more streams; those that run go on.
    fn say_last(&mut self) {
        (self.ending, self.since) = (true, None);
        self.connection.graceful_shutdown();
    }

    fn begin(&self, (request, reply): (Request<RecvStream>, SendResponse<Bytes>), door: &Door) {
        let conn = self.conn.stream(&self.budget);
        let (budget, running) = (Arc::clone(&self.budget), Running::new(&self.open));
        let Some(mut stream) = Stream::new(request, reply, conn, budget, running) else { return };
        // Taken back in the same breath: nobody waits for an answer, and nothing is done for it.
        if stream.is_gone() {
            return;
        }
        let (proxy, closing) = (Arc::clone(&door.proxy), door.closing.clone());
        tokio::spawn(async move {
            // In a box: hardly any request waits here.
            if !stream.has_turn() && !Box::pin(stream.wait_for_turn()).await {
                return;
            }
            let session = ServerSession::new_custom(Box::new(stream));
            proxy.process_new_http(session, &closing).await;
        });
    }

    /// Says good-bye and closes. Streams that still run find their connection gone.
    async fn end(mut self, reason: h2::Reason) {
        // What the client is still sending would else answer our last words with a reset.
        self.conn.linger();
        self.connection.abrupt_shutdown(reason);
        let closed = poll_fn(|cx| self.connection.poll_closed(cx));
        let said: Result<Result<(), h2::Error>, _> =
            pingora::prelude::timeout(LAST_WORDS, closed).await;
        if let Ok(Err(error)) = said {
            tracing::debug!(event = "http2_ended", peer = %self.conn.peer, %error);
        }
    }
}

/// An error of the library as the stream's own.
fn to_io(error: h2::Error) -> io::Error {
    if error.is_io() {
        error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    } else {
        io::Error::other(error)
    }
}
