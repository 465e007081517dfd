//! One client connection's state: what is waited for, until when, and how it is to end.
//!
//! Hooks and the stream itself ([`super::guard::Guard`]) share it. All of a connection's hooks and its stream run in one
//! task, so that plain stores are enough: a deadline set by a hook is seen by the next poll of the stream. Only
//! [`super::watch`] comes from outside, and wakes that task.
//!
//! With HTTP/2 each request has one of its own ([`Conn::stream`]), shared with its [`super::http2::Stream`]: these two run in
//! the task of the request. That of the connection itself then only knows of heads that are not complete.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Waker},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use super::{http2::Budget, tls::TlsFacts};
use crate::pipeline::Deny;

/// From the first byte of a request to the end of its head; also what a new connection may stay silent.
const HEAD_TOTAL: Duration = Duration::from_secs(10);
/// Between two requests.
const IDLE: Duration = Duration::from_secs(60);

/// The monotonic clock as of the last tick, some milliseconds ago: a deadline is moved many times per request, and the
/// exact clock costs several times as much.
fn coarse() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::MonotonicCoarse;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    // Neither part is ever negative (POSIX, `clock_gettime`).
    Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default()
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The next request.
    Idle,
    /// The rest of a request's head.
    Head,
    /// Request body.
    Body,
    /// The upstream.
    Upstream,
}

/// Which deadline ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The client was too slow.
    Client,
    /// The upstream was.
    Upstream,
}

/// The handle that hooks use; one per connection, shared with its [`Guard`].
pub(super) struct Conn {
    /// Who connected.
    pub(super) peer: SocketAddr,
    /// Name of the listener.
    pub(super) listener: Arc<str>,
    /// What the handshake told; `None`: plain HTTP.
    pub(super) tls: Option<Arc<TlsFacts>>,
    /// What an HTTP/2 connection may still do; `None`: another protocol.
    budget: Option<Arc<Budget>>,
    born: Instant,
    /// The same moment on the [`coarse`] clock.
    born_coarse: Duration,
    phase: AtomicU8,
    /// Milliseconds since `born`; zero is none.
    deadline: AtomicU64,
    /// Milliseconds the upstream may be silent; zero is no limit.
    gap: AtomicU64,
    expired: AtomicU8,
    linger: AtomicBool,
    abort: AtomicBool,
    /// Whether [`Conn::end`] may come from another task.
    watched: AtomicBool,
    /// Why the stream on it may not go on.
    ended: OnceLock<Deny>,
    /// The task of the stream, where it is watched.
    waker: Mutex<Option<Waker>>,
}

impl Conn {
    pub(super) fn new(
        peer: SocketAddr,
        listener: Arc<str>,
        tls: Option<Arc<TlsFacts>>,
    ) -> Arc<Self> {
        let conn = Self::fresh(peer, listener, tls, None);
        conn.set_deadline(HEAD_TOTAL);
        Arc::new(conn)
    }

    /// For one request of an HTTP/2 connection.
    pub(super) fn stream(&self, budget: &Arc<Budget>) -> Arc<Self> {
        let (listener, tls) = (Arc::clone(&self.listener), self.tls.clone());
        Arc::new(Self::fresh(self.peer, listener, tls, Some(Arc::clone(budget))))
    }

    fn fresh(
        peer: SocketAddr,
        listener: Arc<str>,
        tls: Option<Arc<TlsFacts>>,
        budget: Option<Arc<Budget>>,
    ) -> Self {
        Self {
            peer,
            listener,
            tls,
            budget,
            born: Instant::now(),
            born_coarse: coarse(),
            phase: AtomicU8::new(Phase::Idle as u8),
            deadline: AtomicU64::new(0),
            gap: AtomicU64::new(0),
            expired: AtomicU8::new(0),
            linger: AtomicBool::new(false),
            abort: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            ended: OnceLock::new(),
            waker: Mutex::new(None),
        }
    }

    /// A request on it could not be read in one way. With HTTP/1 that ends the connection; here it has a budget.
    pub(super) fn malformed(&self) {
        if let Some(budget) = &self.budget {
            budget.malformed();
        }
    }

