//! Cross-origin callers: preflight without credentials, headers to see, origins set by the operator.

use std::sync::OnceLock;

use reqwest::Method;

use crate::support::{
    gateway::Gateway,
    tmws::{NO_GENERAL_LIMIT, caller, shared},
};

const ORIGIN: &str = "https://app.example.org";

fn open() -> &'static Gateway {
    static DEMO: OnceLock<Gateway> = OnceLock::new();
    DEMO.get_or_init(|| {
        let mut arguments = NO_GENERAL_LIMIT.to_vec();
        let origins = r#"mount.tmws.cors.origins=["https://app.example.org"]"#;
        arguments.extend_from_slice(&["--set", origins]);
        Gateway::demo(&arguments)
    })
}

#[tokio::test]
async fn a_preflight_needs_no_credential() {
    for (path, method) in [
        ("/api/v1/auth/login", "POST"),
        ("/api/v1/tasks", "POST"),
        ("/api/v1/tasks", "GET"),
        ("/api/v1/auth/api-keys", "POST"),
    ] {
        let reply = caller(open())
            .with("Origin", ORIGIN)
            .with("Access-Control-Request-Method", method)
            .with("Access-Control-Request-Headers", "authorization,content-type,x-api-key")
            .call(Method::OPTIONS, path, None)
            .await;
        assert!(matches!(reply.status, 200 | 204), "{path}: {}", reply.status);
        assert_eq!(reply.all("access-control-allow-origin"), [ORIGIN]);
        let methods = reply.header("access-control-allow-methods").expect("methods");
        assert!(methods.contains(method), "{path}: {methods}");
        let headers = reply.header("access-control-allow-headers").expect("headers").to_lowercase();
        for name in ["authorization", "content-type", "x-api-key", "x-request-id"] {
            assert!(headers.contains(name), "{name} in {headers}");
        }
        let vary = reply.header("vary").expect("caches must know").to_lowercase();
        assert!(vary.contains("origin"), "{vary}");
    }
}

#[tokio::test]
async fn replies_may_be_read_by_the_listed_origin_only() {
    let reply = caller(open()).with("Origin", ORIGIN).get("/api/v1/tasks").await.expect(401);
    assert_eq!(reply.all("access-control-allow-origin"), [ORIGIN]);
    let exposed = reply.header("access-control-expose-headers").expect("exposed").to_lowercase();
    for name in ["x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
    {
        assert!(exposed.contains(name), "{name} in {exposed}");
    }
    for origin in ["https://evil.example", "null", "https://app.example.org.evil.example"] {
        let reply = caller(open()).with("Origin", origin).get("/api/v1/tasks").await.expect(401);
        assert!(reply.header("access-control-allow-origin").is_none(), "{origin}");
    }
}

#[tokio::test]
async fn a_permitted_reply_of_the_upstream_carries_them_too() {
    let key = open().facts["api_keys"]["tmws"].as_str().unwrap();
    let client = caller(open()).key(key).with("Origin", ORIGIN);
    let reply = client.get("/api/v1/tasks").await.expect(200);
    assert_eq!(reply.all("access-control-allow-origin"), [ORIGIN]);
}

#[tokio::test]
async fn a_foreign_preflight_gets_no_permission() {
    let reply = caller(open())
        .with("Origin", "https://evil.example")
        .with("Access-Control-Request-Method", "POST")
        .call(Method::OPTIONS, "/api/v1/tasks", None)
        .await;
    assert!(reply.header("access-control-allow-origin").is_none());
    assert!(reply.status < 500);
}

#[tokio::test]
async fn without_listed_origins_nothing_is_allowed() {
    let reply = caller(shared()).with("Origin", ORIGIN).get("/api/v1/tasks").await.expect(401);
    assert!(reply.header("access-control-allow-origin").is_none());
}
