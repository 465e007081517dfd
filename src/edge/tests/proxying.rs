use std::{io::Write, sync::Arc, time::Duration};

use super::support::{Answer, Edge, Upstream, backend, dead, field, plain, settings};
use crate::{
    edge::{settings::HostHeader, testing},
    pipeline::{Route, Snapshot, Target},
};

pub(super) fn public(adjust: impl FnOnce(&mut Route)) -> Snapshot {
    let mount = Arc::new(testing::mount("api"));
    let mut route = testing::route("all", &mount);
    adjust(&mut route);
    testing::snapshot_of(testing::table(vec![("/**", Vec::new(), route)]), vec![mount])
}

#[test]
fn a_request_and_its_answer_pass_through() {
    let upstream = Upstream::start(|_| {
        "HTTP/1.1 201 Created\r\nX-Own: 1\r\nX-Request-ID: theirs\r\nContent-Length: 5\r\n\r\nhello"
            .into()
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let answer = edge.ask(
        "POST /api/v1/tasks?a=b HTTP/1.1\r\nHost: api.example.org\r\nX-Auth-Subject: me\r\nX_Auth_Subject: me\r\n\
         Connection: keep-alive, x-gone\r\nX-Gone: 1\r\nContent-Length: 3\r\n\r\nabc",
    );
    assert_eq!((answer.status, &*answer.text()), (201, "hello"));
    assert_eq!(answer.field("x-own"), Some("1"));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.field("x-frame-options"), Some("DENY"));
    assert_eq!(answer.field("referrer-policy"), Some("no-referrer"));
    let id = answer.field("x-request-id").unwrap();
    assert!(id.starts_with("req_") && answer.head.matches("req_").count() == 1);

    let seen = upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "POST /api/v1/tasks?a=b HTTP/1.1");
    assert_eq!(seen[0].body, b"abc");
    assert_eq!(field(&seen[0].head, "x-request-id"), Some(id));
    assert_eq!(field(&seen[0].head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(field(&seen[0].head, "host"), Some("api.example.org"));
    for gone in ["x-auth-subject", "x_auth_subject", "x-gone"] {
        assert_eq!(field(&seen[0].head, gone), None, "{gone}");
    }
}

#[test]
fn identity_that_cannot_be_reached_is_undetermined() {
    // The fixture's socket is not there.
    let edge = Edge::start(public(|route| route.target = Target::Identity), &[]);
    let answer = edge.ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("dependency_unavailable"), "{}", answer.text());
    assert_eq!(answer.field("retry-after"), Some("1"));
}

#[test]
fn connections_are_kept_on_both_sides() {
    let upstream = Upstream::ok();
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let mut tcp = edge.connect();
    for _ in 0..3 {
        tcp.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let answer = Answer::read(&mut tcp, false);
        assert_eq!(answer.status, 200);
        assert!(!answer.closes());
    }
    tcp.write_all(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut tcp, true).field("content-length"), Some("4"));
}

#[test]
fn a_fixed_host_is_what_the_upstream_sees() {
    let upstream = Upstream::ok();
    let mut settings = upstream.settings();
    settings.host = HostHeader::Fixed("inner.example".into());
    let edge = Edge::start(public(|_| {}), &[settings]);
    assert_eq!(edge.get("/x").status, 200);
    assert_eq!(field(&upstream.seen()[0].head, "host"), Some("inner.example"));
}

#[test]
fn backends_take_turns_and_a_dead_one_costs_no_request() {
    let (one, two) = (Upstream::ok(), Upstream::ok());
    let pool = settings(vec![one.backend(), backend(dead()), two.backend()]);
    let edge = Edge::start(public(|_| {}), &[pool]);
    for _ in 0..12 {
        let answer = edge.ask("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(answer.status, 200);
    }
    let (one, two) = (one.seen().len(), two.seen().len());
    assert_eq!(one + two, 12);
    assert!(one >= 4 && two >= 4, "{one} {two}");
    let shown = edge.shared.parts.metrics.render();
    assert!(shown.contains("portcullis_upstream_ejections_total{upstream=\"up\"} 1"), "{shown}");
}

#[test]
fn an_upstream_that_cannot_be_reached_is_502_in_the_mounts_shape() {
    let edge = Edge::start(public(|_| {}), &[settings(vec![backend(dead())])]);
    let answer = edge.get("/x");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("upstream_unreachable"), "{answer:?}");
    assert!(answer.complete);
}

