//! The data plane: adapts pingora to the pipeline. The way of a request is in `admit.rs`.
//!
//! This room decides nothing itself: every yes or no comes from `pipeline`. It owns the sockets, the caches of proven
//! credentials and the pools behind the routes, and it is the only room that knows pingora. Here each of pingora's hooks
//! is a few lines that call the sibling which does the work.

mod accept;
mod access_log;
mod admit;
mod agent_use;
mod alarm;
mod assertions;
mod background;
mod bearer;
mod client;
mod client_limits;
mod conn;
mod connections;
mod counted;
mod ctx;
mod descriptors;
mod explain;
mod failures;
mod forward;
mod forward_auth;
mod framing;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod guard;
mod head;
mod headers;
mod http2;
mod live;
mod login;
mod opaque;
mod options;
mod pace;
mod panics;
mod possession;
mod proxy_protocol;
mod recent;
mod refusals;
mod replays;
mod reply;
mod resolve;
mod serve;
pub mod settings;
mod shadow;
mod shared;
mod slash;
mod streams;
#[cfg(test)]
mod testing;
pub mod tls;
mod upstream;
mod verdict;
mod websocket;
mod witness;

pub use agent_use::AgentUse;
pub use client_limits::ClientLimits;
pub use descriptors::most as most_descriptors;
pub use explain::{Evidence, Explainer};
pub use live::{IDENTITY_NODES, Live};
pub use proxy_protocol::ProxyProtocol;
pub use refusals::{RefusalCount, RefusalSubject};
pub use serve::{EdgeError, serve};
pub use settings::{CacheSizes, ForwardAuth, ListenerSettings, Settings, UpstreamSettings};
pub use shared::{Bound, Parts, Shared};

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, Version, header};
use pingora::{
    Error, Result,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session},
    upstreams::peer::HttpPeer,
};

use self::{
    admit::{Admission, Asked},
    client::Caller,
    conn::Conn,
    ctx::Ctx,
    streams::Open,
};
use crate::{
    model::Timestamp,
    pipeline::{
        Deny, Target,
        view::{Field, Known},
    },
};

/// The proxy logic that pingora drives.
struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Learns who asks and walks the request through admission; `None`: it may go upstream.
    async fn admit(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
    ) -> Result<Option<options::LocalAnswer>, Deny> {
        let conn = Arc::clone(conn_of(session).ok_or(Deny::Internal)?);
        // Before anything that may fail: whatever happens, this connection must be ended well.
        ctx.conn = Some(Arc::clone(&conn));
        if let Some(front) = &conn.front {
            let decided = Box::pin(forward_auth::decide(&self.shared, session, ctx, front));
            return decided.await.map(Some);
        }
        let http1 = session.req_header().version <= Version::HTTP_11;
        let has_frames = !http1 && !session.as_downstream_mut().is_body_empty();
        let head = session.req_header();
        let known = Known::of(&head.headers);
        ctx.grpc = grpc::is_call(head.version, &known);
        // A call may send its messages over hours, each when it has one.
        let has_body = if http1 { known.announces_body() } else { has_frames };
        conn.begin(!ctx.grpc && has_body);
        if ctx.grpc {
            conn.expect(forward::STREAM_GAP);
        }
        conn.drop_surplus(http1 && matches!(known.upgrade, Field::Absent));
        let (snapshot, ids) = (&ctx.live.snapshot, &self.shared.ids);
        let (peer, tls) = (conn.peer.ip(), conn.tls.as_deref());
        let caller = Caller::read(snapshot, peer, tls.is_some(), &head.headers, ids);
        let caller = ctx.caller.insert(caller);
        let raw_head = session.as_downstream().to_h1_raw();
        let asked = Asked {
            raw_head: &raw_head,
            framing: conn.framing(),
            head,
            known,
            came: ctx.started,
            caller,
            listener: &conn.listener,
            tls,
        };
        let age = self.shared.streams.age();
        let admission =
            admit::admit(&self.shared, &ctx.live, &asked, &mut ctx.trail, &mut ()).await;
        match admission? {
            Admission::Answer(answer) => Ok(Some(answer)),
            Admission::Pass(admitted) => {
                // What identity answers may be the very end of the credential.
                if admitted.route.route.target != Target::Identity
                    && let Some(open) = Open::of(&conn, &admitted, caller.facts.address)
                {
                    ctx.in_flight.hangs_on(open, ctx.started, age);
                }
                ctx.admitted = Some(admitted);
                Ok(None)
            }
        }
    }
}

/// The connection a request came on.
fn conn_of(session: &Session) -> Option<&Arc<Conn>> {
    session.as_downstream().digest()?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
}

#[async_trait]
impl ProxyHttp for Gateway {
    // In a box: pingora moves it from future to future, and it is not small.
    type CTX = Box<Ctx>;

    fn new_ctx(&self) -> Box<Ctx> {
        Box::new(Ctx::new(&self.shared))
    }

