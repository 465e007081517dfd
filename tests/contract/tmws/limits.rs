//! The general limit of the contract: 100 requests in 60 seconds per credential or address.

use std::sync::OnceLock;

use serde_json::json;

use crate::support::{
    gateway::Gateway,
    tmws::{admin, assert_error, caller, make_key, person},
};

/// The demo as it is, limits and all.
fn plain() -> &'static Gateway {
    static DEMO: OnceLock<Gateway> = OnceLock::new();
    DEMO.get_or_init(|| Gateway::demo(&[]))
}

// requirement: 25
#[tokio::test]
async fn the_hundred_and_first_request_of_an_address_is_429() {
    let client = caller(plain());
    let mut answered = 0;
    let refused = loop {
        let reply = client.get("/api/v1/tasks").await;
        if reply.status == 429 {
            break reply;
        }
        assert_eq!(reply.status, 401);
        answered += 1;
        let left: u32 = reply.header("x-ratelimit-remaining").unwrap().parse().unwrap();
        assert!(left <= 99);
        assert_eq!(reply.header("x-ratelimit-limit"), Some("100"));
        assert!(answered < 200, "no limit at all");
    };
    // Some come back while we ask: 100 a minute is one in 600 ms.
    assert!((100..140).contains(&answered), "{answered}");
    assert_error(&refused, 429, "Rate limit exceeded");
    let retry = refused.int("retry_after");
    assert!((1..=60).contains(&retry), "{retry}");
    assert_eq!(refused.header("retry-after"), Some(retry.to_string().as_str()));
    assert_eq!(refused.all("x-ratelimit-remaining"), ["0"]);
    assert_eq!(refused.all("x-ratelimit-reset").len(), 1);
    // Who looks after the gateway is not held back by its callers.
    let health = client.get("/health").await.expect(200);
    assert_eq!(health.header("x-ratelimit-limit"), None);
    // Another address is another caller.
    assert_eq!(caller(plain()).get("/api/v1/tasks").await.status, 401);
}

#[tokio::test]
async fn a_credential_counts_for_itself_wherever_it_calls_from() {
    let owner = person(&admin(plain()).await, &["USER"]).await;
    let client = caller(plain());
    let tokens = crate::support::tmws::login(&client, &owner.name, &owner.password).await;
    let client = client.bearer(&tokens.access);
    let made = make_key(&client, json!({"name": "mine"})).await.json();
    let key = made["api_key"].as_str().unwrap();

    let mut refused = None;
    for _ in 0..200 {
        let reply = caller(plain()).key(key).get("/api/v1/tasks").await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
        assert_eq!(reply.status, 200);
    }
    assert_error(&refused.expect("a limit per key"), 429, "Rate limit exceeded");
    // The token is another credential.
    client.get("/api/v1/tasks").await.expect(200);
}

#[tokio::test]
async fn every_reply_shows_the_limit() {
    let client = caller(plain());
    for path in ["/api/v1/tasks", "/api/v1/auth/me", "/api/v1/nowhere", "/api/v1/auth/login"] {
        let reply = client.get(path).await;
        for header in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            assert_eq!(reply.all(header).len(), 1, "{header} on {path}");
            assert!(reply.header(header).unwrap().parse::<u64>().is_ok(), "a whole number");
        }
    }
}
