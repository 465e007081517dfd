//! The log: one access line per request, facts only, no secret.

use serde_json::Value;

use crate::{
    bench::{bench, configuration, mark},
    support::{
        client::Client,
        gateway::Gateway,
        operate,
        tmws::{GOOD_PASSWORD, refresh, try_login},
        upstream::Upstream,
        wait, wire,
    },
};

/// The access line of one request id, once it is written.
async fn line(gateway: &Gateway, id: &str) -> Value {
    wait::until("the access line", || async {
        let lines: Vec<Value> = access(gateway).filter(|line| line["request_id"] == id).collect();
        assert!(lines.len() <= 1, "one line per request: {lines:?}");
        lines.into_iter().next()
    })
    .await
}

fn access(gateway: &Gateway) -> impl Iterator<Item = Value> {
    gateway.log().into_iter().filter(|line| line["target"] == "access")
}

async fn get(path: &str, fields: &str) -> wire::Reply {
    bench().exchange(crate::bench::request("GET", path, fields)).await
}

#[tokio::test]
async fn a_permitted_request_has_one_line_with_its_facts() {
    let bench = bench();
    let mark = mark();
    let fields = format!("X-API-Key: {}\r\nUser-Agent: a \"quoted\" agent\r\n", bench.key);
    let reply = get(&format!("/closed/{mark}?token=query-canary"), &fields).await;
    let line = line(&bench.gateway, reply.header("x-request-id").unwrap()).await;
    assert_eq!(line["method"], "GET");
    assert_eq!(line["path"], format!("/closed/{mark}"), "no query");
    assert_eq!(line["status"], 200);
    assert_eq!(line["outcome"], "permitted");
    assert_eq!(line["route"], "closed");
    assert_eq!(line["mount"], "api");
    assert_eq!(line["subject"], bench.subject);
    assert_eq!(line["auth"], "api_key");
    assert_eq!(line["key_id"], bench.key_id);
    assert_eq!(line["client"], "127.0.0.1");
    assert_eq!(line["upstream"], "main");
    assert_eq!(line["user_agent"], "a \"quoted\" agent");
    assert!(line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    assert!(line["upstream_ms"].is_number(), "{line}");
    let time = line["timestamp"].as_str().or(line["time"].as_str()).or(line["ts"].as_str());
    assert!(time.is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()), "{line}");
}

#[tokio::test]
async fn a_refusal_has_its_reason() {
    let bench = bench();
    let key_read = operate::admin_key(&bench.gateway, &["READ"]);
    for (path, fields, status, reason) in [
        ("/closed/x", String::new(), 401, "credential_missing"),
        ("/closed/x", "Authorization: Bearer x\r\n".into(), 401, "token_invalid"),
        ("/closed/x", "X-API-Key: x\r\n".into(), 401, "key_malformed"),
        ("/nowhere", String::new(), 404, "no_route"),
        ("/closed/../x", String::new(), 400, "path_dots"),
        (
            "/api/v1/users/me/password",
            format!("X-API-Key: {key_read}\r\n"),
            405,
            "method_not_allowed",
        ),
    ] {
        let reply = get(path, &fields).await;
        assert_eq!(reply.status, status, "{path}");
        let line = line(&bench.gateway, reply.header("x-request-id").unwrap()).await;
        assert_eq!(line["reason"], reason, "{line}");
        assert_eq!(line["outcome"], "refused", "{line}");
        assert_eq!(line["status"], status);
        assert!(line["upstream"].is_null() || line["upstream"] == "", "{line}");
    }
}

#[tokio::test]
async fn identitys_own_refusals_are_named_too() {
    let bench = bench();
    let client = Client::at(&bench.gateway.url());
    let reply = try_login(&client, "nobody-for-the-log", "wrong").await;
    let line = line(&bench.gateway, reply.header("x-request-id").unwrap()).await;
    assert_eq!(line["reason"], "invalid_credentials", "{line}");
    assert_eq!(line["status"], 401);
    assert_eq!(line["outcome"], "refused", "{line}");
    let text = line.to_string();
    assert!(!text.contains("wrong"), "{text}");
}

// requirement: 38
#[tokio::test]
async fn log_lines_cannot_be_forged() {
    let bench = bench();
    let agent = "x\\\",\\\"target\\\":\\\"access\\\",\\\"request_id\\\":\\\"forged";
    let reply = get("/open/forged", &format!("User-Agent: {agent}\r\n")).await;
    let line = line(&bench.gateway, reply.header("x-request-id").unwrap()).await;
    assert_eq!(line["user_agent"], agent);
    assert!(access(&bench.gateway).all(|line| line["request_id"] != "forged"));
}

