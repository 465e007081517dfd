//! Methods that are not the upstream's business: `OPTIONS` is answered here, `TRACE` nowhere.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::{
    Live,
    admit::{Asked, is_forbidden},
    ctx::Trail,
};
use crate::pipeline::{Deny, Mount, RequestView, RouteTable, route::Missed};

/// An answer of our own, 200 with an empty object: to `OPTIONS`, because published clients parse every body, and to a
/// proxy that may forward what it asked about.
#[derive(Debug)]
pub(super) struct LocalAnswer {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Refuses methods that no route may take, and answers `OPTIONS` unless a route names it. Preflights carry no credential
/// and are always ours (Fetch standard, "CORS-preflight request").
pub(super) fn refuse_or_answer(
    routes: &RouteTable,
    asked: &Asked<'_>,
    view: &RequestView<'_>,
    trail: &mut Trail,
) -> Result<Option<LocalAnswer>, Deny> {
    if is_forbidden(view.method) {
        trail.mount = routes.mount_of(asked.listener, view, view.method).cloned();
        return Err(Deny::MethodNotAllowed { allow: allowed(routes, asked, view) });
    }
    if *view.method != Method::OPTIONS {
        return Ok(None);
    }
    let origin = view.known.origin.value();
    let preflight =
        origin.is_some() && view.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !preflight && routes.names(asked.listener, view, &Method::OPTIONS) {
        return Ok(None);
    }
    // The mount that will answer the request that the preflight is about: two may share a path.
    let wanted = view.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| preflight);
    let wanted = wanted.and_then(|name| Method::from_bytes(name.as_bytes()).ok());
    let wanted = wanted.as_ref().unwrap_or(view.method);
    let found = routes.mount_of(asked.listener, view, wanted);
    trail.mount = found.cloned();
    if let Err(Missed { deny: deny @ Deny::Malformed(_), .. }) = routes.find(asked.listener, view) {
        return Err(deny);
    }
    let allow = allowed(routes, asked, view);
    if allow.is_empty() {
        return Err(Deny::NoRoute);
    }
    let cors = found.map(|mount| &mount.cors);
    let mut headers = if preflight {
        cors.map(|cors| cors.preflight_headers(origin, &allow)).unwrap_or_default()
    } else {
        cors.map(|cors| cors.reply_headers(origin)).unwrap_or_default()
    };
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        headers.push((header::ALLOW, allow));
    }
    Ok(Some(LocalAnswer { headers }))
}

/// Methods of this path, `OPTIONS` included because it is answered for every path there is.
fn allowed(routes: &RouteTable, asked: &Asked<'_>, view: &RequestView<'_>) -> String {
    let mut methods = routes.methods_of(asked.listener, view);
    if !methods.is_empty() && !methods.contains(&Method::OPTIONS) {
        methods.push(Method::OPTIONS);
    }
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names.join(", ")
}

/// Whose shape answers a request that cannot be read: the mount at the root of its host, or of no host in particular where
/// its own cannot be read.
pub(super) fn mount_of_host(live: &Live, asked: &Asked<'_>) -> Option<Arc<Mount>> {
    // A name that is nobody's (RFC 6761 section 6.4).
    let nobody = HeaderValue::from_static("host.invalid");
    let mut hosts = asked.head.headers.get_all(header::HOST).iter();
    let own = hosts.next().filter(|_| hosts.next().is_none()).cloned();
    let root = Uri::from_static("/");
    own.into_iter().chain([nobody]).find_map(|host| {
        let headers = HeaderMap::from_iter([(header::HOST, host)]);
        let view = RequestView::new(&Method::GET, &root, &headers, &asked.caller.facts).ok()?;
        live.snapshot.routes.mount_of(asked.listener, &view, &Method::GET).cloned()
    })
}
