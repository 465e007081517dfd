//! The upstream half of a permitted request: which node, what is sent, and what comes back.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, StatusCode, header, request};
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
    upstreams::peer::HttpPeer,
};

use super::{
    Shared,
    conn::Expired,
    ctx::{Admitted, Ctx, Progress},
    framing, grpc,
    settings::HostHeader,
    slash,
    upstream::Pool,
    verdict,
};
use crate::{
    model::hop::{CONTEXT_HEADER, HopContext, encode},
    pipeline::{
        Deny, Target,
        deny::{Malformed, UpstreamFault},
    },
    telemetry::metrics::StreamKind,
};

/// How long a stream may be silent: server-sent events, upgraded connections, routes marked as streaming.
pub(super) const STREAM_GAP: Duration = Duration::from_secs(3600);

const SLASH_REDIRECT: ErrorType = ErrorType::Custom("slash redirect, sent again");
const NO_PEER: ErrorType = ErrorType::Custom("no backend");
const TOO_LARGE: ErrorType = ErrorType::Custom("body too large");

/// pingora's name for a chunk that cannot be read; its own constant is private.
const INVALID_CHUNK: ErrorType = ErrorType::new("InvalidChunk");

/// The pool behind a route.
fn pool<'a>(shared: &'a Shared, admitted: &'a Admitted) -> Option<&'a Arc<Pool>> {
    match admitted.route.route.target {
        // Where identity is apart, its nodes are a pool like any other.
        Target::Identity => admitted.route.pool.as_ref().or(Some(&shared.identity)),
        Target::Upstream(_) => admitted.route.pool.as_ref(),
    }
}

/// Chooses the node of the next try; `tunnel`: for a request that asks for an upgrade.
pub(super) async fn peer(shared: &Shared, ctx: &mut Ctx, tunnel: bool) -> Result<Box<HttpPeer>> {
    let progress = &mut ctx.upstream;
    progress.began.get_or_insert_with(std::time::Instant::now);
    (progress.body_seen, progress.answered) = (0, false);
    let admitted = ctx.admitted.as_ref();
    let (Some(admitted), Some(pool)) = (admitted, admitted.and_then(|a| pool(shared, a))) else {
        ctx.deny = Some(Deny::Internal);
        return Err(Error::new_in(NO_PEER));
    };
    if progress.seat.is_none() {
        if shared.connections.is_exhausted(shared.outward() + 1) {
            ctx.deny = Some(Deny::Unavailable { dependency: "descriptors" });
            return Err(Error::new_up(NO_PEER));
        }
        progress.seat = pool.enter();
        if progress.seat.is_none() {
            ctx.deny = Some(Deny::Unavailable { dependency: "upstream" });
            return Err(Error::new_up(NO_PEER));
        }
        ctx.in_flight.goes_out();
        if ctx.grpc && !pool.settings().http2 && !admitted.route.route.streaming {
            // Nobody there takes calls, which may be silent for an hour: it is a body like any other.
            ctx.conn.iter().for_each(|conn| conn.body_expected());
        }
        if let (Some(seat), Some(conn)) = (&mut progress.seat, &ctx.conn)
            && conn.awaits_body()
        {
            seat.depends_on(conn);
        }
    }
    let timeouts = &admitted.route.route.timeouts;
    pool.ready(timeouts.connect).await;
    // The other spelling goes to the node that asked for it.
    let again = progress.node.take().filter(|_| std::mem::take(&mut progress.replay));
    let Some(node) = again.or_else(|| pool.pick(&progress.tried)) else {
        ctx.deny = Some(failed(ctx, UpstreamFault::Unreachable));
        return Err(Error::new_up(NO_PEER));
    };
    let peer = match tunnel && admitted.route.route.streaming {
        true => node.tunnel_peer(timeouts),
        false => node.peer(timeouts),
    };
    progress.node = Some(node);
    Ok(peer)
}