/// Secrets in every place where a client can put one, through success and failure; then nobody may have kept one.
// requirement: 38
#[tokio::test]
async fn no_secret_is_found_in_logs_metrics_or_errors() {
    let upstream = Upstream::start();
    let address = upstream.address;
    let gateway = Gateway::start(|places| {
        configuration(places, address).section("[log]\nlevel = \"debug\"").text()
    });
    operate::add_admin(&gateway);
    let key = operate::admin_key(&gateway, &["READ"]);
    let secret = key.split_once('.').unwrap().1.to_owned();
    let client = Client::at(&gateway.url());
    let login = try_login(&client, operate::ADMIN, GOOD_PASSWORD).await;
    let (access, refresh_token) = (login.str("access_token"), login.str("refresh_token"));
    let mut replies = Vec::new();
    let canary = "canary-0f1e2d3c4b5a";

    replies.push(client.key(&key).get("/closed/x").await);
    replies.push(client.bearer(&access).get("/closed/x").await);
    replies.push(client.get(&format!("/open/x?access_token={canary}&k={secret}")).await);
    replies.push(client.get(&format!("/nowhere?{canary}")).await);
    replies.push(client.bearer(canary).get("/closed/x").await);
    replies.push(client.key(canary).get("/closed/x").await);
    replies.push(client.key(&format!("tmws_key_x.{canary}")).get("/closed/x").await);
    replies.push(client.with("Cookie", &format!("s={canary}")).get("/closed/x").await);
    replies.push(client.with("Authorization", &format!("Basic {canary}")).get("/closed/x").await);
    replies.push(try_login(&client, "someone-else", canary).await);
    replies.push(refresh(&client, canary).await);
    replies.push(refresh(&client, &format!("{canary}.{canary}")).await);
    let odd = serde_json::json!({"username": [canary], "password": {"a": canary}});
    replies.push(client.post("/api/v1/auth/login", odd).await);
    let broken = Some(("application/json", format!("{{\"password\":\"{canary}\"").into_bytes()));
    replies.push(client.send(reqwest::Method::POST, "/api/v1/auth/login", broken).await);
    let users = serde_json::json!({"username": "x", "email": "x", "password": canary});
    replies.push(client.bearer(&access).post("/api/v1/users", users).await);
    refresh(&client, &refresh_token).await.expect(200);
    let text = format!("GET /open/x?{canary} x HTTP/1.1\r\nHost: x\r\nCookie: {canary}\r\n\r\n");
    let _ = wire::provoke(gateway.address(), text).await;
    let _ = wire::provoke(gateway.address(), format!("Authorization: {canary}\r\n\r\n")).await;

    for reply in &replies {
        let text = reply.text();
        assert!(!text.contains(canary), "an answer repeats it: {text}");
    }
    let metrics = gateway.operator().get("/metrics").await.expect(200).text();
    let status = gateway.operator().get("/v1/status").await.text();
    let audit = gateway.operator().get("/v1/audit").await.text();
    let effective = gateway.operator().get("/v1/config/effective").await.text();
    let last = client.get("/open/last").await;
    line(&gateway, last.header("x-request-id").unwrap()).await;
    gateway.stop();
    let places = [
        ("the log", gateway.output()),
        ("the metrics", metrics),
        ("the status", status),
        ("the audit log", audit),
        ("the effective configuration", effective),
    ];
    let operator = crate::support::conf::OPERATOR_TOKEN;
    let parts: Vec<&str> = refresh_token.split('.').chain(access.split('.').skip(2)).collect();
    for (place, text) in &places {
        for secret in
            [canary, &secret, &access, &refresh_token, GOOD_PASSWORD, operator, parts[1], parts[2]]
        {
            assert!(!text.contains(secret), "{place} holds {secret}:\n{}", around(text, secret));
        }
    }
    // Nor does the store hold anything that could be used.
    for entry in std::fs::read_dir(&gateway.places.data).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        for secret in [canary, &secret, &access, &refresh_token, GOOD_PASSWORD, parts[1]] {
            assert!(!text.contains(secret), "{} holds {secret}", path.display());
        }
    }
}

fn around(text: &str, secret: &str) -> String {
    text.lines().filter(|line| line.contains(secret)).take(3).collect::<Vec<_>>().join("\n")
}
