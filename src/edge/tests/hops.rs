//! What holds for one connection only, and what each side may say about itself.

use std::{
    io::{Read, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;

use super::{
    proxying::public,
    support::{Answer, Edge, Upstream, field, plain, read_head, send_on, settings},
};
use crate::edge::testing;

fn to_the_end(tcp: &mut impl Read) -> String {
    let mut all = Vec::new();
    let _ = tcp.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn what_is_no_request_at_all_gets_an_object_too() {
    let upstream = Upstream::ok();
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let good = "GET /x HTTP/1.1\r\nHost: api.example.org\r\n\r\n";
    for (bytes, status) in [
        ("garbage\r\n\r\n", 400),
        ("GET /x HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ] {
        // Also on a connection that was good so far.
        for before in [None, Some(good)] {
            let mut tcp = edge.connect();
            if let Some(good) = before {
                tcp.write_all(good.as_bytes()).unwrap();
                assert_eq!(Answer::read(&mut tcp, false).status, 200);
            }
            tcp.write_all(bytes.as_bytes()).unwrap();
            let all = to_the_end(&mut tcp);
            let (head, body) = all.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes}: {head}");
            assert_eq!(field(head, "server"), None);
            assert_eq!(field(head, "connection"), Some("close"));
            assert_eq!(field(head, "content-type"), Some("application/json"));
            assert_eq!(field(head, "content-length"), Some(&*body.len().to_string()));
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["status_code"], status);
            assert!(body["error"].is_string() && body["detail"].is_string(), "{body}");
        }
    }
}

#[test]
fn a_head_that_does_not_end_is_431_and_the_end() {
    let edge = Edge::start(public(|_| {}), &[]);
    let mut tcp = edge.connect();
    tcp.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n").unwrap();
    let field = format!("X: {}\r\n", "a".repeat(1000));
    for _ in 0..60 {
        // Refused on the way: what comes behind the limit may meet a closed door.
        if tcp.write_all(field.as_bytes()).is_err() {
            break;
        }
    }
    let answer = Answer::read(&mut tcp, false);
    assert_eq!((answer.status, answer.closes(), answer.complete), (431, true, true));
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["status_code"], 431);
    assert!(body["error"].is_string() && body["detail"].is_string());
}

#[test]
fn an_http_1_0_client_gets_no_chunks() {
    let upstream = Upstream::start(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".into()
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let mut tcp = edge.connect();
    tcp.write_all(b"GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").unwrap();
    let all = to_the_end(&mut tcp);
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "hello");
    assert_eq!(field(head, "transfer-encoding"), None);
}

#[test]
fn an_answer_that_comes_before_the_upload_is_complete_is_not_lost() {
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut tcp, _) = upstream.accept().unwrap();
        read_head(&mut tcp).unwrap();
        tcp.write_all(plain(403, "enough").as_bytes()).unwrap();
        // Stays open, and takes no more.
        std::thread::sleep(Duration::from_secs(3));
    });
    let pool = settings(vec![super::support::backend(address)]);
    let edge = Edge::start(public(|route| route.body_limit = 1 << 30), &[pool]);
    let mut tcp = edge.connect();
    let head = format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 64 << 20);
    tcp.write_all(head.as_bytes()).unwrap();
    let mut sender = tcp.try_clone().unwrap();
    let upload = std::thread::spawn(move || {
        let piece = vec![b'x'; 1 << 16];
        for _ in 0..64 {
            if sender.write_all(&piece).is_err() {
                return;
            }
        }
    });
    // A client that sends first and reads later.
    std::thread::sleep(Duration::from_millis(300));
    let answer = Answer::read(&mut tcp, false);
    assert_eq!((answer.status, &*answer.text()), (403, "enough"));
    drop(tcp);
    upload.join().unwrap();
}