/// Applies the patch. Runs after hop-by-hop fields were removed, so that a client cannot have ours removed.
///
/// Works on the bare parts: pingora keeps a second map with the case of every name and parses each name anew, which
/// for a dozen fields costs more than all checks before. Names go out in lower case, as in HTTP/2.
pub(super) fn request(shared: &Shared, ctx: &Ctx, out: &mut RequestHeader) -> Result<()> {
    let Some(admitted) = &ctx.admitted else { return Err(Error::new_in(NO_PEER)) };
    let blank = http::Request::new(()).into_parts().0.into();
    let mut parts = request::Parts::from(std::mem::replace(out, blank));
    for name in &admitted.patch.remove {
        parts.headers.remove(name);
    }
    parts.headers.reserve(admitted.patch.count());
    admitted.patch.each(|name, value| {
        parts.headers.insert(name, value);
    });
    if !admitted.route.route.streaming {
        // An upgraded connection is a stream nobody looks into: only where the route says so (requirement 16).
        if parts.headers.remove(header::UPGRADE).is_some() {
            parts.headers.remove(header::CONNECTION);
        }
    }
    let path = sent_path(admitted, &parts.method, &ctx.upstream);
    *out = parts.into();
    if out.raw_path() != path.as_bytes() {
        out.set_raw_path(path.as_bytes())?;
    }
    if let Some(HostHeader::Fixed(host)) = pool(shared, admitted).map(|pool| &pool.settings().host)
    {
        out.insert_header(header::HOST, host.as_str())?;
    }
    if ctx.grpc && pool(shared, admitted).is_some_and(|pool| pool.settings().http2) {
        // It is of one connection only and was removed; servers of gRPC ask for it on each.
        out.insert_header(header::TE, "trailers")?;
    }
    if let (Target::Identity, Some(caller)) = (&admitted.route.route.target, &ctx.caller) {
        let context = HopContext {
            mount: admitted.route.route.mount.name.clone(),
            client: caller.facts.clone(),
            principal: admitted.permit.principal().map(|who| (**who).clone()),
            joined: admitted.joined.iter().map(|name| (*name).to_owned()).collect(),
            offered: ctx.trail.offered,
        };
        out.insert_header(CONTEXT_HEADER, encode(&context))?;
    }
    Ok(())
}

/// The path of this try: as the patch says, unless the upstream asked, now or before, for the other spelling.
fn sent_path<'a>(admitted: &'a Admitted, method: &Method, progress: &'a Progress) -> Cow<'a, str> {
    let path = &admitted.patch.path_and_query;
    if let Some(asked) = &progress.respelled {
        return Cow::Borrowed(asked);
    }
    admitted.route.spellings.known(method, path).map_or(Cow::Borrowed(path), Cow::Owned)
}

/// Counts a piece of the request's body; the end of it starts the wait for the upstream's answer. What flows through an
/// upgraded connection is no body.
pub(super) fn body(
    session: &Session,
    ctx: &mut Ctx,
    piece: Option<&Bytes>,
    end: bool,
) -> Result<()> {
    let Some(admitted) = &ctx.admitted else { return Ok(()) };
    if session.was_upgraded() {
        return Ok(());
    }
    let noted = ctx.conn.as_ref().map_or(0, |conn| conn.framing());
    if framing::is_faulty(noted, &session.req_header().headers) {
        ctx.deny = Some(Deny::Malformed(Malformed::Framing));
        return Err(Error::new_down(INVALID_CHUNK));
    }
    let route = &admitted.route.route;
    let seen = &mut ctx.upstream.body_seen;
    *seen += piece.map_or(0, |piece| piece.len() as u64);
    ctx.body_in = ctx.body_in.max(*seen);
    if *seen > route.body_limit {
        ctx.deny = Some(Deny::BodyTooLarge);
        return Err(Error::new_down(TOO_LARGE));
    }
    if let (true, Some(conn)) = (end, &ctx.conn) {
        conn.body_done();
        if !ctx.upstream.answered {
            conn.expect(route.timeouts.first_byte);
        }
    }
    Ok(())
}

