//! One request over HTTP/2, as a session that pingora works with.
//!
//! What [`Guard`](crate::edge::guard::Guard) is to a connection of HTTP/1: the deadlines of [`Conn`] sit here, in every
//! read and write, because pingora polls these while it waits for the upstream.

mod session;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{Budget, Running, head::as_http1, to_io, turns::Turn};
use crate::edge::{
    accept::digest_of,
    alarm::Alarm,
    conn::{Conn, Phase},
    grpc,
    pace::Pace,
};
use bytes::{BufMut, Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderName, Request, Response, header};
use pingora::{
    BError, Error, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::{Digest, http::date::get_cached_date},
};

/// Pieces in which an answer is sent: each must be taken in time.
const PIECE: usize = 16 << 10;
/// A body up to this size is kept to be sent again.
const KEPT_BODY: usize = 64 << 10;
/// In the head of a reply it says that there is nothing behind it.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Fields that do not exist in HTTP/2 (RFC 9113 section 8.2.2).
const OF_CONNECTIONS: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A request and its reply.
pub(in crate::edge) struct Stream {
    head: RequestHeader,
    digest: Digest,
    conn: Arc<Conn>,
    body: RecvStream,
    has_body: bool,
    body_done: bool,
    received: usize,
    kept: Option<Kept>,
    sending: Pace,
    taking: Pace,
    reply: SendResponse<Bytes>,
    writer: Option<SendStream<Bytes>>,
    written: Option<Box<ResponseHeader>>,
    ended: bool,
    sent: usize,
    read_timer: Alarm,
    write_timer: Alarm,
    budget: Arc<Budget>,
    running: Running,
    turn: Option<Turn>,
    /// The client is waited for to take something, and what it had taken on all streams when it was at first.
    stalled: bool,
    taken: u32,
}

/// The beginning of a body; `None` once it is too long.
struct Kept(Option<BytesMut>);

