//! The head of a request in the form that HTTP/1 has, which is what everything behind this works on.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header, request, uri::Scheme};
use pingora::http::RequestHeader;

/// A head in the form of HTTP/1: the path alone as target, the authority as `Host`, cookies in one field. `None`: there
/// is no path that a request could have, or something that the library lets through and no request may have.
pub(super) fn as_http1(mut parts: request::Parts) -> Option<RequestHeader> {
    let authority = parts.uri.authority().cloned();
    if !has_a_scheme_of_ours(&parts) || !parts.headers.keys().all(is_token) {
        return None;
    }
    let path = match parts.uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') || path.as_str() == "*" => path.clone(),
        // CONNECT has none, and is refused whatever it names.
        None if parts.method == Method::CONNECT => "/".parse().ok()?,
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

/// The library keeps the scheme beside an authority only, and takes any, an empty one as well (RFC 9113 section 8.3.1).
fn has_a_scheme_of_ours(parts: &request::Parts) -> bool {
    if parts.method == Method::CONNECT || parts.uri.authority().is_none() {
        return true;
    }
    parts.uri.scheme().is_some_and(|own| *own == Scheme::HTTP || *own == Scheme::HTTPS)
}

/// Whether a name is one that HTTP/1 can write (RFC 9110 section 5.6.2): the library takes a quote too.
fn is_token(name: &HeaderName) -> bool {
    memchr::memchr(b'"', name.as_str().as_bytes()).is_none()
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

/// The head as bytes, to be judged by the same rules.
pub(super) fn raw(head: &RequestHeader) -> Bytes {
    let mut raw = BytesMut::with_capacity(1024);
    raw.put_slice(head.method.as_str().as_bytes());
    raw.put_u8(b' ');
    raw.put_slice(head.raw_path());
    raw.put_slice(b" HTTP/1.1\r\n");
    for (name, value) in &head.headers {
        raw.put_slice(name.as_str().as_bytes());
        raw.put_slice(b": ");
        raw.put_slice(value.as_bytes());
        raw.put_slice(b"\r\n");
    }
    raw.put_slice(b"\r\n");
    raw.freeze()
}
