//! The contract's own limits, and what is strict unless the operator says otherwise.

use serde_json::json;

use crate::support::{
    archon::{PASSWORD, add, assert_error, bare, caller, data, try_login},
    gateway::Gateway,
    upstream::Upstream,
};

#[tokio::test]
async fn five_logins_and_three_registrations_a_minute_count_whatever_their_end() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| bare(places, &upstream.url(), ""));
    add(&gateway, "ada@example.org", &["user"]);
    let client = caller(&gateway);
    for remaining in (0..5).rev() {
        let reply = try_login(&client, "ada@example.org", PASSWORD).await;
        data(&reply);
        assert_eq!(reply.header("x-ratelimit-remaining"), Some(&*remaining.to_string()));
        assert_eq!(reply.header("x-ratelimit-policy"), Some("5;w=60"));
        assert!(reply.header("set-cookie").unwrap().contains("; Secure"), "strict by default");
    }
    let reply = try_login(&client, "ada@example.org", PASSWORD).await;
    assert_error(&reply, 429, "RATE_LIMIT_EXCEEDED");
    let details = &reply.json()["error"]["details"];
    assert_eq!((&details["limit"], &details["window"]), (&json!(5), &json!(60)));
    let after = details["retry_after"].as_u64().unwrap();
    assert_eq!(reply.header("retry-after"), Some(&*after.to_string()));
    assert!((1..=60).contains(&after));
    assert_eq!(try_login(&caller(&gateway), "ada@example.org", PASSWORD).await.status, 200);
    for _ in 0..3 {
        let reply = client.post("/auth/register", json!({})).await;
        assert_error(&reply, 400, "VALIDATION_ERROR");
    }
    assert_error(&client.post("/auth/register", json!({})).await, 429, "RATE_LIMIT_EXCEEDED");
    let health = client.get("/health").await.expect(200);
    assert_eq!(health.header("x-ratelimit-policy"), Some("60;w=60"));
    let admin = {
        add(&gateway, "root@example.org", &["admin"]);
        let client = caller(&gateway);
        let own = data(&try_login(&client, "root@example.org", PASSWORD).await);
        client.bearer(own["access_token"].as_str().unwrap())
    };
    let inner = json!({ "url": "http://127.0.0.1:1/", "events": ["*"] });
    assert_error(&admin.post("/webhooks", inner).await, 400, "VALIDATION_ERROR");
}
