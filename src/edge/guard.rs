//! A client connection as pingora sees it: the socket, with deadlines the library does not have.
//!
//! Everything about time on a connection is here: the head of a request must be complete within a total, a body must
//! keep a minimum rate, a reader may not stall, an idle connection ends, and an upstream that is waited for has a
//! deadline. The last one sits on the client's side because pingora polls it while it waits for the upstream, and because
//! only so can the deadline change when the response header arrives. The bytes are counted (pingora would let a head grow
//! to a mebibyte and parse it from the start again with every piece that comes) and shown to [`super::framing`].

mod answers;
mod linger;

use std::{
    fmt, io,
    os::fd::AsRawFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use memchr::memmem;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use self::{
    answers::{HEAD_TOO_LARGE, LINE_TOO_LONG, NO_TUNNEL, NOT_HTTP},
    linger::Linger,
};
use super::{
    alarm::Alarm,
    conn::{Conn, Phase},
    framing::Watch,
    http2::Frames,
    pace::Pace,
    websocket::{self, Boundary},
};

/// Joins a header and a small body into one packet; small, because every idle connection holds one.
const WRITE_BUFFER: usize = 2048;

/// What a client's bytes come over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {
    /// The socket below.
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// The stream handed to pingora, or to what speaks HTTP/2.
pub(super) struct Guard<S: Wire, P> {
    io: BufWriter<S>,
    conn: Arc<Conn>,
    digest: Arc<ProxyDigest>,
    body: Pace,
    taking: Pace,
    watch: Watch,
    /// Bytes came behind a request, which the library would take for a client that breaks off.
    surplus: bool,
    /// Bytes of the head that is being read, and after how many no more of it is.
    head: usize,
    max_head: usize,
    /// It asks for a head only: of all methods only `HEAD` begins like this.
    to_head: bool,
    read_timer: Alarm,
    write_timer: Alarm,
    /// The client was waited for to take something.
    stalled: bool,
    linger: Option<Linger>,
    /// Where HTTP/2 is spoken: its frames, counted.
    frames: Option<Frames>,
    /// Where a WebSocket is tunnelled: how far its frames have come.
    boundary: Boundary,
    /// Held as long as the connection lives: its place in the table of connections.
    _permit: P,
}

impl<S: Wire, P> Guard<S, P> {
    pub(super) fn new(wire: S, conn: Arc<Conn>, digest: Arc<ProxyDigest>, permit: P) -> Self {
        Self {
            io: BufWriter::with_capacity(WRITE_BUFFER, wire),
            max_head: conn.limits.head_bytes(),
            conn,
            digest,
            body: Pace::default(),
            taking: Pace::default(),
            watch: Watch::default(),
            surplus: false,
            head: 0,
            to_head: false,
            read_timer: Alarm::default(),
            write_timer: Alarm::default(),
            stalled: false,
            linger: None,
            frames: None,
            boundary: Boundary::default(),
            _permit: permit,
        }
    }

    /// Its bytes are frames of HTTP/2, which have budgets of their own.
    pub(super) fn with_frames(mut self, frames: Frames) -> Self {
        self.frames = Some(frames);
        self
    }

    fn on_read(&mut self, piece: &[u8]) {
        if let Some(frames) = &mut self.frames {
            let before = frames.in_head();
            frames.came(piece);
            match (before, frames.in_head()) {
                (false, true) => self.conn.head_began(),
                (true, false) => self.conn.head_ended(),
                _ => {}
            }
            return;
        }
        let bytes = piece.len();
        if bytes > 0 {
            if self.conn.phase() == Phase::Idle {
                self.watch = Watch::default();
            }
            self.conn.note_framing(self.watch.read(piece));
        }
        match self.conn.phase() {
            Phase::Idle if bytes > 0 => {
                self.conn.head_began();
                self.body = Pace::default();
                self.head = bytes;
                self.to_head = piece.first() == Some(&b'H');
            }
            Phase::Head => self.head = self.head.saturating_add(bytes),
            Phase::Body => {
                self.body.moved(bytes, self.conn.limits.sending());
                self.conn.catches_up(bytes);
            }
            // An upgraded connection: traffic of either side keeps it open.
            Phase::Upstream => self.conn.touch(),
            Phase::Idle => {}
        }
    }

    fn on_write(&mut self, written: &[u8]) {
        if let Some(frames) = &mut self.frames {
            frames.went(written);
        }
        if self.conn.is_websocket() {
            self.boundary.passed(written);
        }
        if self.stalled {
            self.stalled = false;
            self.taking.moved(written.len(), self.conn.limits.taking());
            self.conn.catches_up(written.len());
        }
        // While the client takes what we have, the upstream is not late.
        self.conn.touch();
    }

    /// Whether more of a head is asked for than any head may have.
    fn head_too_large(&self) -> bool {
        self.head >= self.max_head && self.conn.phase() == Phase::Head
    }

    /// Whether the client may be sending still. So it may behind a head that pingora refused itself: no hook saw it.
    fn lingers(&self) -> bool {
        let unseen = self.conn.phase() == Phase::Head && self.conn.expired().is_none();
        unseen || self.surplus || self.conn.lingers()
    }

    fn read_deadline(&mut self) -> Option<Instant> {
        match self.conn.phase() {
            Phase::Body => {
                self.conn.lags_from_now();
                Some(self.body.deadline(self.conn.limits.sending()))
            }
            _ => self.conn.deadline(),
        }
    }
}

impl<S: Wire, P: Unpin> AsyncRead for Guard<S, P> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.head_too_large() {
            return this.poll_too_large(cx).map(Err);
        }
        if this.conn.is_ended() {
            return Poll::Ready(Err(this.farewell(cx)));
        }
        if this.surplus && this.conn.phase() == Phase::Idle {
            // The answer is out. Where the next request would begin in what was thrown away, nobody knows: the end.
            return Poll::Ready(Ok(()));
        }
        if this.frames.as_ref().is_some_and(Frames::spent) {
            // Who drives the connection sees it as well, and ends it; until then nothing more is read.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        while let Poll::Ready(result) = Pin::new(this.io.get_mut()).poll_read(cx, buf) {
            let read = buf.filled().len() - before;
            if read > 0 && this.conn.drops_surplus() {
                this.surplus = true;
                buf.set_filled(before);
                continue;
            }
            this.on_read(buf.filled().get(before..).unwrap_or_default());
            return Poll::Ready(result);
        }
        if this.conn.waits(cx) {
            return Poll::Ready(Err(this.farewell(cx)));
        }
        let Some(at) = this.read_deadline() else { return Poll::Pending };
        ready!(this.read_timer.poll(at, cx));
        Poll::Ready(Err(this.conn.expire()))
    }
}

