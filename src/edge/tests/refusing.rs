use std::{io::Write, sync::Arc};

use http::Method;

use super::{
    proxying::public,
    support::{Answer, Edge, Upstream, backend, dead, send_on, settings},
};
use crate::{edge::testing, pipeline::Authn, pipeline::CredentialKind};

#[test]
fn what_two_parsers_could_read_differently_is_400_and_closes() {
    let upstream = Upstream::ok();
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    for request in [
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "GET /x HTTP/1.1\r\nHost: a\n\r\n",
        "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x/../y HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%252e HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    ] {
        let answer = edge.ask(request);
        assert_eq!(answer.status, 400, "{request:?}");
        assert!(answer.closes(), "{request:?} {answer:?}");
    }
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn an_unreadable_request_is_answered_in_the_shape_of_its_hosts_mount() {
    let edge = Edge::start(public(|_| {}), &[]);
    let answer = edge.ask("GET /x/../y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.text().contains("path_dots"));
    assert!(answer.text().contains(answer.field("x-request-id").unwrap()));
    assert_eq!(answer.field("content-type"), Some("application/json"));
}

#[test]
fn a_path_without_a_route_is_404_and_a_credential_that_is_missing_401() {
    let mount = Arc::new(testing::mount("api"));
    let mut guarded = testing::route("guarded", &mount);
    guarded.authn = Authn::Required(vec![CredentialKind::Jwt]);
    let table = testing::table(vec![("/guarded", vec![Method::POST], guarded)]);
    let edge = Edge::start(testing::snapshot_of(table, vec![mount]), &[]);
    assert_eq!(edge.get("/nothing").status, 404);
    let wrong = edge.get("/guarded");
    assert_eq!(wrong.status, 405);
    let mut tcp = edge.connect();
    tcp.write_all(b"POST /guarded HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
    let answer = Answer::read(&mut tcp, false);
    assert_eq!(answer.status, 401);
    assert!(!answer.closes(), "nothing is left unread");
    tcp.write_all(b"POST /guarded HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET /").unwrap();
    let answer = Answer::read(&mut tcp, false);
    assert_eq!((answer.status, answer.closes()), (401, true));

    // A request is written down after its answer is out.
    let mut missing = 0;
    while missing < 2 {
        let drained = edge.shared.drain_refusals();
        let lines = drained.iter().filter(|line| line.reason == "credential_missing");
        missing += lines.map(|line| line.count).sum::<u64>();
    }
    assert_eq!(missing, 2);
}

#[test]
fn trace_is_405_and_options_is_answered_here() {
    let upstream = Upstream::ok();
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    assert_eq!(edge.ask("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n").status, 405);
    let answer = edge.ask("OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.status, &*answer.text()), (200, "{}"));
    assert!(answer.field("allow").unwrap().contains("GET"));
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn a_preflight_needs_no_credential_and_tells_the_methods_to_known_origins() {
    let mut mount = testing::mount("api");
    mount.cors.origins = vec!["https://app.example.org".into()];
    let mount = Arc::new(mount);
    let mut guarded = testing::route("guarded", &mount);
    guarded.authn = Authn::Required(vec![CredentialKind::Jwt]);
    let table = testing::table(vec![("/guarded", vec![Method::POST], guarded)]);
    let edge = Edge::start(testing::snapshot_of(table, vec![mount]), &[]);
    let preflight = |origin: &str, path: &str| {
        edge.ask(&format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\r\n"
        ))
    };
    let answer = preflight("https://app.example.org", "/guarded");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("access-control-allow-origin"), Some("https://app.example.org"));
    assert!(answer.field("access-control-allow-methods").unwrap().contains("POST"));
    let stranger = preflight("https://evil.example", "/guarded");
    assert_eq!(stranger.field("access-control-allow-origin"), None);
    assert_eq!(preflight("https://app.example.org", "/nothing").status, 404);
    // Refusals can be read by the page as well.
    let refused =
        edge.ask("POST /guarded HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example.org\r\n\r\n");
    assert_eq!(refused.field("access-control-allow-origin"), Some("https://app.example.org"));
}

#[test]
fn a_head_request_is_refused_without_a_body() {
    let mount = Arc::new(testing::mount("api"));
    let edge = Edge::start(testing::snapshot_of(testing::table(vec![]), vec![mount]), &[]);
    let mut tcp = edge.connect();
    tcp.write_all(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut tcp, true).status, 404);
    tcp.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut tcp, false).status, 404, "nothing stood between the two answers");
}

