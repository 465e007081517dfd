//! Refusals the gateway makes itself: always an object in the contract's shape.

use std::{sync::OnceLock, time::Duration};

use reqwest::Method;
use serde_json::json;

use crate::support::{
    client::Client,
    conf,
    gateway::Gateway,
    operate,
    tmws::{assert_error, assert_error_shape, caller, make_key, shared, user},
    upstream::{Answer, Step, Upstream},
    wire,
};

#[tokio::test]
async fn an_unknown_path_is_404_with_its_path() {
    for path in ["/nowhere", "/api/v1/auth/nowhere", "/api/v1/auth/login/x", "/"] {
        let reply = caller(shared()).get(path).await;
        assert_error(&reply, 404, "Not Found");
        let body = reply.json();
        assert_eq!(body["path"], path);
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
}

#[tokio::test]
async fn a_query_is_not_repeated() {
    let reply = caller(shared()).get("/nowhere?token=canary-in-a-query").await;
    assert_error(&reply, 404, "Not Found");
    assert!(!reply.text().contains("canary"));
}

#[tokio::test]
async fn a_known_path_with_another_method_is_405_with_allow() {
    for (method, path) in [
        (Method::GET, "/api/v1/auth/login"),
        (Method::PUT, "/api/v1/auth/refresh"),
        (Method::DELETE, "/api/v1/auth/logout"),
        (Method::PATCH, "/api/v1/auth/api-keys"),
        (Method::POST, "/health"),
        (Method::POST, "/api/v1/auth/me"),
    ] {
        let reply = caller(shared()).call(method.clone(), path, None).await;
        assert_error(&reply, 405, "Method Not Allowed");
        let allow = reply.header("allow").expect("Allow").to_owned();
        assert!(!allow.is_empty() && !allow.contains(method.as_str()), "{path}: {allow}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413() {
    let huge = format!("{{\"username\":\"{}\"}}", "x".repeat(11 * 1024 * 1024));
    let sent = Some(("application/json", huge.into_bytes()));
    let client = caller(shared());
    match client.try_send(Method::POST, "/api/v1/auth/login", sent).await {
        Ok(reply) => assert_error(&reply, 413, "Payload Too Large"),
        // Refused before the body was read: the connection may break while we still write.
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
    // Said in advance and not sent, the answer is certain.
    let address = shared().address();
    let request = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{{"
    );
    let reply = wire::exchange(address, request).await;
    assert_eq!(reply.status, 413);
    assert_error_shape(&reply);
}

#[tokio::test]
async fn a_malformed_path_is_400_in_shape() {
    let address = shared().address();
    for path in ["/api/v1/%2e%2e/tasks", "/api/v1/%00", "/api/v1/%zz", "/api/v1/%252e%252e/x"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let reply = wire::exchange(address, request).await;
        assert_eq!(reply.status, 400, "{path}");
        assert_error_shape(&reply);
    }
}

#[tokio::test]
async fn the_request_id_of_a_stranger_is_not_kept() {
    let client = caller(shared()).with("X-Request-ID", "req_mine");
    let reply = client.get("/api/v1/tasks").await;
    assert_error(&reply, 401, "Authentication required - missing credentials");
    assert_ne!(reply.header("x-request-id"), Some("req_mine"));
    let again = client.get("/api/v1/tasks").await;
    assert_ne!(reply.header("x-request-id"), again.header("x-request-id"));
}

// --- upstream trouble, with an upstream of our own --------------------------------------------------------------

struct Broken {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

/// One gateway before an upstream that fails as the path says.
fn broken() -> &'static Broken {
    static BROKEN: OnceLock<Broken> = OnceLock::new();
    BROKEN.get_or_init(|| {
        let upstream = Upstream::with(|request| match request.target().as_str() {
            "/api/v1/tasks/slow" => Answer::ok().after(Duration::from_secs(20)),
            "/api/v1/tasks/reset" => Answer::steps(vec![Step::Reset]),
            "/api/v1/tasks/close" => Answer::steps(vec![Step::Close]),
            "/api/v1/tasks/garbage" => {
                Answer::steps(vec![Step::Send(b"this is no HTTP\r\n\r\n".to_vec()), Step::Close])
            }
            "/api/v1/tasks/oops" => Answer::json(500, r#"{"mine":true}"#),
            "/api/v1/tasks/teapot" => Answer::new(418, &[("X-Own", "yes")], "short and stout"),
            _ => Answer::ok(),
        });
        let address = upstream.address;
        let gateway = Gateway::start(|places| {
            conf::Conf::new(places)
                .upstream("main", &[address])
                .route(conf::tasks("main").with("timeouts", r#"{ first_byte = "1s" }"#))
                .text()
        });
        operate::add_admin(&gateway);
        let key = operate::admin_key(&gateway, &["FULL"]);
        Broken { gateway, upstream, key }
    })
}

#[tokio::test]
async fn a_broken_upstream_is_502_and_a_slow_one_504() {
    let broken = broken();
    let client = Client::at(&broken.gateway.url()).key(&broken.key);
    for (path, status, text) in [
        ("/api/v1/tasks/reset", 502, "Bad Gateway"),
        ("/api/v1/tasks/close", 502, "Bad Gateway"),
        ("/api/v1/tasks/garbage", 502, "Bad Gateway"),
        ("/api/v1/tasks/slow", 504, "Gateway Timeout"),
    ] {
        let reply = client.post(path, json!({"title": "x"})).await;
        assert_error(&reply, status, text);
    }
    assert!(broken.upstream.count() >= 4);
}

#[tokio::test]
async fn the_upstreams_own_errors_pass_untouched() {
    let broken = broken();
    let client = Client::at(&broken.gateway.url()).key(&broken.key);
    let reply = client.get("/api/v1/tasks/oops").await.expect(500);
    assert_eq!(reply.text(), r#"{"mine":true}"#);
    let reply = client.get("/api/v1/tasks/teapot").await.expect(418);
    assert_eq!(reply.text(), "short and stout");
    assert_eq!(reply.header("x-own"), Some("yes"));
}

#[tokio::test]
async fn an_error_of_every_kind_is_no_success_for_the_shell_client() {
    // Trap 1: the client takes anything for a login unless jq prints null for .access_token.
    let (_, client, _) = user(shared()).await;
    make_key(&client, json!({"name": "any"})).await;
    for reply in [
        caller(shared()).get("/nowhere").await,
        caller(shared()).post("/api/v1/auth/login", json!({})).await,
        caller(shared())
            .post("/api/v1/auth/login", json!({"username": "a", "password": "b"}))
            .await,
        caller(shared()).get("/api/v1/auth/login").await,
    ] {
        assert!(reply.status >= 400);
        assert!(reply.json().is_object());
        assert!(reply.json().get("access_token").is_none());
    }
}