/// The upstream's response header: the node is well, the gap may change, and a slash redirect goes no further.
pub(super) fn response(
    shared: &Arc<Shared>,
    session: &mut Session,
    ctx: &mut Ctx,
    reply: &mut ResponseHeader,
) -> Result<()> {
    let Some(admitted) = &ctx.admitted else { return Ok(()) };
    if reply.status.is_informational() && reply.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    let route = &admitted.route.route;
    let switches = reply.status == StatusCode::SWITCHING_PROTOCOLS;
    if switches && !route.streaming {
        // Nobody asked for another protocol.
        return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
    }
    if let (Some(pool), Some(node)) = (pool(shared, admitted), &ctx.upstream.node) {
        pool.succeeded(node);
    }
    ctx.upstream.answered = true;
    let kind = kind_of(reply);
    let stream = route.streaming || kind.is_some();
    if let Some(conn) = &ctx.conn {
        if !switches && !session.as_downstream_mut().is_body_done() {
            // An answer before the upload is complete: what still comes must not reset it away.
            conn.linger();
        }
        conn.expect(if stream { STREAM_GAP } else { route.timeouts.between_bytes });
    }
    if stream {
        let kind = kind.unwrap_or(StreamKind::Stream);
        ctx.in_flight.becomes(kind);
        if let (StreamKind::WebSocket, Some(conn)) = (kind, &ctx.conn) {
            conn.tunnels_websocket();
        }
    }
    if route.target == Target::Identity {
        verdict::take(reply, &mut ctx.trail);
        verdict::hear(reply, &*shared.parts.lookup);
        // What may be kept says so itself (public keys); everything else is somebody's.
        if !reply.headers.contains_key(header::CACHE_CONTROL) {
            reply.insert_header(header::CACHE_CONTROL, "no-store")?;
        }
        return Ok(());
    }
    if reply.status.is_redirection() {
        return redirect(session, ctx, reply);
    }
    Ok(())
}

/// Sends the request again in the other spelling, once, if it surely did not run and its body is still at hand. Else the
/// client is at least told a path of ours instead of the upstream's address.
fn redirect(session: &mut Session, ctx: &mut Ctx, reply: &mut ResponseHeader) -> Result<()> {
    let Some(admitted) = &ctx.admitted else { return Ok(()) };
    let method = &session.req_header().method;
    let sent = sent_path(admitted, method, &ctx.upstream).into_owned();
    let location = reply.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let outer = session.req_header().headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let node = ctx.upstream.node.as_ref().map_or("", |node| node.label());
    let fixed = match admitted.route.pool.as_ref().map(|pool| &pool.settings().host) {
        Some(HostHeader::Fixed(host)) => host,
        _ => "",
    };
    let hosts = [outer.unwrap_or_default(), node, fixed];
    let Some(other) = slash::asked_for(reply.status, location, &sent, &hosts) else {
        return Ok(());
    };
    // A 301 or 302 to a POST may also follow work that was done (post, redirect, get): only 307 and 308 promise not.
    let untouched = method.is_safe() || matches!(reply.status.as_u16(), 307 | 308);
    let first = ctx.upstream.respelled.is_none();
    if first && untouched {
        // Also where this request cannot be sent again: the next one is right from the start.
        admitted.route.spellings.learn(method, &sent);
    }
    let at_hand = !session.as_downstream().retry_buffer_truncated();
    if first && untouched && at_hand {
        (ctx.upstream.respelled, ctx.upstream.replay) = (Some(other), true);
        let mut error = Error::new_up(SLASH_REDIRECT);
        error.set_retry(true);
        return Err(error);
    }
    let prefix = ctx.trail.path.get(..admitted.prefix_len).unwrap_or_default();
    reply.insert_header(header::LOCATION, format!("{prefix}{other}"))
}

/// Which kind of stream a reply begins, if any.
fn kind_of(reply: &ResponseHeader) -> Option<StreamKind> {
    let is = |name: header::HeaderName, wanted: &[u8]| {
        let value = reply.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
        value.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
    };
    if reply.status == StatusCode::SWITCHING_PROTOCOLS {
        let websocket = is(header::UPGRADE, b"websocket");
        return Some(if websocket { StreamKind::WebSocket } else { StreamKind::Upgrade });
    }
    if is(header::CONTENT_TYPE, b"text/event-stream") {
        return Some(StreamKind::Events);
    }
    is(header::CONTENT_TYPE, grpc::CONTENT_TYPE).then_some(StreamKind::Grpc)
}

/// A piece of the upstream's answer came.
pub(super) fn response_body(ctx: &mut Ctx, end: bool) {
    let Some(conn) = &ctx.conn else { return };
    if end {
        conn.settled();
        ctx.upstream.ended = Some(std::time::Instant::now());
    } else {
        if let Some(seat) = &mut ctx.upstream.seat {
            seat.depends_on(conn);
        }
        conn.touch();
    }
}