    /// A request's head was read.
    pub(super) fn begin(&self, has_body: bool) {
        self.gap.store(0, Relaxed);
        self.deadline.store(0, Relaxed);
        self.enter(if has_body { Phase::Body } else { Phase::Upstream });
    }

    /// The request's body is complete.
    pub(super) fn body_done(&self) {
        self.enter(Phase::Upstream);
    }

    /// The upstream must do its next step within this time; each byte to the client starts it anew.
    pub(super) fn expect(&self, gap: Duration) {
        self.gap.store(u64::try_from(gap.as_millis()).unwrap_or(u64::MAX).max(1), Relaxed);
        self.touch();
    }

    /// The upstream did something.
    pub(super) fn touch(&self) {
        let gap = self.gap.load(Relaxed);
        if gap != 0 {
            self.set_deadline(Duration::from_millis(gap));
        }
    }

    /// Nothing is waited for from the upstream any more.
    pub(super) fn settled(&self) {
        self.gap.store(0, Relaxed);
        self.deadline.store(0, Relaxed);
    }

    /// The answer is out; the next request may come.
    pub(super) fn idle(&self) {
        self.enter(Phase::Idle);
        self.set_deadline(IDLE);
    }

    /// The client may still be sending: read a little longer before closing.
    pub(super) fn linger(&self) {
        self.linger.store(true, Relaxed);
    }

    /// End the connection so that no truncated answer looks complete.
    pub(super) fn abort(&self) {
        self.abort.store(true, Relaxed);
    }

    /// The stream on it may be ended from another task from now on.
    pub(super) fn watched(&self) {
        self.watched.store(true, Relaxed);
    }

    /// Ends the stream on it: the next read fails, and one that waits is woken to fail.
    pub(super) fn end(&self, deny: Deny) {
        // The first reason stays.
        let _ = self.ended.set(deny);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Why the stream was ended, if it was.
    pub(super) fn ended(&self) -> Option<&Deny> {
        self.ended.get()
    }

    /// A read of a watched stream waits: remembers whom to wake. Returns whether it was ended meanwhile.
    pub(super) fn waits(&self, cx: &Context<'_>) -> bool {
        if !self.watched.load(Relaxed) {
            return false;
        }
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !waker.as_ref().is_some_and(|own| own.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        self.ended().is_some()
    }

    /// Whether a deadline ended this connection, and whose.
    pub(super) fn expired(&self) -> Option<Expired> {
        match self.expired.load(Relaxed) {
            0 => None,
            1 => Some(Expired::Client),
            _ => Some(Expired::Upstream),
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            _ => Phase::Upstream,
        }
    }

    fn set_deadline(&self, span: Duration) {
        let at = coarse().saturating_sub(self.born_coarse) + span;
        self.deadline.store(u64::try_from(at.as_millis()).unwrap_or(u64::MAX).max(1), Relaxed);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.deadline.load(Relaxed) {
            0 => None,
            millis => self.born.checked_add(Duration::from_millis(millis)),
        }
    }

    /// A request's head is being read.
    pub(super) fn head_began(&self) {
        self.enter(Phase::Head);
        self.set_deadline(HEAD_TOTAL);
    }

    /// Whether leftover request bytes are to be read before the end.
    pub(super) fn lingers(&self) -> bool {
        self.linger.load(Relaxed)
    }

    /// Whether it ends in a reset.
    pub(super) fn aborts(&self) -> bool {
        self.abort.load(Relaxed)
    }

    /// The client takes nothing any more.
    pub(super) fn stalled(&self) -> io::Error {
        self.expired.store(1, Relaxed);
        io::ErrorKind::TimedOut.into()
    }

    /// The read deadline passed.
    pub(super) fn expire(&self) -> io::Error {
        let whose = if self.phase() == Phase::Upstream { 2 } else { 1 };
        self.expired.store(whose, Relaxed);
        io::ErrorKind::TimedOut.into()
    }
}
