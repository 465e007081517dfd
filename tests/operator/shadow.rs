//! Rules in shadow mode: they change no reply, and what they would have refused is reported exactly.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{
    conf::{self, Conf},
    gateway::{Gateway, Places, run, said},
    operate,
    upstream::Upstream,
    wait,
    wire::{self, Reply},
};

fn configuration(places: &Places, upstream: &Upstream, mode: &str) -> String {
    let limit = conf::Table::new("limit", "few")
        .with("per", r#"["client"]"#)
        .with("windows", r#"["2/h"]"#)
        .with("mode", conf::quoted(mode));
    Conf::new(places)
        .upstream("main", &[upstream.address])
        .table(limit)
        .route(conf::open("few", "/few", "main").with("limits", r#"["few"]"#))
        .route(conf::open("none", "/none", "main").with("limits", "[]"))
        .route(conf::closed("scoped", "/scoped/**", "main").with(
            "authz",
            r#"{ scopes = { "*" = "WRITE" }, mode = "shadow", meanwhile = "authenticated" }"#,
        ))
        .route(
            conf::open("soon", "/soon", "main")
                .with("authn", r#"["public", { kind = "api_key", mode = "shadow" }]"#),
        )
        .text()
}

async fn send(gateway: &Gateway, path: &str, fields: &str) -> Reply {
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    wire::exchange(gateway.address(), head).await
}

fn id(reply: &Reply) -> Value {
    json!(reply.header("x-request-id").expect("a request id"))
}

const RESET: &str = "x-ratelimit-reset";

/// All fields but those that differ from request to request.
fn fields(reply: &Reply) -> Vec<(String, String)> {
    let own = |(name, _): &&(String, String)| {
        !["x-request-id", "date", RESET].contains(&name.to_ascii_lowercase().as_str())
    };
    reply.headers.iter().filter(own).cloned().collect()
}

/// The second in which the caller's window ends.
fn reset(reply: &Reply) -> u64 {
    reply.header(RESET).and_then(|text| text.parse().ok()).expect("seconds since 1970")
}

async fn report(gateway: &Gateway, route: &str, expected: u64) -> Value {
    wait::until("the end of the last request is noted", || async {
        let all = gateway.cli_json(&["shadow", "report"]);
        let lines = all.as_array().unwrap().clone();
        let line = lines.into_iter().find(|line| line["route"] == route)?;
        (line["count"] == expected).then_some(line)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadowed_limit_changes_no_reply_and_is_reported_exactly() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream, "shadow"));
    let plain = send(&gateway, "/none", "").await;
    let mut ids = Vec::new();
    for n in 1..=5 {
        let reply = send(&gateway, "/few", "").await;
        assert_eq!((reply.status, &reply.body), (200, &plain.body));
        assert_eq!(fields(&reply), fields(&plain));
        ids.push(id(&reply));
        // A request is noted when it has ended, which is after its reply: the next one waits for that.
        if n > 2 {
            report(&gateway, "few", n - 2).await;
        }
    }
    let line = report(&gateway, "few", 3).await;
    assert_eq!((&line["rule"], &line["reason"]), (&json!("limit few"), &json!("rate_limited")));
    assert_eq!(line["samples"], json!(ids[2..]));
    assert_eq!((&line["callers"], &line["undetermined"]), (&json!(1), &json!(0)));
    let metrics = gateway.operator().get("/metrics").await;
    let expected =
        r#"portcullis_shadow_refusals_total{reason="rate_limited",route="few",rule="limit few"} 3"#;
    assert!(metrics.text().contains(expected), "{}", metrics.text());

    // Enforced, it goes on with what it has counted.
    std::fs::write(&gateway.config, configuration(&gateway.places, &upstream, "enforce")).unwrap();
    gateway.cli_ok(&["reload"]);
    assert_eq!(send(&gateway, "/few", "").await.status, 429);
    report(&gateway, "few", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadowed_scope_rule_changes_no_reply_and_is_reported_exactly() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream, "shadow"));
    operate::add_admin(&gateway);
    let reader = format!("X-API-Key: {}\r\n", operate::admin_key(&gateway, &["READ"]));
    let writer = format!("X-API-Key: {}\r\n", operate::admin_key(&gateway, &["FULL"]));
    let began = Instant::now();
    let good = send(&gateway, "/scoped/x", &writer).await;
    let lacking = send(&gateway, "/scoped/x", &reader).await;
    assert_eq!((good.status, lacking.status), (200, 200));
    assert_eq!(fields(&good), fields(&lacking));
    // The second in which the window ends goes with the clock: as far as the clock went between the two.
    let seconds = began.elapsed().as_secs() + 1;
    assert!((reset(&good)..=reset(&good) + seconds).contains(&reset(&lacking)), "{lacking:?}");
    // What is enforced beside it refuses as ever, and that is nothing of the shadow's.
    assert_eq!(send(&gateway, "/scoped/x", "").await.status, 401);
    let line = report(&gateway, "scoped", 1).await;
    let told = (&line["rule"], &line["reason"], &line["samples"]);
    assert_eq!(told, (&json!("route rule"), &json!("insufficient_scope"), &json!([id(&lacking)])));
    let event = wait::until("the line of the log", || async {
        gateway.log().into_iter().find(|line| line["event"] == "would_refuse")
    })
    .await;
    assert_eq!((&event["missing"], &event["request_id"]), (&json!("scope WRITE"), &id(&lacking)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadowed_kind_of_credential_is_judged_beside_what_the_route_takes() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream, "shadow"));
    operate::add_admin(&gateway);
    let key = format!("X-API-Key: {}\r\n", operate::admin_key(&gateway, &["READ"]));
    for (fields, count) in [("", 1), (key.as_str(), 1)] {
        assert_eq!(send(&gateway, "/soon", fields).await.status, 200);
        let line = report(&gateway, "soon", count).await;
        assert_eq!(line["reason"], "credential_missing", "{line}");
    }
    // Nobody is proven by what is not asked for: the upstream learns of no caller.
    for seen in upstream.seen() {
        assert_eq!(seen.field("x-auth-subject"), None);
        assert_eq!(seen.field("x-api-key"), None);
    }
}

#[test]
fn nothing_opens_by_shadow_mode_without_a_word_for_what_holds_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    let check = |route: &str| {
        let text =
            include_str!("../../conf/minimal.toml").replace(r#"authn = ["jwt", "api_key"]"#, route);
        std::fs::write(&file, text).unwrap();
        let output = run(&["check", "--config", file.to_str().unwrap()]);
        (output.status.code(), said(&output))
    };
    for (route, word) in [
        (r#"authn = [{ kind = "jwt", mode = "shadow" }]"#, "only kinds in shadow mode"),
        (r#"authn = ["public", { kind = "public", mode = "shadow" }]"#, "public"),
        (r#"authn = ["jwt", { kind = "jwt", mode = "shadow" }]"#, "stands twice"),
        (
            "authn = [\"jwt\"]\nauthz = { roles = [\"USER\"], mode = \"shadow\" }",
            "without meanwhile",
        ),
        ("authn = [\"jwt\"]\nauthz = { roles = [\"USER\"], meanwhile = \"policy\" }", "meanwhile"),
        ("authn = [\"jwt\"]\nauthz = { roles = [\"USER\"], mode = \"shade\" }", "shade"),
    ] {
        let (code, told) = check(route);
        assert!(code == Some(1) && told.contains(word), "{route}: {told}");
    }
    let (code, told) = check(
        "authn = [\"jwt\", { kind = \"api_key\", mode = \"shadow\" }]\n\
         authz = { roles = [\"USER\"], mode = \"shadow\", meanwhile = \"policy\" }",
    );
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(told.matches("R-SHADOW").count(), 2, "{told}");
}
