//! One request over HTTP/2, as a session that pingora works with.
//!
//! What [`Guard`](crate::edge::guard::Guard) is to a connection of HTTP/1: the deadlines of [`Conn`] sit here, in every
//! read and write, because pingora polls these while it waits for the upstream.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream as FuturesStream;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use pingora::{
    BError, Error, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::{
        Digest,
        http::{
            HttpTask,
            custom::{CustomMessageWrite, server::Session},
            date::get_cached_date,
        },
        l4::socket::SocketAddr,
    },
};
use tokio::time::Instant;

use super::{Budget, Running, to_io};
use crate::edge::{
    accept::digest_of,
    alarm::Alarm,
    conn::{Conn, Phase},
    guard::WRITE_STALL,
    pace::BodyRate,
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
    pace: BodyRate,
    reply: SendResponse<Bytes>,
    writer: Option<SendStream<Bytes>>,
    written: Option<Box<ResponseHeader>>,
    ended: bool,
    sent: usize,
    read_timer: Alarm,
    write_timer: Alarm,
    budget: Arc<Budget>,
    running: Running,
}

/// Waiting for a client to take something.
struct Wait {
    since: Option<Instant>,
    /// What it had taken on all streams when this one began to wait.
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
            pace: BodyRate::default(),
            reply,
            writer: None,
            written: None,
            ended: false,
            sent: 0,
            read_timer: Alarm::default(),
            write_timer: Alarm::default(),
            budget,
            running,
        })
    }

    /// The next piece of the body; behind the last one, the end of the client.
    fn poll_next(&mut self, idle: bool, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if self.conn.ended().is_some() {
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
            Phase::Body if !self.body_done => Some(self.pace.deadline()),
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
            Phase::Body => self.pace.brought(piece.len()),
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
            if length > 0 {
                self.budget.took();
            }
            // While the client takes what we have, the upstream is not late.
            self.conn.touch();
        }
        Ok(())
    }

    /// Waits until the client takes some of so many bytes.
    async fn room(&mut self, wanted: usize) -> Result<usize> {
        self.writer()?.reserve_capacity(wanted);
        let mut wait = Wait { since: None, taken: self.budget.taken() };
        poll_fn(|cx| self.poll_room(&mut wait, cx)).await
    }

    fn poll_room(&mut self, wait: &mut Wait, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        if self.conn.ended().is_some() {
            return Poll::Ready(Err(ended()));
        }
        let room = match self.writer()?.poll_capacity(cx) {
            Poll::Ready(Some(Ok(0))) | Poll::Pending => Poll::Pending,
            Poll::Ready(Some(room)) => Poll::Ready(room.map_err(to_io)),
            Poll::Ready(None) => Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into())),
        };
        if let Poll::Ready(room) = room {
            return Poll::Ready(room.map_err(|error| {
                Error::because(ErrorType::WriteError, "HTTP/2 stream", error).into_down()
            }));
        }
        if self.conn.waits(cx) {
            return Poll::Ready(Err(ended()));
        }
        let since = *wait.since.get_or_insert_with(Instant::now);
        self.write_timer.poll(since + WRITE_STALL, cx).map(|()| {
            self.budget.stalled(wait.taken);
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

/// A head in the form of HTTP/1: the path alone as target, the authority as `Host`, cookies in one field. `None`: there
/// is no path that a request could have.
fn as_http1(mut parts: http::request::Parts) -> Option<RequestHeader> {
    let authority = parts.uri.authority().cloned();
    let path = match parts.uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') || path.as_str() == "*" => path.clone(),
        // CONNECT has none, and is refused whatever it names.
        None if parts.method == http::Method::CONNECT => "/".parse().ok()?,
        _ => return None,
    };
    if let Some(authority) = authority {
        let value = HeaderValue::from_str(authority.as_str()).ok()?;
        let mut hosts = parts.headers.get_all(header::HOST).iter();
        let agrees = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.as_bytes().eq_ignore_ascii_case(value.as_bytes()),
            _ => false,
        };
        if !agrees {
            // Beside another one it makes two hosts, and such a request is refused like any other with two.
            parts.headers.append(header::HOST, value);
        }
    }
    join_cookies(&mut parts.headers);
    parts.uri = Uri::from(path);
    Some(RequestHeader::from(parts))
}

