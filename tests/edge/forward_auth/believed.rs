//! Who may ask, and which facts of a question are believed.

use std::time::Duration;

use serde_json::json;

use super::{PEER, STYLES, ask, asked, line_of, listener, question, send, status};
use crate::support::{
    conf::{self, Conf},
    gateway::Gateway,
    ports,
    tls::Authority,
    upstream::Upstream,
    wait,
    wire::{self, Wire},
};

// requirement: 18, 19
#[tokio::test]
async fn fields_of_another_style_move_nothing() {
    let original = "X-Original-Method: GET\r\nX-Original-URI: /open/x\r\nX-Original-Host: other\r\n\
                    X-Original-Proto: http\r\nX-Original-For: 203.0.113.7\r\n";
    let forwarded =
        "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /open/x\r\nX-Forwarded-Host: other\r\n";
    for (style, foreign) in [
        ("nginx", forwarded),
        ("traefik", original),
        ("caddy", original),
        ("envoy", forwarded),
        ("envoy", original),
    ] {
        let reply = ask(style, "GET", "/closed/x", foreign).await;
        assert!([400, 401].contains(&status(&reply)), "{style}: {}", reply.status);
        if status(&reply) == 400 {
            // It would be passed on as it is.
            assert_eq!(line_of(&reply).await["reason"], "reserved_header", "{style}");
            continue;
        }
        let line = line_of(&reply).await;
        assert_eq!(
            (&line["path"], &line["method"]),
            (&json!("/closed/x"), &json!("GET")),
            "{style}"
        );
    }
    // A question of one style, asked at the listener of another, tells nothing there.
    for (style, other) in
        [("nginx", "traefik"), ("traefik", "nginx"), ("caddy", "nginx"), ("nginx", "caddy")]
    {
        let text = question(other, "GET", "/open/x", "192.0.2.1", "");
        assert_eq!(status(&send(style, &text).await), 400, "{other} at {style}");
    }
}

// requirement: 19
#[tokio::test]
async fn a_fact_that_is_missing_or_told_twice_refuses() {
    for style in STYLES {
        let whole = question(style, "GET", "/open/x", "192.0.2.1", "");
        let facts = ["-method", "-uri", "-host", "-proto", "-for"];
        let is_fact = |line: &str| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            facts.iter().any(|fact| name.starts_with("x-") && name.ends_with(fact))
        };
        let lines: Vec<&str> = whole.split("\r\n").collect();
        let mut seen = 0;
        for (at, fact) in lines.iter().enumerate().filter(|(_, line)| is_fact(line)) {
            seen += 1;
            let mut without = lines.clone();
            without.remove(at);
            let mut twice = lines.clone();
            twice.insert(at, fact);
            let mut other = lines.clone();
            let forged = format!("{}: 198.51.100.9", fact.split(':').next().unwrap());
            other.insert(1, &forged);
            for text in [without, twice, other] {
                let reply = send(style, &text.join("\r\n")).await;
                assert_eq!(status(&reply), 400, "{style}: {text:?}");
                assert_eq!(line_of(&reply).await["reason"], "forward_auth_question");
            }
        }
        assert_eq!(seen, if style == "envoy" { 2 } else { 5 }, "{style}");
        assert_eq!(send(style, &whole).await.status, 200, "{style}");
    }
}

// requirement: 19
#[tokio::test]
async fn only_listed_peers_may_ask() {
    for style in STYLES {
        let text = question(style, "GET", "/open/x", "192.0.2.1", "");
        let stranger = Some("127.92.0.1".parse().unwrap());
        let mut wire = wire::connect_from(asked().at(style), stranger).await.unwrap();
        let _ = wire.try_send(&text).await;
        assert!(wire.try_reply(false).await.is_none(), "{style}");
        assert_eq!(send(style, &text).await.status, 200, "{style}");
    }
    let metrics = asked().gateway.operator().get("/metrics").await.expect(200).text();
    let line = metrics.lines().find(|line| line.contains(r#"reason="peer_unlisted""#)).unwrap();
    assert!(line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 4, "{line}");
}

/// No question has a body; one that has is answered, and its rest is nobody's next request.
// requirement: 15
#[tokio::test]
async fn a_body_of_a_question_is_never_read_as_another_one() {
    for style in STYLES {
        let inner = question(style, "GET", "/open/inner", "192.0.2.1", "");
        let length = format!("Content-Length: {}\r\n", inner.len());
        let text = question(style, "GET", "/open/outer", "192.0.2.1", &length);
        let text = text.replace("content-length: 0\r\n", "");
        let mut wire =
            wire::connect_from(asked().at(style), Some(PEER.parse().unwrap())).await.unwrap();
        let _ = wire.try_send(format!("{text}{inner}")).await;
        assert_eq!(wire.reply().await.status, 200, "{style}");
        assert!(wire.closes_within(Duration::from_secs(5)).await, "{style}");
        assert!(wire.second_reply().await.is_none(), "{style}");
    }
}

// requirement: 40
#[tokio::test]
async fn a_proxy_may_ask_over_tls_and_tell_a_fact_under_another_name() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let (address, at) = (upstream.address, ports::free_address());
    let gateway = Gateway::start(|places| {
        let (cert, key) = authority.server(&["asked.test"]).write(&places.dir, "asked");
        let tls = format!("{{ certificates = [{{ cert = {cert:?}, key = {key:?} }}] }}");
        let listener = listener("nginx", at)
            .with("tls", tls)
            .with("fields", r#"{ client = "x-client-address" }"#);
        Conf::new(places)
            .upstream("main", &[address])
            .route(conf::open("open", "/open/**", "main"))
            .table(listener)
            .text()
    });
    let caller = authority.caller().speaking(&["http/1.1"]);
    let usual = question("nginx", "GET", "/open/x", "192.0.2.1", "");
    let renamed = usual.replace("X-Original-For", "X-Client-Address");
    for (text, wanted) in [(&renamed, 200), (&usual, 400)] {
        let mut wire = Wire::over(caller.connect(at, "asked.test").await.expect("a handshake"));
        wire.send(text).await;
        assert_eq!(status(&wire.reply().await), wanted, "{text}");
    }
    let plain = wire::provoke(at, &renamed).await;
    assert!(!matches!(plain, wire::Reaction::Replied(reply) if reply.status == 200));
    let told =
        |line: &serde_json::Value| line["client"] == "192.0.2.1" && line["outcome"] == "permitted";
    wait::until("its access line", || async { gateway.log().iter().any(told).then_some(()) }).await;
    upstream.saw_nothing();
}