/// No connection could be made: surely nothing ran, so another node may be tried.
pub(super) fn connect_failed(shared: &Shared, ctx: &mut Ctx, mut error: Box<Error>) -> Box<Error> {
    error.set_retry(false);
    let Some(pool) = ctx.admitted.as_ref().and_then(|admitted| pool(shared, admitted)) else {
        return error;
    };
    if let Some(node) = ctx.upstream.node.take() {
        pool.failed(&node);
        ctx.upstream.tried.push(node);
    }
    let tried = &ctx.upstream.tried;
    if tried.len() <= pool.settings().retries && pool.has_untried(tried) {
        shared.parts.metrics.upstream_retried(&pool.settings().name);
        error.set_retry(true);
    }
    error
}

/// A connection broke on the way. Sent again only where the request surely did not run: the connection was an old one that
/// the upstream had closed, nothing came back, and the method and the missing body make a repetition harmless.
pub(super) fn broke(
    shared: &Shared,
    session: &mut Session,
    ctx: &mut Ctx,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    if ctx.upstream.replay {
        error.set_retry(true);
        return error;
    }
    let expired = ctx.conn.as_ref().and_then(|conn| conn.expired());
    let upstream = *error.esource() == ErrorSource::Upstream;
    // Idempotent is not enough: a `DELETE` that ran twice is answered 404, and undoes what came in between.
    let harmless =
        session.req_header().method.is_safe() && session.as_downstream_mut().is_body_empty();
    if harmless && upstream && expired.is_none() && !ctx.upstream.answered {
        error.retry.decide_reuse(reused);
    } else {
        error.set_retry(false);
    }
    let failed = match expired {
        // A backend that takes requests and never answers is as dead as one that takes none.
        Some(Expired::Upstream) => true,
        Some(Expired::Client) => false,
        None => upstream && !reused && !is_timeout(&error),
    };
    if failed && !ctx.upstream.answered {
        let pool = ctx.admitted.as_ref().and_then(|admitted| pool(shared, admitted));
        if let (Some(pool), Some(node)) = (pool, &ctx.upstream.node) {
            pool.failed(node);
        }
    }
    error
}

/// What a failure means for the client; `None`: it has gone, and there is nobody to tell.
pub(super) fn deny_of(ctx: &Ctx, error: &Error) -> Option<Deny> {
    if let Some(deny) = &ctx.deny {
        return Some(deny.clone());
    }
    if let Some(deny) = ctx.conn.as_ref().and_then(|conn| conn.ended()) {
        return Some(deny);
    }
    match ctx.conn.as_ref().and_then(|conn| conn.expired()) {
        Some(Expired::Upstream) => return Some(failed(ctx, UpstreamFault::Timeout)),
        Some(Expired::Client) => return None,
        None => {}
    }
    match error.esource() {
        ErrorSource::Upstream => Some(failed(ctx, upstream_fault(error))),
        ErrorSource::Downstream => match error.etype() {
            ErrorType::InvalidHTTPHeader => Some(Deny::Malformed(Malformed::Connection)),
            kind if *kind == INVALID_CHUNK => Some(Deny::Malformed(Malformed::Framing)),
            _ => None,
        },
        ErrorSource::Internal | ErrorSource::Unset => Some(Deny::Internal),
    }
}

/// A fault of whoever was to answer. Identity is no upstream but a part of ours: without it the outcome is undetermined.
fn failed(ctx: &Ctx, fault: UpstreamFault) -> Deny {
    match ctx.admitted.as_ref().map(|admitted| &admitted.route.route.target) {
        Some(Target::Identity) => Deny::Unavailable { dependency: "identity" },
        _ => Deny::Upstream(fault),
    }
}

fn upstream_fault(error: &Error) -> UpstreamFault {
    use ErrorType::{BindError, ConnectError, ConnectNoRoute, ConnectRefused, SocketError};
    match error.etype() {
        _ if is_timeout(error) => UpstreamFault::Timeout,
        ConnectRefused | ConnectNoRoute | ConnectError | BindError | SocketError => {
            UpstreamFault::Unreachable
        }
        _ => UpstreamFault::Broken,
    }
}

fn is_timeout(error: &Error) -> bool {
    use ErrorType::{ConnectTimedout, ReadTimedout, WriteTimedout};
    matches!(error.etype(), ConnectTimedout | ReadTimedout | WriteTimedout)
}
