//! The contract's bodies: what is read, what is refused, how refusals look.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    dialects::{
        fields::{Request, parse},
        tmws::Tmws,
    },
    identity::{FieldError, IdentityError},
    model::secret::ExposeSecret,
    pipeline::{
        Deny, Face, Reply, ReplyFacts, Toll, Window,
        deny::{KeyFault, Malformed, TokenFault, UpstreamFault},
    },
};

const FACTS: ReplyFacts<'static> =
    ReplyFacts { request_id: "req_1", path: "/api/v1/tasks", method: "POST" };

fn toll(retry: Duration) -> Toll {
    Toll {
        name: "tmws-general".into(),
        window: Window { limit: 100, per: Duration::from_secs(60) },
        remaining: 0,
        reset_after: Duration::from_secs(60),
        retry_after: Some(retry),
    }
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.to_str().unwrap())
}

#[test]
fn every_refusal_of_the_gateway_has_its_status_text_and_challenge() {
    const BEARER: Option<&str> = Some("Bearer");
    const INVALID: Option<&str> = Some("Bearer error=\"invalid_token\"");
    let rows = [
        (Deny::Malformed(Malformed::PathDots), 400, "Bad Request", None),
        (Deny::NoRoute, 404, "Not Found", None),
        (Deny::MethodNotAllowed { allow: "GET, HEAD".into() }, 405, "Method Not Allowed", None),
        (Deny::MissingCredential, 401, "Authentication required - missing credentials", BEARER),
        (Deny::Token(TokenFault::Expired), 401, "Token expired", INVALID),
        (Deny::Token(TokenFault::Invalid), 401, "Could not validate credentials", INVALID),
        (Deny::Token(TokenFault::Revoked), 401, "Could not validate credentials", INVALID),
        (Deny::Key(KeyFault::Malformed), 401, "Invalid API key", None),
        (Deny::Key(KeyFault::Unknown), 401, "Invalid API key", None),
        (Deny::Key(KeyFault::Expired), 401, "Invalid API key", None),
        (Deny::Key(KeyFault::Revoked), 401, "Invalid API key", None),
        (Deny::AddressNotAllowed, 403, "Access denied: IP address not allowed", None),
        (
            Deny::forbidden("create"),
            403,
            "Permission required: create",
            Some("Bearer error=\"insufficient_scope\""),
        ),
        (Deny::BodyTooLarge, 413, "Payload Too Large", None),
        (Deny::RateLimited(toll(Duration::from_millis(1200))), 429, "Rate limit exceeded", None),
        (Deny::Unavailable { dependency: "store" }, 503, "Service Unavailable", None),
        (Deny::Upstream(UpstreamFault::Unreachable), 502, "Bad Gateway", None),
        (Deny::Upstream(UpstreamFault::Broken), 502, "Bad Gateway", None),
        (Deny::Upstream(UpstreamFault::Timeout), 504, "Gateway Timeout", None),
        (Deny::Internal, 500, "Internal Server Error", None),
    ];
    for (deny, status, error, challenge) in rows {
        let reply = Tmws.render(&deny, &FACTS);
        assert_eq!(reply.status.as_u16(), status, "{deny:?}");
        assert_eq!(header(&reply, "content-type"), Some("application/json"), "{deny:?}");
        assert_eq!(header(&reply, "www-authenticate"), challenge, "{deny:?}");
        let body = body(&reply);
        // Trap 1: an object, and without the field the shell client looks for.
        assert!(body.is_object() && body.get("access_token").is_none(), "{deny:?}");
        assert_eq!(body["error"], error, "{deny:?}");
        assert_eq!(body["detail"], error, "{deny:?}");
        assert_eq!(body["status_code"], status, "{deny:?}");
        assert_eq!(body["request_id"], "req_1", "{deny:?}");
    }
}