impl Stream {
    /// Takes a request. `None`: it was answered, because it has no path.
    pub(super) fn new(
        request: Request<RecvStream>,
        mut reply: SendResponse<Bytes>,
        conn: Arc<Conn>,
        budget: Arc<Budget>,
        running: Running,
    ) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let (Some(head), Some(proxy)) = (as_http1(parts), digest_of(&conn)) else {
            conn.malformed();
            conn.refused_unseen();
            let mut refusal = Response::new(());
            *refusal.status_mut() = http::StatusCode::BAD_REQUEST;
            // Gone already: all the better.
            let _ = reply.send_response(refusal, true);
            return None;
        };
        let length = head.headers.get(header::CONTENT_LENGTH);
        let has_body = !body.is_end_stream() && length.is_none_or(|length| length != "0");
        Some(Self {
            head,
            digest: Digest { proxy_digest: Some(proxy), ..Digest::default() },
            conn,
            body,
            has_body,
            body_done: !has_body,
            received: 0,
            kept: None,
            sending: Pace::default(),
            taking: Pace::default(),
            taken: 0,
            stalled: false,
            reply,
            writer: None,
            written: None,
            ended: false,
            sent: 0,
            read_timer: Alarm::default(),
            write_timer: Alarm::default(),
            budget,
            turn: Turn::at_once(&running.0.turns),
            running,
        })
    }

    /// Whether it may begin at once.
    pub(super) fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Whether the client has already taken it back.
    pub(super) fn is_gone(&mut self) -> bool {
        self.poll_gone(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Waits until it may begin. Returns whether the client still wants it then.
    pub(super) async fn wait_for_turn(&mut self) -> bool {
        self.turn = Some(Turn::wait(Arc::clone(&self.running.0.turns)).await);
        poll_fn(|cx| Poll::Ready(self.poll_gone(cx).is_pending())).await
    }

    /// The next piece of the body; behind the last one, the end of the client.
    fn poll_next(&mut self, idle: bool, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if self.conn.is_ended() {
            return Poll::Ready(Err(ended()));
        }
        if idle || self.body_done {
            if let Poll::Ready(gone) = self.poll_gone(cx) {
                return Poll::Ready(Err(gone));
            }
        } else if let Poll::Ready(piece) = self.body.poll_data(cx) {
            return Poll::Ready(self.came(piece));
        }
        if self.conn.waits(cx) {
            return Poll::Ready(Err(ended()));
        }
        let deadline = match self.conn.phase() {
            Phase::Body if !self.body_done => {
                self.conn.lags_from_now();
                Some(self.sending.deadline(self.conn.limits.sending()))
            }
            _ => self.conn.deadline(),
        };
        let Some(at) = deadline else { return Poll::Pending };
        self.read_timer.poll(at, cx).map(|()| {
            Err(Error::because(ErrorType::ReadTimedout, "deadline", self.conn.expire()).into_down())
        })
    }

    fn came(&mut self, piece: Option<Result<Bytes, h2::Error>>) -> Result<Option<Bytes>> {
        let Some(piece) = piece else {
            // Trailers of a request go nowhere: what stands in them was never judged.
            self.body_done = true;
            return Ok(None);
        };
        let piece = piece.map_err(|error| down(ErrorType::ReadError, error))?;
        self.received += piece.len();
        match self.conn.phase() {
            Phase::Body => {
                self.sending.moved(piece.len(), self.conn.limits.sending());
                self.conn.catches_up(piece.len());
            }
            _ => self.conn.touch(),
        }
        if let Some(kept) = &mut self.kept {
            kept.add(&piece);
        }
        let released = self.body.flow_control().release_capacity(piece.len());
        released.map_err(|error| down(ErrorType::ReadError, error))?;
        self.body_done = self.body.is_end_stream();
        Ok(Some(piece))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<BError> {
        let reset = match &mut self.writer {
            Some(writer) => writer.poll_reset(cx),
            None => self.reply.poll_reset(cx),
        };
        reset.map(|reset| match reset {
            Ok(reason) => Error::explain(ErrorType::H2Error, reason.to_string()).into_down(),
            Err(error) => down(ErrorType::H2Error, error),
        })
    }

    fn send_head(&mut self, mut head: Box<ResponseHeader>, end: bool) -> Result<()> {
        // Interim replies cannot be sent; of others only the first counts.
        if self.ended || self.written.is_some() || head.status.is_informational() {
            return Ok(());
        }
        head.insert_header(header::DATE, get_cached_date())?;
        for name in &OF_CONNECTIONS {
            head.remove_header(name);
        }
        let end = end || head.headers.contains_key(GRPC_STATUS);
        let reply = Response::from_parts(head.as_owned_parts(), ());
        let writer = self.reply.send_response(reply, end);
        self.writer = Some(writer.map_err(|error| down(ErrorType::WriteError, error))?);
        (self.written, self.ended) = (Some(head), end);
        Ok(())
    }

    async fn send(&mut self, mut data: Bytes, end: bool) -> Result<()> {
        while !self.ended && (end || !data.is_empty()) {
            let room = if data.is_empty() { 0 } else { self.room(data.len().min(PIECE)).await? };
            let piece = data.split_to(room.min(data.len()));
            let (length, last) = (piece.len(), end && data.is_empty());
            let writer = self.writer()?;
            let sent = writer.send_data(piece, last);
            sent.map_err(|error| down(ErrorType::WriteError, error))?;
            self.sent += length;
            self.ended = last;
            self.budget.took(length);
            self.turn.iter_mut().for_each(Turn::flows);
            // While the client takes what we have, the upstream is not late.
            self.conn.touch();
        }
        Ok(())
    }

    /// Waits until the client takes some of so many bytes.
    async fn room(&mut self, wanted: usize) -> Result<usize> {
        self.writer()?.reserve_capacity(wanted);
        poll_fn(|cx| self.poll_room(cx)).await
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        if self.conn.is_ended() {
            return Poll::Ready(Err(ended()));
        }
        let room = match self.writer()?.poll_capacity(cx) {
            Poll::Ready(Some(Ok(0))) | Poll::Pending => Poll::Pending,
            Poll::Ready(Some(room)) => Poll::Ready(room.map_err(to_io)),
            Poll::Ready(None) => Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into())),
        };
        if let Poll::Ready(room) = room {
            if let (true, Ok(room)) = (std::mem::take(&mut self.stalled), &room) {
                self.taking.moved(*room, self.conn.limits.taking());
                self.conn.catches_up(*room);
            }
            return Poll::Ready(room.map_err(|error| {
                Error::because(ErrorType::WriteError, "HTTP/2 stream", error).into_down()
            }));
        }
        if self.conn.waits(cx) {
            return Poll::Ready(Err(ended()));
        }
        self.stalled = true;
        self.turn.iter_mut().for_each(Turn::is_stuck);
        if self.conn.lags_from_now() {
            self.taken = self.budget.taken();
        }
        let least = self.conn.limits.taking();
        let until = self.taking.deadline(least);
        self.write_timer.poll(until, cx).map(|()| {
            self.budget.stalled(self.taken, least);
            self.running.wake();
            let stalled = self.conn.stalled();
            Err(Error::because(ErrorType::WriteTimedout, "HTTP/2 stream", stalled).into_down())
        })
    }

    fn writer(&mut self) -> Result<&mut SendStream<Bytes>> {
        self.writer
            .as_mut()
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "a body before its head"))
    }

    /// Ends a call in its own words where it was ended by us and its client reads; everything else is cut.
    fn cut(&mut self) {
        let is_call = self.written.as_ref().is_some_and(|head| grpc::is_reply(&head.headers));
        if let (true, false, false, Some(deny)) =
            (is_call, self.ended, self.stalled, self.conn.ended())
            && let Some(writer) = &mut self.writer
            && writer.send_trailers(grpc::trailers(&deny)).is_ok()
        {
            self.ended = true;
            return;
        }
        self.reset(Reason::INTERNAL_ERROR);
    }

    fn reset(&mut self, reason: Reason) {
        if self.ended {
            return;
        }
        self.ended = true;
        match &mut self.writer {
            Some(writer) => writer.send_reset(reason),
            None => self.reply.send_reset(reason),
        }
    }
}

impl Kept {
    fn add(&mut self, piece: &Bytes) {
        if let Some(own) = &mut self.0 {
            if own.len() + piece.len() > KEPT_BODY {
                self.0 = None;
            } else {
                own.put_slice(piece);
            }
        }
    }
}

fn ended() -> BError {
    Error::explain(ErrorType::ConnectionClosed, "the stream was ended").into_down()
}

fn down(kind: ErrorType, error: h2::Error) -> BError {
    Error::because(kind, "HTTP/2 stream", to_io(error)).into_down()
}