/// A client may cut its cookies into several fields (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else { return };
    let mut all = first.as_bytes().to_vec();
    for more in std::iter::once(second).chain(cookies) {
        all.extend_from_slice(b"; ");
        all.extend_from_slice(more.as_bytes());
    }
    if let Ok(all) = HeaderValue::from_bytes(&all) {
        headers.insert(header::COOKIE, all);
    }
}

fn ended() -> BError {
    Error::explain(ErrorType::ConnectionClosed, "the stream was ended").into_down()
}

fn down(kind: ErrorType, error: h2::Error) -> BError {
    Error::because(kind, "HTTP/2 stream", to_io(error)).into_down()
}

#[async_trait]
impl Session for Stream {
    fn req_header(&self) -> &RequestHeader {
        &self.head
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.head
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.body_done {
            return Ok(None);
        }
        poll_fn(|cx| self.poll_next(false, cx)).await
    }

    /// What is left of a body is not wanted: the end of the stream says so to the client.
    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.send_head(head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.send_head(Box::new(head.clone()), end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.send(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        let sent = self.writer()?.send_trailers(trailers);
        sent.map_err(|error| down(ErrorType::WriteError, error))
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut end = false;
        for task in tasks {
            end |= match task {
                HttpTask::Header(head, end) => {
                    self.send_head(head, end)?;
                    end
                }
                HttpTask::Body(data, end) => {
                    self.send(data.unwrap_or_default(), false).await?;
                    end
                }
                HttpTask::Trailer(trailers) => {
                    if let Some(trailers) = trailers {
                        self.write_trailers(*trailers).await?;
                    }
                    true
                }
                HttpTask::Done => true,
                HttpTask::Failed(error) => return Err(error),
                HttpTask::UpgradedBody(..) => {
                    return Error::e_explain(ErrorType::InternalError, "an upgrade over HTTP/2");
                }
            };
        }
        if end {
            self.finish().await?;
        }
        Ok(end)
    }

    fn set_read_timeout(&mut self, _: Option<std::time::Duration>) {}

    fn get_read_timeout(&self) -> Option<std::time::Duration> {
        None
    }

    fn set_write_timeout(&mut self, _: Option<std::time::Duration>) {}

    fn get_write_timeout(&self) -> Option<std::time::Duration> {
        None
    }

    fn set_total_drain_timeout(&mut self, _: Option<std::time::Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<std::time::Duration> {
        None
    }

    fn request_summary(&self) -> String {
        String::new()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    async fn shutdown(&mut self, _: u32, _: &str) {
        self.reset(Reason::INTERNAL_ERROR);
    }

    fn is_body_done(&mut self) -> bool {
        self.body_done
    }

    async fn finish(&mut self) -> Result<()> {
        // Without a head there is nothing to finish: dropping the stream resets it.
        if self.ended || self.writer.is_none() {
            return Ok(());
        }
        self.send(Bytes::new(), true).await
    }

    fn is_body_empty(&mut self) -> bool {
        !self.has_body
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_next(no_body_expected, cx)).await
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.received
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Some(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    /// The head as HTTP/1 would have it, to be judged by the same rules.
    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        let mut raw = BytesMut::with_capacity(1024);
        raw.put_slice(self.head.method.as_str().as_bytes());
        raw.put_u8(b' ');
        raw.put_slice(self.head.raw_path());
        raw.put_slice(b" HTTP/1.1\r\n");
        for (name, value) in &self.head.headers {
            raw.put_slice(name.as_str().as_bytes());
            raw.put_slice(b": ");
            raw.put_slice(value.as_bytes());
            raw.put_slice(b"\r\n");
        }
        raw.put_slice(b"\r\n");
        raw.freeze()
    }

    fn enable_retry_buffering(&mut self) {
        if self.kept.is_none() {
            self.kept = Some(Kept(Some(BytesMut::new())));
        }
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.0.is_none())
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        let kept = self.kept.as_ref()?.0.as_ref()?;
        (!kept.is_empty()).then(|| kept.clone().freeze())
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn FuturesStream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _: Box<dyn FuturesStream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
