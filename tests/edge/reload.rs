//! Reload: atomic, and harmless when the file is broken.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use crate::support::{
    conf::{self, Conf},
    gateway::{Gateway, Places},
    load, ports,
    upstream::{Answer, Upstream},
    wait, wire,
};

/// A configuration in which the upstream and the response rule must agree.
fn version(places: &Places, name: &str, upstream: &Upstream) -> String {
    let rule = format!(
        "{{ response = {{ set = {{ \"x-rule\" = \"{name}\" }} }}, request = {{ set = {{ \"x-asked\" = \"{name}\" }} }} }}"
    );
    Conf::new(places)
        .upstream("main", &[upstream.address])
        .route(conf::open("open", "/open/**", "main").with("headers", rule))
        .text()
}

fn named(name: &'static str) -> Upstream {
    Upstream::counting(move |request| {
        let asked = request.field("x-asked").unwrap_or_default();
        Answer::new(200, &[("X-Upstream", name), ("X-Was-Asked", &asked)], "{}")
    })
}

async fn state(gateway: &Gateway) -> Value {
    let (status, body) = gateway.readyz().await;
    assert_eq!(status, 200, "a typo must not drain a fleet: {body}");
    body
}

/// Writes a file, hangs up, and waits until the gateway has judged it.
async fn reload(gateway: &Gateway, text: &str, broken: bool) {
    let before = state(gateway).await;
    std::fs::write(&gateway.config, text).unwrap();
    gateway.hang_up();
    wait::until("the reload is judged", || async {
        let after = state(gateway).await;
        let stale = after["config"] == "stale";
        let judged =
            if broken { stale } else { !stale && after["config_hash"] != before["config_hash"] };
        judged.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_during_twenty_reloads_are_none_lost_and_none_mixed() {
    let (one, two) = (named("one"), named("two"));
    let gateway = Gateway::start(|places| version(places, "one", &one));
    let total = std::env::var("PORTCULLIS_RELOAD_REQUESTS").ok().and_then(|n| n.parse().ok());
    let total = total.unwrap_or(10_000);
    let host = gateway.address();
    let done = Arc::new(AtomicBool::new(false));
    let running = tokio::spawn(load::run(host, total, Arc::clone(&done), 64, move |number| {
        format!("GET /open/{number} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
    }));
    let texts = [version(&gateway.places, "two", &two), version(&gateway.places, "one", &one)];
    for round in 0..20 {
        // Spread over the load: each next reload waits for its share of requests.
        let due = total * round / 24;
        wait::until("the load goes on", || async {
            (one.count() + two.count() >= due || running.is_finished()).then_some(())
        })
        .await;
        if round % 2 == 0 {
            reload(&gateway, &texts[round / 2 % 2], false).await;
        } else {
            reload(&gateway, "version = 1\nthis is broken", true).await;
        }
    }
    done.store(true, Ordering::SeqCst);
    let outcome = running.await.unwrap();
    assert!(outcome.lost.is_empty(), "{} lost: {:?}", outcome.lost.len(), outcome.lost.first());
    let answered = outcome.replies.len();
    assert!(answered >= total, "{answered}");
    let (mut ones, mut twos) = (0, 0);
    for reply in &outcome.replies {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let (upstream, rule) = (reply.header("x-upstream"), reply.header("x-rule"));
        assert_eq!(upstream, rule, "decided by a mixture");
        assert_eq!(reply.header("x-was-asked"), rule, "decided by a mixture");
        match rule {
            Some("one") => ones += 1,
            _ => twos += 1,
        }
    }
    println!("{answered} requests, 20 reloads: {ones} by one version, {twos} by the other, 0 lost");
    assert!(ones > 0 && twos > 0);
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_says_why() {
    let (one, two) = (named("one"), named("two"));
    let gateway = Gateway::start(|places| version(places, "one", &one));
    let asked = |gateway: &Gateway| {
        let host = gateway.address();
        async move {
            let text = format!("GET /open/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
            wire::exchange(host, text).await.header("x-rule").map(str::to_owned)
        }
    };
    assert_eq!(asked(&gateway).await.as_deref(), Some("one"));
    let good = version(&gateway.places, "two", &two);
    let broken = good.replace("upstream = \"main\"", "upstream = \"mian\"");
    assert_ne!(good, broken);
    reload(&gateway, &broken, true).await;
    let state = state(&gateway).await;
    let reason = state["reason"].as_str().expect("the reason");
    assert!(reason.contains("mian") && reason.contains("portcullis.toml:"), "{reason}");
    assert_eq!(asked(&gateway).await.as_deref(), Some("one"));
    let metrics = gateway.operator().get("/metrics").await.expect(200).text();
    assert!(metrics.contains("portcullis_config_stale 1"), "{metrics}");
    wait::until("the log says why", || async { gateway.output().contains("mian").then_some(()) })
        .await;

    reload(&gateway, &good, false).await;
    assert_eq!(asked(&gateway).await.as_deref(), Some("two"));
    let metrics = gateway.operator().get("/metrics").await.expect(200).text();
    assert!(metrics.contains("portcullis_config_stale 0"), "{metrics}");
}

#[tokio::test]
async fn a_file_that_moves_a_listener_is_refused_whole_naming_the_key() {
    let (one, two) = (named("one"), named("two"));
    let gateway = Gateway::start(|places| version(places, "one", &one));
    let mut places = gateway.places.clone();
    places.public = ports::free_address();
    reload(&gateway, &version(&places, "two", &two), true).await;
    let reason = state(&gateway).await["reason"].to_string();
    assert!(reason.contains("listener") && reason.contains("restart"), "{reason}");
    let host = gateway.address();
    let text = format!("GET /open/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(wire::exchange(host, text).await.header("x-rule"), Some("one"));
}

#[tokio::test]
async fn a_running_request_finishes_under_the_rules_it_began_with() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let own = std::sync::Arc::clone(&gate);
    let one = Upstream::with(move |_| Answer::new(200, &[("X-Upstream", "one")], "{}").once(&own));
    let two = named("two");
    let gateway = Gateway::start(|places| version(places, "one", &one));
    let host = gateway.address();
    let mut wire = wire::connect(host).await;
    wire.send(format!("GET /open/slow HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    wait::until("the upstream is asked", || async { (one.count() == 1).then_some(()) }).await;
    reload(&gateway, &version(&gateway.places, "two", &two), false).await;
    gate.add_permits(1);
    let reply = wire.reply().await;
    assert_eq!((reply.header("x-upstream"), reply.header("x-rule")), (Some("one"), Some("one")));
    let text = format!("GET /open/next HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(wire::exchange(host, text).await.header("x-rule"), Some("two"));
}

#[tokio::test]
async fn limits_and_sessions_outlive_a_reload() {
    let (one, two) = (named("one"), named("two"));
    let with = |places: &Places, name: &str, upstream: &Upstream| {
        let text = version(places, name, upstream);
        let text = text.replace("authn = [\"public\"]", "authn = [\"public\"]\nlimits = [\"few\"]");
        format!("{text}\n[[limit]]\nname = \"few\"\nper = [\"client\"]\nwindows = [\"2/h\"]\n")
    };
    let gateway = Gateway::start(|places| with(places, "one", &one));
    let host = gateway.address();
    let text = format!("GET /open/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for _ in 0..2 {
        assert_eq!(wire::exchange(host, &text).await.status, 200);
    }
    reload(&gateway, &with(&gateway.places, "two", &two), false).await;
    assert_eq!(wire::exchange(host, &text).await.status, 429, "a reload gives nothing back");
}

#[tokio::test]
async fn a_watched_file_is_reloaded_by_itself() {
    let (one, two) = (named("one"), named("two"));
    let watched = |places: &Places, name: &str, upstream: &Upstream| {
        version(places, name, upstream).replace("[server]\n", "[server]\nwatch = true\n")
    };
    let gateway = Gateway::start(|places| watched(places, "one", &one));
    std::fs::write(&gateway.config, watched(&gateway.places, "two", &two)).unwrap();
    let host = gateway.address();
    let text = format!("GET /open/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
    wait::until("the file is noticed", || async {
        let reply = wire::exchange(host, &text).await;
        (reply.header("x-rule") == Some("two")).then_some(())
    })
    .await;
}
