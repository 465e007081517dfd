//! Writes an answer that the gateway gives itself.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::{Result, http::ResponseHeader, proxy::Session};

use super::{ctx::Ctx, forward_auth, grpc, headers, options::LocalAnswer};
use crate::{
    model::Timestamp,
    pipeline::{Deny, ProofRule, ReplyFacts},
};

/// Answers with `deny` in the shape of the mount that `ctx` found, or of the stranger where it found none.
pub(super) async fn refuse(
    session: &mut Session,
    ctx: &Ctx,
    deny: &Deny,
    now: Timestamp,
) -> Result<()> {
    let head = session.req_header();
    let shown = ctx.trail.shown_path();
    let sent = ctx.about.as_ref().map_or(head.uri.path(), |about| &about.path);
    let path = if shown.is_empty() { sent } else { &shown };
    let method = ctx.method(session).as_str();
    let facts = ReplyFacts { request_id: ctx.request_id(), path, method };
    let mut reply = ctx.mount().face.render(deny, &facts);
    if let Some(front) = ctx.front() {
        forward_auth::reword(front.style, &mut reply);
    }
    if ctx.grpc {
        grpc::reword(&mut reply);
    }
    let mut out = build(reply.status, &reply.headers, &reply.body)?;
    let rule = ctx.trail.route.as_ref().map_or(ProofRule::None, |own| own.route.proof);
    if rule != ProofRule::None {
        headers::edit(&mut out, |_, headers| headers::ask_for_proof(headers, rule));
    }
    if let Some(metadata) = &ctx.mount().resource_metadata {
        headers::edit(&mut out, |_, headers| headers::point_to(headers, metadata));
    }
    if ctx.admitted.is_none() {
        // What was admitted has them already.
        let origin = session.req_header().headers.get(header::ORIGIN);
        let fields = ctx.mount().cors.reply_headers(origin);
        headers::edit(&mut out, |_, headers| headers::cross_origin(headers, &fields));
    }
    // A proxy's own message was sound: it is the client's that was not.
    if matches!(deny, Deny::Malformed(_)) && ctx.about.is_none() {
        // What this parser refused, another may read differently: nothing more from this connection, wherever the body
        // is said to end.
        close(session, ctx);
        if let Some(conn) = &ctx.conn {
            conn.malformed();
        }
    }
    write(session, ctx, out, reply.body, now).await
}

/// Answers `OPTIONS`, and proxies that may forward what they asked about.
pub(super) async fn answer(
    session: &mut Session,
    ctx: &Ctx,
    answer: &LocalAnswer,
    now: Timestamp,
) -> Result<()> {
    let body = Bytes::from_static(b"{}");
    let mut out = build(StatusCode::OK, &[], &body)?;
    out.insert_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
    headers::edit(&mut out, |_, headers| headers::cross_origin(headers, &answer.headers));
    write(session, ctx, out, body, now).await
}

/// Sends a browser to the login.
pub(super) async fn send_away(
    session: &mut Session,
    ctx: &Ctx,
    to: &HeaderValue,
    now: Timestamp,
) -> Result<()> {
    let out = build(StatusCode::FOUND, &[(header::LOCATION, to.clone())], &Bytes::new())?;
    write(session, ctx, out, Bytes::new(), now).await
}

fn build(
    status: StatusCode,
    fields: &[(HeaderName, HeaderValue)],
    body: &Bytes,
) -> Result<ResponseHeader> {
    let mut out = ResponseHeader::build_no_case(status, Some(fields.len() + 12))?;
    for (name, value) in fields {
        out.append_header(name, value.clone())?;
    }
    if !out.headers.contains_key(grpc::STATUS) {
        out.insert_header(header::CONTENT_LENGTH, body.len())?;
    }
    out.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    Ok(out)
}

async fn write(
    session: &mut Session,
    ctx: &Ctx,
    mut out: ResponseHeader,
    body: Bytes,
    now: Timestamp,
) -> Result<()> {
    headers::edit(&mut out, |status, headers| headers::stamp(status, headers, ctx, now));
    if !session.as_downstream_mut().is_body_done() {
        close(session, ctx);
    }
    let no_body = session.req_header().method == Method::HEAD || body.is_empty();
    session.write_response_header(Box::new(out), no_body).await?;
    if no_body {
        return Ok(());
    }
    session.write_response_body(Some(body), true).await
}

/// Ends the connection behind this answer: leftover bytes must never be read as a request. They are drained for a moment
/// so that the answer arrives.
fn close(session: &mut Session, ctx: &Ctx) {
    session.set_keepalive(None);
    if let Some(conn) = &ctx.conn {
        conn.linger();
    }
}
