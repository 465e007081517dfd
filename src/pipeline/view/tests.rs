use http::HeaderValue;

use super::*;
use crate::pipeline::fixture::Request;

fn with(name: &str, value: &str) -> Result<(), Malformed> {
    Request::get("/a").header(name, value).try_view().map(drop)
}

#[test]
fn a_plain_request_is_read() {
    let request = Request::get("/api/v1/tasks?q=a%20b").header("x-api-key", "k");
    let view = request.view();
    assert_eq!((&*view.host, view.path.as_str()), ("api.example.org", "/api/v1/tasks"));
    assert_eq!(view.query, Some("q=a%20b"));
}

#[test]
fn hosts_are_brought_into_one_form() {
    for (given, wanted) in [
        ("API.Example.org", "api.example.org"),
        ("api.example.org:8000", "api.example.org"),
        ("api.example.org.", "api.example.org"),
        ("api.example.org.:80", "api.example.org"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("[::1]:8000", "[::1]"),
        ("[0:0::1]", "[::1]"),
    ] {
        let mut request = Request::get("/");
        request.headers.insert("host", given.parse().unwrap());
        assert_eq!(request.view().host, wanted, "{given}");
    }
}

#[test]
fn odd_hosts_are_refused() {
    for given in [
        "", ".", "a..b", "a b", "user@a", "a,b", "a/b", "a:", "a:x", "a:99999", "a:80:80", "::1",
        "[::1", "[::1]x", "[zz]", "a\u{e4}", "%61",
    ] {
        let mut request = Request::get("/");
        request.headers.insert("host", HeaderValue::from_bytes(given.as_bytes()).unwrap());
        assert_eq!(request.try_view().map(drop), Err(Malformed::Host), "{given}");
    }
}

#[test]
fn exactly_one_host_is_named_and_target_and_field_agree() {
    let mut none = Request::get("/");
    none.headers.clear();
    assert_eq!(none.try_view().map(drop), Err(Malformed::Host));
    assert_eq!(with("host", "api.example.org"), Err(Malformed::Host));
    for (target, agrees) in [
        ("http://api.example.org/a", true),
        ("http://API.example.org./a", true),
        ("http://api.example.org:80/a", true),
        ("http://api.example.org:81/a", false),
        ("https://api.example.org:443/a", true),
        ("https://api.example.org:80/a", false),
        ("http://other.example.org/a", false),
        ("http://user@api.example.org/a", false),
    ] {
        assert_eq!(Request::get(target).try_view().is_ok(), agrees, "{target}");
    }
    let mut h2 = Request::get("https://api.example.org/a");
    h2.headers.clear();
    assert_eq!(h2.view().host, "api.example.org");
}

#[test]
fn targets_that_are_no_paths_are_refused() {
    let other = Request::get("ftp://api.example.org/a");
    assert_eq!(other.try_view().map(drop), Err(Malformed::Target));
    let star = Request::new("OPTIONS", "*");
    assert_eq!(star.try_view().map(drop), Err(Malformed::Target));
    let authority = Request::get("api.example.org:443");
    assert_eq!(authority.try_view().map(drop), Err(Malformed::Target));
}

#[test]
fn raw_targets_have_no_fragment_and_no_odd_bytes() {
    assert_eq!(check_target(b"/a?b=c%20d"), Ok(()));
    assert_eq!(check_target(b"http://a/b"), Ok(()));
    for raw in [&b"a/b"[..], b"a", b"", b"a:443"] {
        assert_eq!(check_target(raw), Err(Malformed::Target));
    }
    for raw in [&b"/a#b"[..], b"/a b", b"/a\0", b"/\xff", b"/a?b#c"] {
        assert_eq!(check_target(raw), Err(Malformed::Target));
    }
}

#[test]
fn fields_that_may_stand_once_stand_once() {
    for name in ["authorization", "x-api-key", "content-type"] {
        let twice = Request::get("/").header(name, "a").header(name, "a");
        assert_eq!(twice.try_view().map(drop), Err(Malformed::Header), "{name}");
        assert_eq!(with(name, "\u{e4}"), Err(Malformed::Header), "{name}");
    }
    assert!(Request::get("/").header("accept", "a").header("accept", "b").try_view().is_ok());
}

#[test]
fn connection_names_nothing_that_is_ours() {
    for value in [
        "X-Auth-Subject",
        "close, x_auth_roles",
        "X-Forwarded-For",
        "x-forwarded-anything",
        "Forwarded",
        "X-Request-ID",
        "authorization",
        "X-API-Key",
        "host",
        "cookie",
        "x-portcullis-context",
        "x-real-ip",
        "True-Client-IP",
        "x-original-uri",
        "keep-alive,,Content-Length",
        "transfer-encoding",
    ] {
        assert_eq!(with("connection", value), Err(Malformed::Connection), "{value}");
    }
    for value in ["close", "keep-alive, Upgrade", "", "TE, x-own"] {
        assert_eq!(with("connection", value), Ok(()), "{value}");
    }
}

#[test]
fn connection_names_no_identity_header_of_the_operators_choice() {
    let names =
        IdentityHeaders { subject: http::HeaderName::from_static("x-user"), ..Default::default() };
    for (value, wanted) in [
        ("close, X-User", Err(Malformed::Connection)),
        ("x_user", Err(Malformed::Connection)),
        ("X-Users, close", Ok(())),
    ] {
        let request = Request::get("/").header("connection", value);
        assert_eq!(request.view().check_connection(&names), wanted, "{value}");
    }
}

#[test]
fn a_message_has_one_length() {
    let framed = |fields: &[(&str, &str)]| {
        let start = Request::new("POST", "/");
        let request =
            fields.iter().fold(start, |request, (name, value)| request.header(name, value));
        request.try_view().map(drop)
    };
    assert_eq!(framed(&[("content-length", "12")]), Ok(()));
    assert_eq!(framed(&[("transfer-encoding", "chunked")]), Ok(()));
    for bad in [
        &[("content-length", "1"), ("transfer-encoding", "chunked")][..],
        &[("content-length", "1"), ("content-length", "1")],
        &[("content-length", "1, 1")],
        &[("content-length", "+1")],
        &[("content-length", "0x1")],
        &[("content-length", "")],
        &[("content-length", "99999999999999999999")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "identity")],
        &[("transfer-encoding", "chunked, chunked")],
        &[("transfer-encoding", "xchunked")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    ] {
        assert_eq!(framed(bad), Err(Malformed::Framing), "{bad:?}");
    }
}
