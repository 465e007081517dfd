//! Calls of gRPC: how one is known, and how one is refused.
//!
//! A client of gRPC looks for `grpc-status`, not for the status of HTTP: a refusal is a reply of which nothing is there but
//! its head ("Trailers-Only" in the protocol's own words).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};

use crate::pipeline::{Deny, Reply, view::Known};

/// How the media type of a call begins.
pub(super) const CONTENT_TYPE: &[u8] = b"application/grpc";
/// How a call ended.
pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is a call. It is one only over HTTP/2.
pub(super) fn is_call(version: Version, known: &Known<'_>) -> bool {
    version == Version::HTTP_2
        && known.content_type.value().is_some_and(|kind| is_kind(kind.as_bytes()))
}

/// Whether the head of a reply is that of a call.
pub(super) fn is_reply(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| is_kind(kind.as_bytes()))
}

fn is_kind(kind: &[u8]) -> bool {
    kind.get(..CONTENT_TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(CONTENT_TYPE))
}

/// What stands behind the messages of a call that was ended on its way.
pub(super) fn trailers(deny: &Deny) -> HeaderMap {
    let status = deny.status();
    let message = status.canonical_reason().unwrap_or("Error");
    HeaderMap::from_iter([
        (STATUS, HeaderValue::from_static(code(status))),
        (MESSAGE, HeaderValue::from_static(message)),
    ])
}

/// Says the same as `reply` in the words of gRPC.
pub(super) fn reword(reply: &mut Reply) {
    let code = code(reply.status);
    let message = reply.status.canonical_reason().unwrap_or("Error");
    reply.headers.retain(|(name, _)| *name != header::CONTENT_TYPE);
    reply.headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/grpc")));
    reply.headers.push((STATUS, HeaderValue::from_static(code)));
    reply.headers.push((MESSAGE, HeaderValue::from_static(message)));
    (reply.status, reply.body) = (StatusCode::OK, Bytes::new());
}

/// The status of gRPC for one of HTTP: as the protocol maps those of a proxy, but for limits, which have one of their own.
const fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "16",
        403 => "7",
        404 | 405 => "12",
        413 | 429 => "8",
        421 | 502..=504 => "14",
        400 | 500 => "13",
        _ => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_head_with_a_status_of_grpc() {
        for (status, code) in [(401, "16"), (403, "7"), (429, "8"), (503, "14"), (404, "12")] {
            let headers = vec![
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (header::RETRY_AFTER, HeaderValue::from_static("1")),
            ];
            let status = StatusCode::from_u16(status).unwrap();
            let mut reply = Reply { status, headers, body: Bytes::from_static(b"{}") };
            reword(&mut reply);
            assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, 0));
            let all = |wanted: &HeaderName| -> Vec<_> {
                let same = reply.headers.iter().filter(|(name, _)| name == wanted);
                same.map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
            };
            assert_eq!(all(&STATUS), [code]);
            assert_eq!(all(&header::CONTENT_TYPE), ["application/grpc"]);
            assert_eq!(all(&header::RETRY_AFTER), ["1"]);
        }
    }
}
