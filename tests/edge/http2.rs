//! HTTP/2 with clients: by ALPN and by prior knowledge, judged and forwarded like HTTP/1.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Request;
use tokio::sync::Semaphore;

use crate::{
    bench::configuration,
    support::{
        conf::{self, Conf},
        gateway::{Gateway, Places},
        http2::{Client, HEADERS, Raw, block, frame},
        tls::Authority,
        upstream::{Answer, Step, Upstream},
        wait, wire,
    },
};

fn spoken(places: &Places, upstream: &Upstream) -> Conf {
    configuration(places, upstream.address).listener("http2", "true")
}

fn start(upstream: &Upstream) -> Gateway {
    Gateway::start(|places| spoken(places, upstream).text())
}

fn url(path: &str) -> String {
    format!("http://a.test{path}")
}

// requirement: 18, 22
#[tokio::test]
async fn both_versions_are_served_on_one_address() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::plain(gateway.address()).await;
    let request = Request::post(url("/open/x?q=1"))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-auth-subject", "root")
        .body(())
        .unwrap();
    let reply = client.send(request, b"hello").await.unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"ok":true}"#));
    assert!(reply.header("x-request-id").is_some());
    assert_eq!(reply.header("x-frame-options"), Some("DENY"));
    assert!(reply.header("connection").is_none() && reply.header("date").is_some());
    let seen = upstream.only();
    assert_eq!(seen.line(), "POST /open/x?q=1 HTTP/1.1");
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.field("host").as_deref(), Some("a.test"));
    assert_eq!(seen.field("cookie").as_deref(), Some("a=1; b=2"));
    assert_eq!(seen.field("x-auth-subject"), None);
    let old = "GET /open/y HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(wire::exchange(gateway.address(), old).await.status, 200);
    wait::until("the access lines are written", async || {
        let lines = gateway.log();
        let line = lines.iter().find(|line| line["path"] == "/open/x")?;
        assert_eq!((line["status"].as_u64(), line["bytes_in"].as_u64()), (Some(200), Some(5)));
        assert_eq!(line["host"], "a.test");
        Some(())
    })
    .await;
}

// requirement: 40
#[tokio::test]
async fn alpn_decides_on_a_listener_with_tls() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let pair = authority.server(&["a.test"]);
    let gateway = Gateway::start(|places| {
        let (cert, key) = pair.write(&places.dir, "a");
        configuration(places, upstream.address)
            .listener("tls", format!("{{ certificates = [{{ cert = {cert:?}, key = {key:?} }}] }}"))
            .text()
    });
    let caller = authority.caller().speaking(&["h2", "http/1.1"]);
    let stream = caller.connect(gateway.address(), "a.test").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = Client::over(stream).await;
    assert_eq!(client.get("https://a.test/open/x").await.unwrap().status, 200);
    assert_eq!(upstream.only().field("x-forwarded-proto").as_deref(), Some("https"));
    let misdirected = client.get("https://b.test/open/x").await.unwrap();
    assert_eq!(misdirected.status, 200, "all hosts have the same rules here");
    let stream = authority.caller().connect(gateway.address(), "a.test").await.unwrap();
    let mut old = wire::Wire::over(stream);
    old.send("GET /open/x HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert_eq!(old.reply().await.status, 200);
}

// requirement: 11, 16, 20, 21, 22
#[tokio::test]
async fn a_request_is_judged_by_the_same_rules() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::plain(gateway.address()).await;
    let long = "x".repeat(9 << 10);
    for (request, status) in [
        (Request::get(url("/closed/x")), 401),
        (Request::get(url("/closed/x")).header("authorization", "Bearer nonsense"), 401),
        (Request::get(url("/nowhere")), 404),
        (Request::delete(url("/only-get")), 405),
        (Request::get(url("/open/%2e%2e/x")), 400),
        (Request::get(url("/open//x")), 400),
        (Request::get(url("/open/x%2fy")), 400),
        (Request::get(url("/open/x")).header("host", "b.test"), 400),
        (Request::get(url("/open/x")).header("host", "a.test"), 200),
        (Request::get(url("/open/x")).header("x-long", &long), 431),
        (
            Request::get(url("/open/x")).header("authorization", "a").header("authorization", "b"),
            400,
        ),
        (Request::trace(url("/open/x")), 405),
        (Request::options(url("/open/x")), 200),
        (Request::head(url("/open/x")), 200),
    ] {
        let request = request.body(()).unwrap();
        let what = format!("{request:?}");
        let reply = client.send(request, b"").await.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        if status >= 400 {
            assert!(
                reply.text().contains("request_id") || status == 405,
                "{what}: {}",
                reply.text()
            );
        }
    }
    assert_eq!(upstream.count(), 2);
}