impl<S: Wire, P: Unpin> Guard<S, P> {
    /// What runs on it was ended. A WebSocket is told so, unless it is in the middle of a frame or takes nothing.
    fn farewell(&mut self, cx: &mut Context<'_>) -> io::Error {
        if self.boundary.is_between()
            && let Some(deny) = self.conn.ended()
        {
            let frame = websocket::close_frame(&deny);
            let taken = Pin::new(&mut self.io).poll_write(cx, &frame);
            let whole = matches!(taken, Poll::Ready(Ok(taken)) if taken == frame.len());
            self.boundary.passed(&frame);
            if whole && !matches!(Pin::new(&mut self.io).poll_flush(cx), Poll::Ready(Err(_))) {
                self.conn.said_farewell();
            }
        }
        io::ErrorKind::ConnectionAborted.into()
    }

    /// Answers a head that is too large, once, and ends the reading.
    fn poll_too_large(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.conn.lingers() {
            self.conn.linger();
            self.conn.overlong();
            self.conn.answered();
            // A new connection's buffers are empty: what does not fit at once meets a client that reads nothing.
            let words = if self.watch.in_line() { LINE_TOO_LONG } else { HEAD_TOO_LARGE };
            let words = self.fitting(words);
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.io).poll_write(cx, words) {
                return Poll::Ready(error);
            }
        }
        match ready!(Pin::new(self).poll_flush(cx)) {
            Ok(()) => Poll::Ready(io::ErrorKind::InvalidData.into()),
            Err(error) => Poll::Ready(error),
        }
    }

    /// Reads and throws away until all came or the time is up: closed before, the socket would answer with a reset.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let frames = self.frames.is_some();
        let linger = self.linger.get_or_insert_with(|| Linger::begin(frames));
        let mut scrap = [0; 4096];
        while linger.left > 0 {
            let mut piece = ReadBuf::new(&mut scrap);
            match Pin::new(self.io.get_mut()).poll_read(cx, &mut piece) {
                Poll::Pending => return self.read_timer.poll(linger.until, cx),
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => {
                    linger.left = linger.left.saturating_sub(piece.filled().len());
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }

    /// What goes out in place of a refusal that is pingora's own: before the end of a head no hook has seen a request.
    fn in_our_words(&self, written: &[u8]) -> Option<&'static [u8]> {
        if self.conn.phase() != Phase::Head {
            return None;
        }
        match written.strip_prefix(b"HTTP/1.1 ")?.get(..3)? {
            b"400" => Some(self.fitting(NOT_HTTP)),
            b"405" => Some(self.fitting(NO_TUNNEL)),
            _ => None,
        }
    }

    /// An answer of ours, without its body where the client reads none (RFC 9110 section 9.3.2).
    fn fitting(&self, answer: &'static [u8]) -> &'static [u8] {
        let end = memmem::find(answer, b"\r\n\r\n").filter(|_| self.to_head);
        end.and_then(|end| answer.get(..end + 4)).unwrap_or(answer)
    }

    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.conn.is_ended() || self.conn.waits(cx) {
            self.conn.abort();
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        self.stalled = true;
        self.conn.lags_from_now();
        let until = self.taking.deadline(self.conn.limits.taking());
        ready!(self.write_timer.poll(until, cx));
        Poll::Ready(Err(self.conn.stalled()))
    }
}

impl<S: Wire, P: Unpin> AsyncWrite for Guard<S, P> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Frames of HTTP/2 go out whether or not a head is being read.
        let own = if this.frames.is_none() {
            this.conn.answered();
            this.in_our_words(buf)
        } else {
            None
        };
        match Pin::new(&mut this.io).poll_write(cx, own.unwrap_or(buf)) {
            Poll::Pending => this.poll_stalled(cx),
            done => {
                let taken = if let Poll::Ready(Ok(taken)) = &done { *taken } else { 0 };
                this.on_write(buf.get(..taken).unwrap_or_default());
                // Ours fits into the buffer, so all of it is taken.
                if own.is_some() { done.map_ok(|_| buf.len()) } else { done }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_flush(cx) {
            Poll::Pending => this.poll_stalled(cx),
            done => {
                this.on_write(&[]);
                done
            }
        }
    }

    /// The end of our side. Reading on belongs here, for it is this that pingora calls to end a connection, and not
    /// [`Shutdown`]: on its boxed stream the method of tokio's trait is the nearer one.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            match Pin::new(&mut this.io).poll_shutdown(cx) {
                Poll::Pending => return this.poll_stalled(cx),
                Poll::Ready(Ok(())) if this.lingers() => {}
                done => return done,
            }
        }
        this.poll_linger(cx).map(Ok)
    }
}

#[async_trait]
impl<S: Wire, P: Unpin + Send> Shutdown for Guard<S, P> {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl<S: Wire, P> Drop for Guard<S, P> {
    fn drop(&mut self) {
        if self.conn.aborts() {
            // A reset instead of an orderly end; if it cannot be had, the missing bytes still tell.
            let _ = self.io.get_ref().tcp().set_zero_linger();
        }
    }
}

impl<S: Wire, P> UniqueID for Guard<S, P> {
    fn id(&self) -> UniqueIDType {
        self.io.get_ref().tcp().as_raw_fd()
    }
}

impl<S: Wire, P> Ssl for Guard<S, P> {}

impl<S: Wire, P> Peek for Guard<S, P> {}

impl<S: Wire, P> GetTimingDigest for Guard<S, P> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl<S: Wire, P> GetSocketDigest for Guard<S, P> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl<S: Wire, P> GetProxyDigest for Guard<S, P> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl<S: Wire, P> fmt::Debug for Guard<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("peer", &self.conn.peer).finish_non_exhaustive()
    }
}