#[test]
fn an_announced_body_that_is_too_large_is_413_at_once() {
    let upstream = Upstream::ok();
    let edge = Edge::start(public(|route| route.body_limit = 10), &[upstream.settings()]);
    let answer = edge.ask("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    assert_eq!((answer.status, answer.closes()), (413, true));
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn a_body_that_grows_too_large_is_413_also_while_it_is_being_sent() {
    let upstream = Upstream::ok();
    let edge = Edge::start(public(|route| route.body_limit = 10), &[upstream.settings()]);
    let mut tcp = edge.connect();
    tcp.write_all(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    for _ in 0..64 {
        // The answer may come before all is written.
        if tcp.write_all(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes()).is_err() {
            break;
        }
    }
    let answer = Answer::read(&mut tcp, false);
    assert_eq!((answer.status, answer.closes()), (413, true));
    assert!(answer.text().contains("body_too_large"));
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn a_refusal_arrives_while_the_client_is_still_sending() {
    const LONG: &str = "Content-Length: 100000\r\n\r\nabc";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";
    let mount = Arc::new(testing::mount("api"));
    let mut guarded = testing::route("guarded", &mount);
    guarded.authn = Authn::Required(vec![CredentialKind::Jwt]);
    let mut small = testing::route("small", &mount);
    small.body_limit = 10;
    let routes = vec![
        ("/guarded", vec![Method::POST], guarded),
        ("/small", vec![Method::POST], small),
        ("/open", vec![Method::POST], testing::route("open", &mount)),
    ];
    let upstream = Upstream::ok();
    let snapshot = testing::snapshot_of(testing::table(routes), vec![mount]);
    let edge = Edge::start(snapshot, &[upstream.settings()]);
    for (status, line, rest) in [
        (404, "POST /nothing", LONG.to_owned()),
        (405, "PUT /open", LONG.to_owned()),
        (401, "POST /guarded", LONG.to_owned()),
        (413, "POST /small", LONG.to_owned()),
        (413, "POST /small", format!("{CHUNKED}10000\r\n{}", "x".repeat(100))),
        (400, "POST /open", format!("{CHUNKED}zz\r\n")),
        (400, "POST /open/../x", LONG.to_owned()),
        (400, "POST /open", format!("Content-Length: 3\r\n{CHUNKED}0\r\n\r\n")),
        // These two pingora refuses before it asks us.
        (400, "POST /open", "Content-Length: x\r\n\r\n".to_owned()),
        (405, "CONNECT a:1", LONG.to_owned()),
    ] {
        let mut tcp = edge.connect();
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\n{rest}");
        tcp.write_all(request.as_bytes()).unwrap();
        let answer = Answer::read(&mut tcp, false);
        assert_eq!((answer.status, answer.closes()), (status, true), "{request:?}");
        send_on(tcp);
    }
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn a_broken_upstream_is_told_while_the_client_is_still_sending() {
    let edge = Edge::start(public(|_| {}), &[settings(vec![backend(dead())])]);
    let mut tcp = edge.connect();
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc";
    tcp.write_all(head.as_bytes()).unwrap();
    let answer = Answer::read(&mut tcp, false);
    assert_eq!((answer.status, answer.closes()), (502, true));
    send_on(tcp);
}
