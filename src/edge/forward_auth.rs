//! Forward-auth: a proxy in front asks whether it may forward a request, and what it shall tell its own upstream.
//!
//! The request that is asked about is rebuilt from the question and goes through [`admit`], like any that comes itself:
//! there is no second way to decide. Here is only what differs: whose request it is, and how the verdict is told.

use std::{sync::Arc, time::Instant};

use http::{HeaderName, HeaderValue, StatusCode, Version, header, request};
use pingora::{http::RequestHeader, proxy::Session};

use super::{
    ForwardAuth, Live, Shared,
    admit::{Admission, Asked, admit},
    client::Caller,
    ctx::{About, Admitted, Ctx, Trail},
    framing, head,
    options::LocalAnswer,
    witness::Witness,
};
use crate::pipeline::{
    Deny, Reply, Snapshot, Target,
    deny::Malformed,
    forward_auth::{Forwards, Original, Style},
    mutate::IdentityHeaders,
    view::{Field, Known},
};

/// What a refusal's status really is, where the proxy understands only a few.
const STATUS: HeaderName = HeaderName::from_static("x-auth-status");
/// Tells Envoy which fields of the client's request must not go on.
const ENVOY_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// The target to forward, as the gateway itself would send it: path and query.
const TARGET: HeaderName = HeaderName::from_static("x-portcullis-target");
/// For Caddy, which takes a path by `uri path_regexp` alone: its replacement, where the path is not the one that was sent.
const PATH: HeaderName = HeaderName::from_static("x-portcullis-path");
/// The protocol that the connection may be upgraded to; without a value none.
const UPGRADE: HeaderName = HeaderName::from_static("x-portcullis-upgrade");

/// The request that a question is about.
pub(super) struct Meant {
    raw_head: Vec<u8>,
    head: RequestHeader,
    path: String,
    upgrade: Option<HeaderValue>,
}

/// Decides a question. The answer is for the proxy; a refusal is written as any other, see [`reword`].
pub(super) async fn decide(
    shared: &Shared,
    session: &mut Session,
    ctx: &mut Ctx,
    front: &Arc<ForwardAuth>,
) -> Result<LocalAnswer, Deny> {
    let conn = Arc::clone(ctx.conn.as_ref().ok_or(Deny::Internal)?);
    let http1 = session.req_header().version <= Version::HTTP_11;
    let has_frames = !http1 && !session.as_downstream_mut().is_body_empty();
    let question = session.req_header();
    let known = Known::of(&question.headers);
    conn.begin(if http1 { known.announces_body() } else { has_frames });
    conn.drop_surplus(http1 && matches!(known.upgrade, Field::Absent));
    let (snapshot, ids) = (&ctx.live.snapshot, &shared.ids);
    // Until the question is understood it is the proxy's own request; nothing that it tells is believed for that.
    let blank = http::HeaderMap::new();
    let peer = conn.peer.ip();
    ctx.caller = Some(Caller::read(snapshot, peer, conn.tls.is_some(), &blank, ids));
    let raw = session.as_downstream().to_h1_raw();
    check(shared, question, &raw, conn.framing())?;
    ctx.about = Some(Box::new(About { method: question.method.clone(), path: String::from("/") }));
    let (meant, caller) = understand(shared, snapshot, question, front)?;
    let (method, path) = (meant.head.method.clone(), meant.path.clone());
    ctx.about = Some(Box::new(About { method, path }));
    let caller = ctx.caller.insert(caller);
    let (live, trail) = (&ctx.live, &mut ctx.trail);
    let admitted =
        answer(shared, live, front, (&meant, caller, ctx.started), trail, &mut ()).await?;
    let names = &ctx.live.snapshot.identity_headers;
    let mut headers = fields(front.style, names, &admitted);
    headers.extend(told(front.style, &meant, &admitted)?);
    let answer = LocalAnswer { headers };
    ctx.admitted = Some(admitted);
    Ok(answer)
}

/// Judges the bytes of the question itself.
pub(super) fn check(
    shared: &Shared,
    question: &RequestHeader,
    raw: &[u8],
    seen: u8,
) -> Result<(), Deny> {
    if framing::is_faulty(seen, &question.headers) {
        return Err(Deny::Malformed(Malformed::Framing));
    }
    head::judge(raw, &shared.settings.limits).map_err(Deny::Malformed)
}

/// What it is about, and who sent that.
pub(super) fn understand(
    shared: &Shared,
    snapshot: &Snapshot,
    question: &RequestHeader,
    front: &ForwardAuth,
) -> Result<(Meant, Caller), Deny> {
    let own = (&question.method, question.raw_path(), &question.headers);
    let way = (front.style, front.forwards);
    let mut original = Original::of(way, &front.names, &snapshot.identity_headers, own)
        .map_err(Deny::Malformed)?;
    // A front that copies what its client sent must not vouch for it unawares.
    if let Some(name) = &snapshot.client_certificate {
        original.headers.remove(name);
    }
    let (hops, headers) = (&original.hops, &original.headers);
    let caller = Caller::told(snapshot, hops, original.scheme, headers, &shared.ids)
        .ok_or(Deny::Malformed(Malformed::Question))?;
    let upgrade = headers.get(header::UPGRADE).cloned();
    let raw_head = original.head();
    let head = rebuilt(original)?;
    Ok((Meant { path: head.uri.path().to_owned(), upgrade, raw_head, head }, caller))
}

