//! One client connection's state: what is waited for, until when, and how it is to end.
//!
//! Hooks and the stream itself ([`super::guard::Guard`]) share it. All of a connection's hooks and its stream run in one
//! task, so that plain stores are enough: a deadline set by a hook is seen by the next poll of the stream. Only what ends a
//! request ([`ending`]) comes from outside, and wakes that task.
//!
//! With HTTP/2 each request has one of its own ([`Conn::stream`]), shared with its [`super::http2::Stream`]: these two run in
//! the task of the request. That of the connection itself then only knows of heads that are not complete.

mod ending;
mod lag;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use self::ending::Ending;
use super::{ClientLimits, ForwardAuth, http2::Budget, tls::TlsFacts};
use crate::{
    model::time::coarse,
    telemetry::{Metrics, metrics::Cut},
};

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
    /// What the client may take.
    pub(super) limits: Arc<ClientLimits>,
    metrics: Metrics,
    /// What the handshake told; `None`: plain HTTP.
    pub(super) tls: Option<Arc<TlsFacts>>,
    /// A proxy asks on it; `None`: a client speaks.
    pub(super) front: Option<Arc<ForwardAuth>>,
    /// What an HTTP/2 connection may still do; `None`: another protocol.
    budget: Option<Arc<Budget>>,
    /// Requests so far.
    requests: AtomicU32,
    born: Instant,
    /// The same moment on the [`coarse`] clock.
    born_coarse: Duration,
    phase: AtomicU8,
    /// Milliseconds since `born`; zero is none.
    deadline: AtomicU64,
    /// Milliseconds the upstream may be silent; zero is no limit.
    gap: AtomicU64,
    expired: AtomicU8,
    /// What [`super::framing`] noted of the present request.
    framing: AtomicU8,
    /// Whatever comes behind the request is nobody's.
    surplus: AtomicBool,
    /// A head was answered that no hook saw.
    unseen: AtomicBool,
    linger: AtomicBool,
    abort: AtomicBool,
    /// How others end what runs on it.
    ending: Ending,
    /// Since when it keeps us waiting, in milliseconds since `born`; zero: it does not.
    lags: AtomicU64,
}

impl Conn {
    pub(super) fn new(
        peer: SocketAddr,
        listener: Arc<str>,
        limits: Arc<ClientLimits>,
        metrics: Metrics,
        tls: Option<Arc<TlsFacts>>,
        front: Option<Arc<ForwardAuth>>,
        patience: Duration,
    ) -> Arc<Self> {
        let fresh = Self::fresh(peer, listener, limits, metrics, tls);
        let conn = Self { front, ..fresh };
        conn.set_deadline(patience);
        Arc::new(conn)
    }

    /// For one request of an HTTP/2 connection.
    pub(super) fn stream(&self, budget: &Arc<Budget>) -> Arc<Self> {
        let (listener, limits) = (Arc::clone(&self.listener), Arc::clone(&self.limits));
        let (metrics, tls) = (self.metrics.clone(), self.tls.clone());
        let fresh = Self::fresh(self.peer, listener, limits, metrics, tls);
        let (budget, front) = (Some(Arc::clone(budget)), self.front.clone());
        Arc::new(Self { budget, front, ..fresh })
    }

    fn fresh(
        peer: SocketAddr,
        listener: Arc<str>,
        limits: Arc<ClientLimits>,
        metrics: Metrics,
        tls: Option<Arc<TlsFacts>>,
    ) -> Self {
        Self {
            peer,
            listener,
            limits,
            metrics,
            tls,
            front: None,
            budget: None,
            requests: AtomicU32::new(0),
            born: Instant::now(),
            born_coarse: coarse(),
            phase: AtomicU8::new(Phase::Idle as u8),
            deadline: AtomicU64::new(0),
            gap: AtomicU64::new(0),
            expired: AtomicU8::new(0),
            framing: AtomicU8::new(0),
            surplus: AtomicBool::new(false),
            unseen: AtomicBool::new(false),
            linger: AtomicBool::new(false),
            abort: AtomicBool::new(false),
            ending: Ending::default(),
            lags: AtomicU64::new(0),
        }
    }

    /// A request on it could not be read in one way. With HTTP/1 that ends the connection; here it has a budget.
    pub(super) fn malformed(&self) {
        if let Some(budget) = &self.budget {
            budget.malformed();
        }
    }

    /// A request was refused that no hook saw.
    pub(super) fn refused_unseen(&self) {
        self.metrics.head_refused();
    }