// requirement: 15, 22
#[tokio::test]
async fn a_body_of_another_length_than_announced_is_no_request() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::plain(gateway.address()).await;
    for length in ["3", "9"] {
        let request = Request::post(url("/open/x")).header("content-length", length);
        let reply = client.send(request.body(()).unwrap(), b"hello").await;
        assert!(reply.is_err(), "{length}: {reply:?}");
    }
    assert!(upstream.seen().iter().all(|seen| !seen.complete));
    assert_eq!(client.get(&url("/open/y")).await.unwrap().status, 200, "others are not disturbed");
}

/// A request that says it has no body has none upstream, whatever comes in its name.
// requirement: 15, 22
#[tokio::test]
async fn data_behind_a_length_of_nothing_goes_nowhere() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    for body in ["hello", "GET /open/hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"] {
        let client = Client::plain(gateway.address()).await;
        let request = Request::post(url("/open/x")).header("content-length", "0");
        // Told as a fault of the protocol, or answered before the data came.
        let _ = client.send(request.body(()).unwrap(), body.as_bytes()).await;
    }
    let client = Client::plain(gateway.address()).await;
    assert_eq!(client.get(&url("/open/y")).await.unwrap().status, 200);
    for seen in upstream.seen() {
        assert!(seen.body.is_empty() && !seen.line().contains("hidden"), "{}", seen.line());
    }
}

#[tokio::test]
async fn a_late_upstream_costs_its_stream_a_504_and_no_other() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let upstream = Upstream::with(move |seen| {
        if seen.target() == "/slow/x" { Answer::ok().once(&held) } else { Answer::ok() }
    });
    let gateway = Gateway::start(|places| {
        spoken(places, &upstream)
            .route(
                conf::open("slow", "/slow/**", "main").with("timeouts", r#"{ first_byte = "1s" }"#),
            )
            .text()
    });
    let client = Client::plain(gateway.address()).await;
    let path = url("/slow/x");
    let (slow, began) = (client.get(&path), Instant::now());
    let quick = async {
        for _ in 0..20 {
            assert_eq!(client.get(&url("/open/x")).await.unwrap().status, 200);
        }
        began.elapsed()
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(slow.unwrap().status, 504);
    assert!(quick < Duration::from_secs(1) || began.elapsed() >= Duration::from_secs(1));
    gate.add_permits(1);
}

// requirement: 24
#[tokio::test]
async fn long_answers_flow_and_a_cut_one_is_seen() {
    let upstream = Upstream::with(|seen| match seen.target().as_str() {
        "/open/cut" => Answer::steps(vec![
            Step::Send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec(),
            ),
            Step::Close,
        ]),
        _ => Answer::new(200, &[], vec![b'x'; 3 << 20]),
    });
    let gateway = start(&upstream);
    let client = Client::plain(gateway.address()).await;
    let paths = ["/open/a", "/open/b", "/open/c"].map(url);
    let [a, b, c] = &paths;
    let (a, b, c) = tokio::join!(client.get(a), client.get(b), client.get(c));
    for reply in [a, b, c] {
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.body.len()), (200, 3 << 20));
    }
    assert!(client.get(&url("/open/cut")).await.is_err(), "no clean end");
    assert_eq!(client.get(&url("/open/d")).await.unwrap().status, 200);
}

// requirement: 23
#[tokio::test]
async fn a_head_that_is_never_complete_ends_the_connection() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let raw = Raw::open(gateway.address(), b"").await;
    let began = Instant::now();
    raw.flood(1, Duration::from_secs(20), |_| {
        let block = block("GET", "/open/x", &[]);
        frame(HEADERS, 0, 1, &block[..block.len() - 3])
    })
    .await;
    assert!(began.elapsed() > Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_stop_says_good_bye_and_lets_running_requests_end() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let upstream = Upstream::with(move |_| Answer::ok().once(&held));
    let gateway = start(&upstream);
    let client = Client::plain(gateway.address()).await;
    let path = url("/open/x");
    let running = client.get(&path);
    let stop = async {
        wait::until("it is under way", async || (upstream.count() == 1).then_some(())).await;
        gateway.terminate();
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.add_permits(1);
    };
    let (reply, ()) = tokio::join!(running, stop);
    assert_eq!(reply.unwrap().status, 200);
    assert!(gateway.wait().success());
}