#[test]
fn an_upstreams_word_on_connection_and_origins_goes_no_further() {
    let upstream = Upstream::start(|_| {
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Inner\r\nKeep-Alive: timeout=5\r\nX-Inner: 1\r\n\
         Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nX-Own: 1\r\n\
         Content-Length: 0\r\n\r\n"
            .into()
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let answer = edge.ask("GET /x HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example.org\r\n\r\n");
    assert_eq!((answer.status, answer.field("x-own")), (200, Some("1")));
    for gone in
        ["keep-alive", "x-inner", "access-control-allow-origin", "access-control-allow-credentials"]
    {
        assert_eq!(answer.field(gone), None, "{gone}");
    }
}

#[test]
fn a_delete_is_never_sent_twice_and_a_get_is() {
    // Answers once, then closes a connection with the next request on it.
    let upstream = Upstream::raw(|seen, tcp| {
        if seen.line.contains("/close") && !seen.head.contains("X-Fresh") {
            let fresh = ANSWERED.with(|answered| answered.replace(true));
            if fresh {
                return false;
            }
        }
        ANSWERED.with(|answered| answered.set(true));
        tcp.write_all(plain(200, "").as_bytes()).is_ok()
    });
    for (method, status, sent) in [("GET", 200, 2), ("DELETE", 502, 1), ("PUT", 502, 1)] {
        let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
        assert_eq!(edge.get("/first").status, 200);
        let before = upstream.seen().len();
        let answer = edge.ask(&format!("{method} /close HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(upstream.seen().len() - before, sent, "{method}");
    }
}

thread_local! {
    /// One thread serves one connection of an upstream: whether it has answered on it.
    static ANSWERED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[test]
fn a_backend_that_never_answers_is_left_out() {
    let silent = Upstream::raw(|_, _| {
        std::thread::sleep(Duration::from_secs(2));
        false
    });
    let well = Upstream::ok();
    let quick = public(|route| route.timeouts.first_byte = Duration::from_millis(100));
    let edge = Edge::start(quick, &[settings(vec![silent.backend(), well.backend()])]);
    let statuses: Vec<_> = (0..10).map(|_| edge.get("/x").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 504).count(), 2, "{statuses:?}");
    assert_eq!(silent.seen().len(), 2);
}

// limit: 9
#[test]
fn an_upstream_that_is_full_is_503_at_once() {
    let upstream = Upstream::raw(|_, _| {
        std::thread::sleep(Duration::from_secs(3));
        false
    });
    let mut pool = upstream.settings();
    pool.max_requests = 1;
    let edge = Edge::start(public(|_| {}), &[pool]);
    let mut first = edge.connect();
    first.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    while upstream.seen().is_empty() {
        std::thread::yield_now();
    }
    let began = Instant::now();
    let answer = edge.get("/x");
    assert_eq!(answer.status, 503);
    assert!(began.elapsed() < Duration::from_secs(1));
    drop(first);
}

#[test]
fn http_1_1_needs_a_host_field_in_every_form() {
    let upstream = Upstream::ok();
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    assert_eq!(edge.ask("GET http://a/x HTTP/1.1\r\n\r\n").status, 400);
    assert_eq!(edge.ask("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

#[test]
fn options_on_a_refused_path_form_answers_in_the_mounts_shape() {
    let edge = Edge::start(public(|_| {}), &[]);
    let answer = edge.ask("OPTIONS /x%2fy HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status, 400);
    // The stranger of these tests looks alike; the audit line, written after the answer, tells whose refusal it was.
    let mut mounts = Vec::new();
    while mounts.is_empty() {
        mounts = edge.shared.drain_refusals().into_iter().map(|line| line.mount).collect();
    }
    assert_eq!(mounts, [Some("api".into())]);
}

#[test]
fn spellings_are_learned_by_method() {
    let upstream = Upstream::start(|seen| {
        let location = match &*seen.line {
            "GET /tasks HTTP/1.1" => "/tasks/",
            "POST /tasks/ HTTP/1.1" => "/tasks",
            _ => return plain(200, ""),
        };
        format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    for method in ["GET", "POST", "GET", "POST"] {
        let answer =
            edge.ask(&format!("{method} /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(answer.status, 200);
    }
    assert_eq!(upstream.seen().len(), 5, "only the first GET was sent twice");
}

#[test]
fn a_large_upload_that_meets_a_slash_redirect_teaches_the_next_one() {
    let upstream = Upstream::start(|seen| {
        if seen.line.starts_with("POST /tasks/ ") {
            return plain(200, "");
        }
        let location = "HTTP/1.1 307 X\r\nLocation: /tasks/\r\nContent-Length: 0\r\n\r\n";
        location.into()
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let body = "x".repeat(200 << 10);
    let text =
        format!("POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let first = edge.ask(&text);
    assert_eq!((first.status, first.field("location")), (307, Some("/tasks/")));
    assert_eq!(edge.ask(&text).status, 200);
}

#[test]
fn a_403_is_charged_to_the_keys_own_hour() {
    let (edge, key) = super::credentials::forbidden(2);
    let ask = || edge.ask(&format!("GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"));
    let statuses = [ask(), ask(), ask()].map(|answer| answer.status);
    assert_eq!(statuses, [403, 403, 429]);
}

#[test]
fn a_panic_leaves_no_bytes_behind_that_could_be_a_request() {
    let edge = super::credentials::panicking();
    let mut tcp = edge.connect();
    let text = "POST /x HTTP/1.1\r\nHost: a\r\nX-API-Key: ";
    let key = super::credentials::any_key();
    tcp.write_all(format!("{text}{key}\r\nContent-Length: 100000\r\n\r\nabc").as_bytes()).unwrap();
    let answer = Answer::read(&mut tcp, false);
    assert_eq!((answer.status, answer.closes()), (500, true));
    send_on(tcp);
}

#[test]
fn too_many_connections_are_a_metric() {
    let edge = Edge::start(public(|_| {}), &[]);
    let held: Vec<_> = (0..300).map(|_| edge.connect()).collect();
    let line = "portcullis_connections_refused_total{reason=\"per_address\"} ";
    let end = Instant::now() + Duration::from_secs(10);
    let counted = || {
        let page = edge.shared.parts.metrics.render();
        let found = page.lines().find_map(|found| found.strip_prefix(line)?.parse::<u64>().ok());
        found.unwrap_or_default()
    };
    while counted() < 300 - 256 {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
    drop(held);
}

#[test]
fn a_path_behind_a_prefix_is_sent_as_it_was_judged() {
    use crate::pipeline::route::{Overlap, PathAllowances, Place, RouteMatch, RouteTableBuilder};
    let upstream = Upstream::ok();
    let mount = Arc::new(testing::mount("api"));
    let mut open = testing::route("open", &mount);
    open.allows = PathAllowances { empty_segment: true, ..Default::default() };
    let mut admin = testing::route("admin", &mount);
    admin.authn = crate::pipeline::Authn::Required(vec![crate::pipeline::CredentialKind::Jwt]);
    admin.allows = open.allows;
    let mut builder = RouteTableBuilder::default();
    let place = Place { listener: "public".into(), hosts: Vec::new(), prefix: "/v2".into() };
    for (path, route) in [("/**", open), ("/admin", admin)] {
        let matches = RouteMatch {
            path: path.into(),
            methods: vec![Method::GET],
            owned: false,
            overlap: Overlap::None,
        };
        builder.route(place.clone(), matches, Arc::new(route));
    }
    let snapshot = testing::snapshot_of(builder.build().unwrap(), vec![mount]);
    let edge = Edge::start(snapshot, &[upstream.settings()]);
    assert_eq!(edge.get("/v2/x//y").status, 200);
    for path in ["/v2/admin", "/v2//admin", "/v2///admin"] {
        assert_eq!(edge.get(path).status, 401, "{path}");
    }
    assert_eq!(upstream.seen().len(), 1);
}