    /// A request's head was read.
    pub(super) fn begin(&self, has_body: bool) {
        let requests = self.requests.load(Relaxed).wrapping_add(1);
        self.requests.store(requests, Relaxed);
        if requests == self.limits.requests && self.budget.is_none() {
            // pingora says so in the answer and closes behind it.
            self.last_request();
        }
        self.settled();
        self.lags.store(0, Relaxed);
        self.enter(if has_body { Phase::Body } else { Phase::Upstream });
    }

    /// No head is being read on an HTTP/2 connection: each of its requests has deadlines of its own.
    pub(super) fn head_ended(&self) {
        self.settled();
        self.enter(Phase::Upstream);
    }

    /// It has brought all the requests it may.
    pub(super) fn last_request(&self) {
        self.metrics.connection_cut(Cut::Requests);
    }

    /// An HTTP/2 connection was without a request for too long.
    pub(super) fn rested(&self) {
        self.cut(1, Cut::Idle);
    }

    /// The request's body is complete.
    pub(super) fn body_done(&self) {
        self.enter(Phase::Upstream);
        self.lags.store(0, Relaxed);
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
        self.set_deadline(self.limits.idle_timeout);
    }

    /// The client may still be sending: read a little longer before closing.
    pub(super) fn linger(&self) {
        self.linger.store(true, Relaxed);
    }

    /// End the connection so that no truncated answer looks complete.
    pub(super) fn abort(&self) {
        self.abort.store(true, Relaxed);
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

    /// What was noted of the present request's bytes.
    pub(super) fn framing(&self) -> u8 {
        self.framing.load(Relaxed)
    }

    pub(super) fn note_framing(&self, noted: u8) {
        self.framing.store(noted, Relaxed);
    }

    /// What comes behind this request, before its answer, is thrown away, and the connection ends with the answer. Not so on
    /// a connection that may become a tunnel.
    pub(super) fn drop_surplus(&self, on: bool) {
        self.surplus.store(on, Relaxed);
    }

    /// Whether bytes that come now belong to no request.
    pub(super) fn drops_surplus(&self) -> bool {
        self.phase() == Phase::Upstream && self.surplus.load(Relaxed)
    }

    /// Something is written while a head is being read: the library answers it by itself.
    pub(super) fn answered(&self) {
        if self.phase() == Phase::Head {
            self.unseen.store(true, Relaxed);
        }
    }

    /// Whether its last head was answered without any hook.
    pub(super) fn was_unseen(&self) -> bool {
        self.unseen.load(Relaxed)
    }

    /// A request's head is being read. That of the first one has what silence left of the time of a new connection.
    pub(super) fn head_began(&self) {
        if self.phase() != Phase::Idle || self.requests.load(Relaxed) > 0 {
            self.set_deadline(self.limits.head_timeout);
        }
        self.enter(Phase::Head);
    }

    /// Whether a head has begun and is not complete.
    pub(super) fn in_head(&self) -> bool {
        self.phase() == Phase::Head
    }

    /// Whether leftover request bytes are to be read before the end.
    pub(super) fn lingers(&self) -> bool {
        self.linger.load(Relaxed)
    }

    /// Whether it ends in a reset.
    pub(super) fn aborts(&self) -> bool {
        self.abort.load(Relaxed)
    }

    /// The head is larger than any that is read.
    pub(super) fn overlong(&self) {
        self.metrics.connection_cut(Cut::Head);
    }

    /// The client takes nothing any more.
    pub(super) fn stalled(&self) -> io::Error {
        self.cut(1, Cut::Write);
        // What it did not take would stay in the system's buffers for minutes.
        self.abort();
        io::ErrorKind::TimedOut.into()
    }

    /// The read deadline passed.
    pub(super) fn expire(&self) -> io::Error {
        match self.phase() {
            Phase::Upstream => self.expired.store(2, Relaxed),
            Phase::Idle if self.requests.load(Relaxed) > 0 => self.cut(1, Cut::Idle),
            Phase::Idle | Phase::Head => self.cut(1, Cut::HeadTime),
            Phase::Body => self.cut(1, Cut::Body),
        }
        io::ErrorKind::TimedOut.into()
    }

    /// Counted once, however often the stream is asked again.
    fn cut(&self, whose: u8, why: Cut) {
        if self.expired.swap(whose, Relaxed) == 0 {
            self.metrics.connection_cut(why);
        }
    }
}