    /// No modules: replies pass as they are.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<Ctx>) -> Result<bool> {
        // The stream itself watches every read; pingora's own minute would end silent WebSockets.
        session.as_downstream_mut().set_read_timeout(None);
        let now = || self.shared.parts.clock.now();
        let admission = panics::contained(pin!(self.admit(session, ctx))).await;
        // In boxes: what passes must not carry the space of answers that it does not get.
        match admission.unwrap_or(Err(Deny::Internal)) {
            Ok(None) => return Ok(false),
            Ok(Some(answer)) => Box::pin(reply::answer(session, ctx, &answer, now())).await?,
            Err(deny) => {
                ctx.deny = Some(deny.clone());
                if let Some(to) = login::instead(session.req_header(), ctx, &deny) {
                    Box::pin(reply::send_away(session, ctx, &to, now())).await?;
                    return Ok(true);
                }
                Box::pin(reply::refuse(session, ctx, &deny, now())).await?;
            }
        }
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Box<Ctx>,
    ) -> Result<Box<HttpPeer>> {
        let tunnel = session.as_downstream().is_upgrade_req();
        let peer = panics::contained(pin!(forward::peer(&self.shared, ctx, tunnel))).await;
        peer.unwrap_or_else(|| Err(panics::error()))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Box<Ctx>,
    ) -> Result<()> {
        panics::caught(|| forward::request(&self.shared, ctx, request))
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Box<Ctx>,
    ) -> Result<()> {
        panics::caught(|| forward::body(session, ctx, body.as_ref(), end))
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        reply: &mut ResponseHeader,
        ctx: &mut Box<Ctx>,
    ) -> Result<()> {
        panics::caught(|| forward::response(&self.shared, session, ctx, reply))
    }

    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Box<Ctx>,
    ) -> Result<Option<Duration>> {
        panics::caught(|| {
            forward::response_body(ctx, end);
            Ok(None)
        })
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        reply: &mut ResponseHeader,
        ctx: &mut Box<Ctx>,
    ) -> Result<()> {
        if reply.status.is_informational() {
            return Ok(());
        }
        if session.req_header().version == Version::HTTP_10 {
            // Such a client knows no chunks (RFC 9112 section 6.1): the body ends where the connection does.
            reply.remove_header(&header::TRANSFER_ENCODING);
            session.set_keepalive(None);
        }
        panics::caught(|| {
            // The state of a limit is told as of when it was charged.
            let now = ctx.trail.charged_at.unwrap_or_else(|| self.shared.parts.clock.now());
            headers::of_upstream(reply, ctx, now);
            Ok(())
        })
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        ctx: &mut Box<Ctx>,
        error: Box<Error>,
    ) -> Box<Error> {
        panics::caught_error(|| forward::connect_failed(&self.shared, ctx, error))
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Box<Ctx>,
        reused: bool,
    ) -> Box<Error> {
        panics::caught_error(|| forward::broke(&self.shared, session, ctx, error, reused))
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Box<Ctx>,
    ) -> FailToProxy {
        let deny = forward::deny_of(ctx, error);
        ctx.client_gone = deny.is_none();
        ctx.deny = deny;
        let error_code = match &ctx.deny {
            Some(deny) => deny.status().as_u16(),
            None => 0,
        };
        fail(session, ctx, self.shared.parts.clock.now()).await;
        tracing::debug!(event = "proxy_failed", request_id = ctx.request_id(), %error);
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut Box<Ctx>) {
        access_log::finish(&self.shared, session, ctx);
        ctx.in_flight.settles();
        if let Some(conn) = &ctx.conn {
            conn.idle();
        }
    }

    /// Ours are the access line and the debug line above; pingora's would show query strings.
    fn suppress_error_log(&self, _: &Session, _: &Box<Ctx>, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Box<Ctx>,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }

    fn request_summary(&self, _: &Session, ctx: &Box<Ctx>) -> String {
        ctx.request_id().to_owned()
    }
}

/// Ends a request that cannot be served: with a refusal if nothing was sent yet, else so that the break can be seen.
async fn fail(session: &mut Session, ctx: &mut Ctx, now: Timestamp) {
    let Some(deny) = ctx.deny.clone() else { return };
    let begun = session.as_downstream().response_written();
    let counts = |reply: &&ResponseHeader| {
        !reply.status.is_informational() || reply.status == StatusCode::SWITCHING_PROTOCOLS
    };
    match begun.filter(counts) {
        Some(reply) if has_length(reply) || ctx.grpc => {}
        // The client of a WebSocket is waited for to read why.
        Some(_) if ctx.conn.as_ref().is_some_and(|conn| conn.has_said_farewell()) => {}
        Some(_) => {
            // This answer ends where the connection ends: only a reset tells that it did not end well. Behind a 101 the
            // connection belongs to another protocol, into which no refusal may be written.
            if let Some(conn) = &ctx.conn {
                conn.abort();
            }
            return;
        }
        None => {
            // pingora drops the connection after an error, so it must say so, and closing it well is up to us.
            session.set_keepalive(None);
            if let Err(error) = reply::refuse(session, ctx, &deny, now).await {
                tracing::debug!(event = "refusal_unsent", request_id = ctx.request_id(), %error);
                return;
            }
        }
    }
    ctx.ended = Some(Instant::now());
    session.as_downstream_mut().shutdown().await;
}

/// Whether a client can see by the framing that an answer was cut.
fn has_length(reply: &ResponseHeader) -> bool {
    reply.headers.contains_key(header::CONTENT_LENGTH)
        || reply.headers.contains_key(header::TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests;
