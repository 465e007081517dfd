use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::pipeline::{
    Toll, Window,
    deny::{KeyFault, Malformed},
};

fn toll() -> Toll {
    let window = Window { limit: 100, per: Duration::from_secs(60) };
    let retry_after = Some(Duration::from_millis(1_200));
    Toll { name: "l".into(), window, remaining: 0, reset_after: window.per, retry_after }
}

fn render(deny: &Deny) -> (Reply, Value) {
    let facts = ReplyFacts { request_id: "req_1", path: "/a", method: "GET" };
    let reply = Problem.render(deny, &facts);
    let body = serde_json::from_slice(&reply.body).unwrap();
    (reply, body)
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    let found = reply.headers.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.to_str().unwrap())
}

#[test]
fn refusals_have_status_code_and_fields_by_their_kind() {
    for (deny, status, code) in [
        (Deny::Malformed(Malformed::PathDots), 400, "bad_request"),
        (Deny::NoRoute, 404, "not_found"),
        (Deny::Misdirected, 421, "misdirected"),
        (Deny::MethodNotAllowed { allow: "GET, HEAD".into() }, 405, "method_not_allowed"),
        (Deny::MissingCredential, 401, "credential_missing"),
        (Deny::Token(TokenFault::Invalid), 401, "credential_invalid"),
        (Deny::Token(TokenFault::Revoked), 401, "credential_invalid"),
        (Deny::Token(TokenFault::Expired), 401, "token_expired"),
        (Deny::Key(KeyFault::Unknown), 401, "credential_invalid"),
        (Deny::Key(KeyFault::Revoked), 401, "credential_invalid"),
        (Deny::AddressNotAllowed, 403, "forbidden"),
        (Deny::forbidden("create"), 403, "forbidden"),
        (Deny::AnsweredHere, 403, "forbidden"),
        (Deny::BodyTooLarge, 413, "body_too_large"),
        (Deny::RateLimited(toll()), 429, "rate_limited"),
        (Deny::Unavailable { dependency: "store" }, 503, "unavailable"),
        (Deny::Upstream(UpstreamFault::Unreachable), 502, "upstream_unreachable"),
        (Deny::Upstream(UpstreamFault::Timeout), 504, "upstream_timeout"),
        (Deny::Upstream(UpstreamFault::Broken), 502, "upstream_broken"),
        (Deny::Internal, 500, "internal"),
    ] {
        let (reply, body) = render(&deny);
        assert_eq!((reply.status.as_u16(), body["code"].as_str()), (status, Some(code)));
        assert_eq!(body["status"].as_u64(), Some(u64::from(status)));
        assert_eq!((&body["type"], &body["request_id"]), (&"about:blank".into(), &"req_1".into()));
        assert_eq!(header(&reply, "content-type"), Some("application/problem+json"));
        assert_eq!(header(&reply, "cache-control"), Some("no-store"));
        let told = |name: &str| header(&reply, name).is_some();
        assert_eq!(told("www-authenticate"), deny.challenge().is_some(), "{deny:?}");
        assert_eq!(told("retry-after"), matches!(status, 429 | 503), "{deny:?}");
        assert_eq!(told("allow"), status == 405, "{deny:?}");
    }
}

#[test]
fn the_wait_is_rounded_up_and_the_same_in_header_and_body() {
    let (reply, body) = render(&Deny::RateLimited(toll()));
    assert_eq!((header(&reply, "retry-after"), &body["retry_after"]), (Some("2"), &2.into()));
    let (reply, _) =
        render(&Deny::RateLimited(Toll { retry_after: Some(Duration::ZERO), ..toll() }));
    assert_eq!(header(&reply, "retry-after"), Some("1"));
}

#[test]
fn the_allow_field_names_the_methods() {
    let (reply, _) = render(&Deny::MethodNotAllowed { allow: "GET, HEAD".into() });
    assert_eq!(header(&reply, "allow"), Some("GET, HEAD"));
}