// requirement: 24
#[test]
fn a_broken_answer_is_502_and_a_post_is_never_sent_twice() {
    let upstream = Upstream::start(|_| String::new());
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let answer = edge.ask("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("upstream_broken"));
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_late_first_byte_is_504() {
    let upstream = Upstream::raw(|_, _| {
        std::thread::sleep(Duration::from_secs(3));
        false
    });
    let quick = public(|route| route.timeouts.first_byte = Duration::from_millis(200));
    let edge = Edge::start(quick, &[upstream.settings()]);
    let answer = edge.get("/x");
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("upstream_timeout"));
}

#[test]
fn a_gap_in_the_answer_is_a_visible_break() {
    let upstream = Upstream::raw(|_, tcp| {
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal").unwrap();
        std::thread::sleep(Duration::from_secs(3));
        false
    });
    let quick = public(|route| route.timeouts.between_bytes = Duration::from_millis(200));
    let edge = Edge::start(quick, &[upstream.settings()]);
    let answer = edge.get("/x");
    assert_eq!((answer.status, answer.complete), (200, false));
}

// requirement: 24
#[test]
fn an_answer_cut_by_the_upstream_never_looks_complete() {
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let upstream = Upstream::raw(move |_, tcp| {
            let cut = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nhalf");
            tcp.write_all(cut.as_bytes()).unwrap();
            false
        });
        let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
        assert!(!edge.get("/x").complete, "{head}");
    }
}

#[test]
fn a_slash_redirect_never_reaches_the_client_and_is_remembered() {
    let upstream = Upstream::start(|seen| {
        if seen.line.contains("/tasks/") {
            return plain(201, &String::from_utf8_lossy(&seen.body));
        }
        let host = field(&seen.head, "host").unwrap();
        format!("HTTP/1.1 307 X\r\nLocation: http://{host}/tasks/?a=b\r\nContent-Length: 0\r\n\r\n")
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    for _ in 0..2 {
        let answer =
            edge.ask("POST /tasks?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!((answer.status, &*answer.text()), (201, "hello"));
    }
    let lines: Vec<_> = upstream.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        lines,
        ["POST /tasks?a=b HTTP/1.1", "POST /tasks/?a=b HTTP/1.1", "POST /tasks/?a=b HTTP/1.1",]
    );
}

#[test]
fn a_post_that_may_have_run_is_not_sent_again_but_its_redirect_names_no_upstream() {
    let upstream = Upstream::start(|seen| {
        let host = field(&seen.head, "host").unwrap();
        format!("HTTP/1.1 302 X\r\nLocation: http://{host}/tasks/\r\nContent-Length: 0\r\n\r\n")
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let answer = edge.ask("POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((answer.status, answer.field("location")), (302, Some("/tasks/")));
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn redirects_that_say_something_else_pass() {
    let upstream = Upstream::start(|_| {
        "HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".into()
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let answer = edge.get("/tasks");
    assert_eq!((answer.status, answer.field("location")), (307, Some("/elsewhere")));
}

#[test]
fn a_unix_socket_is_an_upstream() {
    use std::{io::Read, os::unix::net::UnixListener};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("up.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = [0; 4096];
        let _ = stream.read(&mut seen).unwrap();
        stream.write_all(plain(200, "unix").as_bytes()).unwrap();
        let _ = stream.read(&mut seen);
    });
    let pool = settings(vec![crate::edge::settings::Backend::Unix(path)]);
    let edge = Edge::start(public(|_| {}), &[pool]);
    assert_eq!(edge.get("/x").text(), "unix");
}

#[test]
fn a_mount_that_shows_figures_counts_by_template_and_the_others_show_nothing() {
    let upstream = Upstream::ok();
    let [mut shown, quiet] = ["shown", "quiet"].map(testing::mount);
    shown.public_figures = true;
    let (shown, quiet) = (Arc::new(shown), Arc::new(quiet));
    let mut one = testing::route("one", &shown);
    one.template = "/users/{id}".into();
    let snapshot = testing::snapshot_of(
        testing::table(vec![
            ("/users/{id}", Vec::new(), one),
            ("/other", Vec::new(), testing::route("two", &quiet)),
        ]),
        vec![shown, quiet],
    );
    let edge = Edge::start(snapshot, &[upstream.settings()]);
    for path in ["/users/7", "/users/8?session_id=secret", "/other", "/nowhere"] {
        edge.get(path);
    }
    let metrics = &edge.shared.parts.metrics;
    let counted = "requests_total{method=\"GET\",endpoint=\"/users/{id}\"} 2";
    // The figures are written after the answer is out.
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while !metrics.render_public("shown").contains(counted) {
        assert!(std::time::Instant::now() < end, "{}", metrics.render_public("shown"));
        std::thread::yield_now();
    }
    let text = metrics.render_public("shown");
    assert!(!text.contains("secret") && !text.contains("/users/7"), "{text}");
    assert!(!text.contains("/other"), "{text}");
    assert!(!metrics.render_public("quiet").contains("/other"));
}
