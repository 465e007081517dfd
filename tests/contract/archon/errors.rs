//! The one error shape wherever something is refused, preflights, health, and the fields on every reply.

use reqwest::Method;

use super::shared;
use crate::support::archon::{assert_error, caller, data, user};

#[tokio::test]
async fn every_refusal_of_the_gateway_is_in_the_envelope() {
    let bench = shared();
    let client = caller(&bench.gateway);
    assert_error(&client.get("/nowhere").await, 404, "NOT_FOUND");
    assert_error(&client.get("/auth/login").await, 405, "METHOD_NOT_ALLOWED");
    let large = Some(("application/json", vec![b'x'; 70_000]));
    let reply = client.send(Method::POST, "/auth/login", large).await;
    assert_error(&reply, 413, "PAYLOAD_TOO_LARGE");
    let typed = Some(("text/plain", b"{}".to_vec()));
    let reply = client.send(Method::POST, "/auth/login", typed).await;
    assert_error(&reply, 415, "UNSUPPORTED_MEDIA_TYPE");
    for body in ["{", "[]", "\"x\"", "nonsense"] {
        let body = Some(("application/json", body.as_bytes().to_vec()));
        let reply = client.send(Method::POST, "/auth/login", body).await;
        assert_error(&reply, 400, "VALIDATION_ERROR");
    }
    assert_error(&client.bearer("nonsense").get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    assert_error(&client.bearer("nonsense").get("/files/x").await, 401, "AUTH_TOKEN_INVALID");
}

#[tokio::test]
async fn limits_stand_in_fields_of_every_reply() {
    let gateway = &shared().gateway;
    let (_, client, _) = user(gateway, "user").await;
    let reply = client.get("/users/me").await;
    data(&reply);
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
        assert!(reply.header(name).unwrap().parse::<u64>().is_ok(), "{name}");
    }
    assert_eq!(reply.header("x-ratelimit-policy"), Some("1000000;w=60"));
}

#[tokio::test]
async fn health_is_no_envelope() {
    let reply = caller(&shared().gateway).get("/health").await.expect(200);
    let body = reply.json();
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["version"], "2.0.0");
    assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(
        body["uptime"].is_u64()
            && body["dependencies"].is_object()
            && body["performance"].is_object()
    );
    assert!(body.get("success").is_none());
}

#[tokio::test]
async fn a_page_of_another_origin_asks_first_and_is_let_through() {
    let client = caller(&shared().gateway)
        .with("Origin", "https://app.example.org")
        .with("Access-Control-Request-Method", "POST")
        .with("Access-Control-Request-Headers", "content-type,authorization,x-api-key");
    for path in ["/api/v2/auth/login", "/users/me", "/files/a"] {
        let reply = client.call(Method::OPTIONS, path, None).await;
        assert!(reply.status == 200 || reply.status == 204, "{path}: {}", reply.status);
        assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example.org"));
        let allowed = reply.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
        assert!(allowed.contains("authorization") && allowed.contains("x-api-key"), "{allowed}");
    }
    let reply = client.get("/users/me").await;
    let exposed = reply.header("access-control-expose-headers").unwrap().to_owned();
    for name in ["X-RateLimit-Limit", "X-RateLimit-Policy", "X-Request-ID", "Retry-After"] {
        assert!(exposed.split(", ").any(|one| one == name), "{name}: {exposed}");
    }
}
