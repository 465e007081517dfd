//! The operator API: who may call it, and what it says about itself.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::{
    setting::gateway,
    support::{
        client::Client,
        conf::OPERATOR_TOKEN,
        operate::call,
        plain::ask_json,
        tmws::{caller, login, try_login},
    },
};

#[tokio::test]
async fn tcp_needs_the_token_and_the_socket_does_not() {
    let gateway = gateway();
    let client = Client::at(&gateway.operator_url());
    for client in [
        client.clone(),
        client.bearer("wrong"),
        client.bearer(""),
        client.bearer(&OPERATOR_TOKEN[1..]),
        client.bearer(&format!("{OPERATOR_TOKEN}x")),
        client.with("Authorization", OPERATOR_TOKEN),
        client.with("X-API-Key", OPERATOR_TOKEN),
    ] {
        for path in ["/v1/users", "/v1/openapi.json", "/metrics", "/v1/nonsense"] {
            let reply = client.get(path).await;
            assert_eq!(reply.status, 401, "{path}: {}", reply.text());
            assert!(reply.header("www-authenticate").is_some());
        }
    }
    client.get(&format!("/v1/users?token={OPERATOR_TOKEN}")).await.expect(401);
    client.bearer(OPERATOR_TOKEN).get("/v1/users").await.expect(200);
    assert_eq!(call(gateway, "GET", "/v1/users", Value::Null).status, 200);
}

#[test]
fn sockets_and_secrets_are_the_owners_alone() {
    let data = &gateway().places.data;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data), 0o700, "{}", data.display());
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{} is open to others", path.display());
    }
    for name in ["operator.sock", "identity.sock", "master.key"] {
        assert!(data.join(name).exists(), "{name}");
    }
}

#[test]
fn the_private_socket_believes_no_stranger_without_context() {
    let socket = gateway().places.data.join("identity.sock");
    let reply = ask_json(&socket, "GET", "/api/v1/auth/me", &Value::Null).unwrap();
    assert!(reply.status >= 400, "{}", reply.text());
    let reply = ask_json(&socket, "GET", "/v1/users", &Value::Null).unwrap();
    assert!(reply.status >= 400, "operator verbs are not here: {}", reply.text());
}

#[tokio::test]
async fn the_description_is_valid_and_lists_every_verb() {
    let description = gateway().operator().get("/v1/openapi.json").await.expect(200).json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."), "OpenAPI 3");
    let paths = description["paths"].as_object().unwrap();
    for (path, method) in [
        ("/v1/users", "get"),
        ("/v1/users", "post"),
        ("/v1/users/import", "post"),
        ("/v1/users/{name}/disable", "post"),
        ("/v1/users/{name}/enable", "post"),
        ("/v1/users/{name}/password", "post"),
        ("/v1/users/{name}/roles", "post"),
        ("/v1/keys", "get"),
        ("/v1/keys", "post"),
        ("/v1/keys/{id}/revoke", "post"),
        ("/v1/keys/{id}/rotate", "post"),
        ("/v1/sessions", "get"),
        ("/v1/sessions/{id}/end", "post"),
        ("/v1/tokens", "get"),
        ("/v1/tokens/{id}/revoke", "post"),
        ("/v1/store/backup", "post"),
        ("/v1/config/effective", "get"),
        ("/v1/reload", "post"),
        ("/v1/status", "get"),
        ("/v1/audit", "get"),
        ("/metrics", "get"),
        ("/livez", "get"),
        ("/readyz", "get"),
    ] {
        let operation = &paths.get(path).unwrap_or_else(|| panic!("no {path}"))[method];
        assert!(operation["responses"].is_object(), "{method} {path}");
    }
    // Every reference leads somewhere.
    let text = description.to_string();
    for piece in text.split("\"$ref\":\"#").skip(1) {
        let pointer = piece.split('"').next().unwrap();
        assert!(description.pointer(pointer).is_some(), "dangling reference {pointer}");
    }
}

#[tokio::test]
async fn every_described_get_answers() {
    let client = gateway().operator();
    let description = client.get("/v1/openapi.json").await.json();
    for (path, item) in description["paths"].as_object().unwrap() {
        if item.get("get").is_some() && !path.contains('{') {
            client.get(path).await.expect(200);
        }
    }
}

#[tokio::test]
async fn refusals_are_problem_documents() {
    let client = gateway().operator();
    for (reply, status) in [
        (client.get("/v1/nonsense").await, 404),
        (client.delete("/v1/users").await, 405),
        (client.post("/v1/users", json!({"nonsense": 1})).await, 422),
        (client.get("/v1/users?limit=0").await, 422),
        (client.post("/v1/users/nobody-at-all/disable", json!({})).await, 404),
    ] {
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.header("content-type").unwrap().contains("json"));
        let body = reply.json();
        assert!(body["title"].is_string() || body["code"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn lists_come_in_parts() {
    let client = gateway().operator();
    for _ in 0..3 {
        crate::support::operate::someone(gateway(), "USER");
    }
    let mut seen = Vec::new();
    let mut path = "/v1/users?limit=2".to_owned();
    loop {
        let part = client.get(&path).await.expect(200).json();
        let users = part["users"].as_array().unwrap();
        assert!(users.len() <= 2);
        seen.extend(users.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
        let Some(next) = part["next"].as_str() else { break };
        path = format!("/v1/users?limit=2&after={next}");
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "nobody twice");
    assert!(count >= 4);
}

#[tokio::test]
async fn the_audit_log_tells_what_happened() {
    let gateway = gateway();
    let name = crate::support::operate::someone(gateway, "USER");
    let client = caller(gateway);
    try_login(&client, &name, "wrong").await.expect(401);
    let tokens = login(&client, &name, crate::support::tmws::GOOD_PASSWORD).await;
    let client = client.bearer(&tokens.access);
    let made = crate::support::tmws::make_key(&client, json!({"name": "audited"})).await.json();
    let id = made["key_id"].as_str().unwrap();
    client.delete(&format!("/api/v1/auth/api-keys/{id}")).await.expect(200);
    client.post("/api/v1/auth/logout", json!({})).await.expect(200);
    let audit = gateway.operator().get("/v1/audit?limit=200").await.expect(200).json();
    let events = audit["events"].as_array().unwrap();
    for kind in ["LOGIN_FAILED", "LOGIN_SUCCESS", "API_KEY_CREATED", "API_KEY_REVOKED", "LOGOUT"] {
        let event = events.iter().find(|event| event["event_type"] == kind);
        let event = event.unwrap_or_else(|| panic!("no {kind}"));
        assert!(event["timestamp"].as_str().unwrap().ends_with('Z'), "{event}");
        for field in ["user_id", "ip_address", "user_agent", "details"] {
            assert!(event.as_object().unwrap().contains_key(field), "{field}: {event}");
        }
    }
}

#[tokio::test]
async fn a_new_signing_key_logs_nobody_out() {
    let gateway = gateway();
    let name = crate::support::operate::someone(gateway, "USER");
    let client = caller(gateway);
    let old = login(&client, &name, crate::support::tmws::GOOD_PASSWORD).await;
    gateway.operator().post("/v1/signing-keys/api/rotate", json!({})).await.expect(201);
    client.bearer(&old.access).get("/api/v1/tasks").await.expect(200);
    let new = login(&client, &name, crate::support::tmws::GOOD_PASSWORD).await;
    client.bearer(&new.access).get("/api/v1/tasks").await.expect(200);
    assert_ne!(old.access, new.access);
}