#[test]
fn extras_stand_only_where_the_contract_puts_them() {
    let limited = Tmws.render(&Deny::RateLimited(toll(Duration::from_millis(1200))), &FACTS);
    assert_eq!(body(&limited)["retry_after"], json!(2));
    assert_eq!(header(&limited, "retry-after"), Some("2"));
    let soon = Tmws.render(&Deny::RateLimited(toll(Duration::ZERO)), &FACTS);
    assert_eq!(header(&soon, "retry-after"), Some("1"), "whole seconds, at least 1");

    let missing = Tmws.render(&Deny::NoRoute, &FACTS);
    assert_eq!(body(&missing)["path"], "/api/v1/tasks");
    assert!(body(&missing)["message"].is_string());

    let method = Tmws.render(&Deny::MethodNotAllowed { allow: "GET, HEAD".into() }, &FACTS);
    assert_eq!(header(&method, "allow"), Some("GET, HEAD"));
    assert_eq!(body(&method).as_object().unwrap().len(), 4);

    let busy = Tmws.render(&Deny::Unavailable { dependency: "store" }, &FACTS);
    assert_eq!(header(&busy, "retry-after"), Some("1"));
    assert!(body(&busy).get("retry_after").is_none());
}

#[test]
fn every_answer_of_identity_has_its_status_and_text() {
    let weak = || {
        vec![FieldError { field: "password", kind: "weak", message: "needs a digit".to_owned() }]
    };
    let rows = [
        (IdentityError::InvalidCredentials, 401, "Invalid credentials"),
        (
            IdentityError::Locked { retry_after: Duration::from_secs(1799), by_this: false },
            423,
            "Account is locked",
        ),
        (IdentityError::Disabled, 403, "Account is disabled"),
        (IdentityError::Throttled(toll(Duration::from_secs(6))), 429, "Rate limit exceeded"),
        (IdentityError::InvalidRefreshToken, 401, "Invalid or expired refresh token"),
        (IdentityError::CredentialEnded, 401, "Could not validate credentials"),
        (IdentityError::WrongCurrentPassword, 400, "Current password is incorrect"),
        (IdentityError::Forbidden { action: "create" }, 403, "Permission required: create"),
        (IdentityError::NotFound, 404, "Not Found"),
        (IdentityError::AlreadyExists { field: "username" }, 400, "Username already exists"),
        (IdentityError::WeakPassword(weak()), 422, "Validation Error"),
        (IdentityError::Invalid(weak()), 422, "Validation Error"),
        (IdentityError::Busy, 503, "Service Unavailable"),
        (IdentityError::Unavailable, 503, "Service Unavailable"),
        (IdentityError::Internal, 500, "Internal Server Error"),
    ];
    for (error, status, text) in rows {
        let refusal = Refusal::from(&error);
        let reply = refusal.render(&FACTS);
        assert_eq!(reply.status.as_u16(), status, "{error:?}");
        assert_eq!(body(&reply)["error"], text, "{error:?}");
        assert_eq!(refusal.reason, error.reason(), "{error:?}");
    }
    let locked =
        IdentityError::Locked { retry_after: Duration::from_millis(1_798_500), by_this: true };
    let locked = Refusal::from(&locked).render(&FACTS);
    assert_eq!(header(&locked, "retry-after"), Some("1799"));
    assert!(body(&locked).get("retry_after").is_none());
    let login = Refusal::from(&IdentityError::InvalidCredentials).render(&FACTS);
    assert_eq!(header(&login, "www-authenticate"), None);

    let change = Refusal::on_password_change(&IdentityError::WeakPassword(weak())).render(&FACTS);
    assert_eq!(change.status.as_u16(), 400);
    assert_eq!(
        body(&change)["details"],
        json!([{"loc": ["body", "password"], "msg": "needs a digit", "type": "weak"}])
    );
}

fn wrong<T: Request>(text: &str) -> Vec<(String, String)> {
    let Err(details) = parse::<T>(text.as_bytes()) else { panic!("accepted: {text}") };
    details.into_iter().map(|detail| (detail.loc.join("."), detail.kind)).collect()
}