/// What would become of that, where the proxy is to forward it.
pub(super) async fn answer<W: Witness>(
    shared: &Shared,
    live: &Live,
    front: &ForwardAuth,
    (meant, caller, came): (&Meant, &Caller, Instant),
    trail: &mut Trail,
    witness: &mut W,
) -> Result<Admitted, Deny> {
    let asked = Asked {
        raw_head: &meant.raw_head,
        // Nothing stands behind this head, and what stood behind the client's is not known here.
        framing: 0,
        head: &meant.head,
        known: Known::of(&meant.head.headers),
        came,
        caller,
        listener: &front.judged_as,
        tls: None,
    };
    let admission = admit(shared, live, &asked, trail, witness).await?;
    let Admission::Pass(admitted) = admission else { return Err(Deny::AnsweredHere) };
    let route = &admitted.route.route;
    if route.target == Target::Identity {
        return Err(Deny::AnsweredHere);
    }
    if front.forwards == Forwards::AsTold {
        return Ok(admitted);
    }
    if meant.upgrade.is_some() && upgrade_taken(meant, &admitted).is_none() {
        return Err(Deny::Malformed(Malformed::Upgrade));
    }
    // A run of slashes there is judged as one, and the proxy would forward them all.
    if meant.path.get(admitted.prefix_len..).is_some_and(|rest| rest.starts_with("//")) {
        return Err(Deny::Malformed(Malformed::PathSpelling));
    }
    Ok(admitted)
}

/// The protocol that the proxy may upgrade to, as the gateway itself would: a WebSocket, where the route takes one.
fn upgrade_taken(meant: &Meant, admitted: &Admitted) -> Option<&'static str> {
    const WEBSOCKET: &str = "websocket";
    let asked = meant.upgrade.as_ref()?;
    let is_one = asked.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes());
    (is_one && admitted.route.route.streaming).then_some(WEBSOCKET)
}

/// What a proxy forwards that forwards as it is told. Every answer says it: a proxy that found nothing there would forward
/// what its client sent.
fn told(
    style: Style,
    meant: &Meant,
    admitted: &Admitted,
) -> Result<Vec<(HeaderName, HeaderValue)>, Deny> {
    let target = &admitted.patch.path_and_query;
    let value =
        |text: &str| HeaderValue::from_str(text).map_err(|_| Deny::Malformed(Malformed::Target));
    let upgrade = upgrade_taken(meant, admitted).unwrap_or_default();
    let mut out = vec![(TARGET, value(target)?), (UPGRADE, HeaderValue::from_static(upgrade))];
    if style == Style::Caddy {
        let path = target.split('?').next().unwrap_or_default();
        // `$` begins the name of a group there.
        let new = if path == meant.path { String::new() } else { path.replace('$', "$$") };
        out.push((PATH, value(&new)?));
    }
    Ok(out)
}

fn rebuilt(original: Original) -> Result<RequestHeader, Deny> {
    // As the server would read it itself.
    let read = RequestHeader::build_no_case(original.method, &original.target, None);
    let read = read.map_err(|_| Deny::Malformed(Malformed::Target))?;
    let mut parts = request::Parts::from(read);
    parts.headers = original.headers;
    Ok(parts.into())
}

/// What the proxy tells its upstream: the patch that the gateway would apply itself. Every name of an identity header is
/// there, without a value where there is none, so that a proxy that copies them leaves none of the client's own.
fn fields(
    style: Style,
    names: &IdentityHeaders,
    admitted: &Admitted,
) -> Vec<(HeaderName, HeaderValue)> {
    let patch = &admitted.patch;
    let identity = || patch.identity.iter().flat_map(|fields| fields.iter()).cloned();
    let mut out: Vec<_> = patch.set.iter().cloned().chain(identity()).collect();
    let absent = |name: &&HeaderName| !out.iter().any(|(own, _)| own == *name);
    let mut empty: Vec<HeaderName> = names.all().into_iter().filter(absent).cloned().collect();
    if style.removes_fields() {
        // The gateway's own id takes the place of whatever stands there.
        let gone = |name: &&HeaderName| absent(name) && *name != super::client::REQUEST_ID;
        empty.extend(patch.remove.iter().filter(gone).cloned());
        let list = empty.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(",");
        out.extend(HeaderValue::from_str(&list).ok().map(|list| (ENVOY_REMOVE, list)));
        return out;
    }
    let no_cookie = patch.remove.contains(&header::COOKIE) && absent(&&header::COOKIE);
    empty.extend(no_cookie.then_some(header::COOKIE));
    out.extend(empty.into_iter().map(|name| (name, HeaderValue::from_static(""))));
    out
}

/// Says a refusal so that the proxy understands it. nginx takes 401 and 403 for refusals and everything else for a fault
/// of ours, which is what 5xx is.
pub(super) fn reword(style: Style, reply: &mut Reply) {
    if style != Style::Nginx {
        return;
    }
    reply.headers.push((STATUS, HeaderValue::from(reply.status.as_u16())));
    if !reply.status.is_server_error() && reply.status != StatusCode::UNAUTHORIZED {
        reply.status = StatusCode::FORBIDDEN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_gets_statuses_it_understands_and_an_outage_stays_one() {
        for (status, told) in
            [(400, 403), (401, 401), (403, 403), (404, 403), (429, 403), (500, 500), (503, 503)]
        {
            for style in [Style::Nginx, Style::Traefik, Style::Caddy, Style::Envoy] {
                let (headers, body) = (Vec::new(), bytes::Bytes::new());
                let mut reply = Reply { status: status.try_into().unwrap(), headers, body };
                reword(style, &mut reply);
                let real = reply.headers.iter().find(|(name, _)| *name == STATUS);
                if style == Style::Nginx {
                    assert_eq!(reply.status, told);
                    assert_eq!(real.unwrap().1, status.to_string().as_str());
                } else {
                    assert_eq!((reply.status.as_u16(), real), (status, None), "{style:?}");
                }
            }
        }
    }
}