fn one(loc: &str, kind: &str) -> Vec<(String, String)> {
    vec![(loc.to_owned(), kind.to_owned())]
}

#[test]
fn a_login_takes_any_two_strings_and_any_layout() {
    let text = "\n{\n \"username\" : \"admin\",\r\n\t\"password\":\n\"\",\"remember\":true}\n";
    let LogIn(login) = parse(text.as_bytes()).unwrap();
    assert_eq!(login.name, "admin");
    assert_eq!(login.password.expose_secret(), "");
}

#[test]
fn every_field_that_does_not_fit_is_told_at_once() {
    assert_eq!(
        wrong::<LogIn>("{\"password\": 5}"),
        [one("body.username", "missing"), one("body.password", "string_type")].concat()
    );
    assert_eq!(
        wrong::<CreateKey>(
            r#"{"name":"x","scopes":[],"expires_days":0,"rate_limit_per_hour":1.0,"allowed_ips":"::1"}"#
        ),
        [
            one("body.name", "string_too_short"),
            one("body.scopes", "too_short"),
            one("body.expires_days", "greater_than_equal"),
            one("body.allowed_ips", "list_type"),
            one("body.rate_limit_per_hour", "int_type"),
        ]
        .concat()
    );
    assert_eq!(wrong::<CreateUser>("{}").len(), 3);
}

#[test]
fn bodies_that_are_no_json_object_are_told_by_kind() {
    for (text, kind) in [
        ("", "missing"),
        ("  ", "missing"),
        ("{", "json_invalid"),
        ("{} x", "json_invalid"),
        ("[]", "object_type"),
        ("null", "object_type"),
        ("\"username\"", "object_type"),
    ] {
        assert_eq!(wrong::<LogIn>(text), one("body", kind), "{text:?}");
    }
    assert_eq!(wrong::<LogOut>("[]"), one("body", "object_type"));
}

#[test]
fn a_detail_never_repeats_what_was_sent() {
    let Err(details) = parse::<LogIn>(b"{\"password\": hunter2}") else { panic!() };
    assert!(!format!("{details:?}").contains("hunter2"));
}

#[test]
fn logout_and_rotation_may_come_without_a_body() {
    assert!(parse::<LogOut>(b"").unwrap().refresh_token.is_none());
    assert!(parse::<LogOut>(b"{\"refresh_token\": null}").unwrap().refresh_token.is_none());
    assert_eq!(parse::<RotateKey>(b"").unwrap().overlap, Duration::ZERO);
    let rotate = parse::<RotateKey>(b"{\"overlap_seconds\": 604800}").unwrap();
    assert_eq!(rotate.overlap, Duration::from_secs(604_800));
    for text in ["604801", "-1", "1.5", "\"5\"", "99999999999999999999999"] {
        let text = format!("{{\"overlap_seconds\": {text}}}");
        assert_eq!(wrong::<RotateKey>(&text).len(), 1, "{text}");
    }
}

#[test]
fn a_key_request_has_the_contracts_defaults() {
    let CreateKey(new) = parse(b"{\"name\":\"ci\",\"expires_days\":null,\"scopes\":null}").unwrap();
    assert_eq!(new.scopes, ["READ"]);
    assert_eq!((new.lifetime, new.rate_limit_per_hour), (None, None));
    assert!(new.allowed_ips.is_empty());
    let CreateKey(new) = parse(b"{\"name\":\"ci\",\"expires_days\":30}").unwrap();
    assert_eq!(new.lifetime, Some(Duration::from_secs(30 * 86_400)));
    // Characters are counted, not bytes.
    let name = format!("{{\"name\":\"{}\"}}", "ä".repeat(128));
    assert!(parse::<CreateKey>(name.as_bytes()).is_ok());
    let name = format!("{{\"name\":\"{}\"}}", "a".repeat(129));
    assert_eq!(wrong::<CreateKey>(&name), one("body.name", "string_too_long"));
}
