//! The limits of the endpoints that anyone may call, per minute and address.

use serde_json::json;

use crate::support::inkpass::{assert_error, fresh_email, shared};

#[tokio::test]
async fn the_own_account_is_changed_thirty_times_a_minute_at_most() {
    let world = shared();
    let owner = world.owner().await;
    // All of them are one limit, right or wrong.
    let path = "/api/v1/auth/2fa/verify";
    for n in 0..30 {
        let reply = match n % 2 {
            0 => owner.client.patch("/api/v1/auth/profile", json!({})).await,
            _ => owner.client.post(path, json!({})).await,
        };
        assert_ne!(reply.status, 429, "{n}: {}", reply.text());
    }
    let reply = owner.client.post(path, json!({})).await;
    assert_error(&reply, 429, "Rate limit exceeded: 30 requests per 60 seconds");
    owner.client.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn each_open_endpoint_has_the_limit_of_the_table() {
    let world = shared();
    for (path, limit) in [
        ("/api/v1/auth/refresh", 10),
        ("/api/v1/auth/verify-email", 5),
        ("/api/v1/auth/resend-verification", 3),
        ("/api/v1/auth/forgot-password", 3),
        ("/api/v1/auth/reset-password", 5),
    ] {
        let client = world.caller();
        let body = || {
            json!({
                "email": fresh_email(), "code": "123456", "new_password": "a long password",
                "refresh_token": "rubbish",
            })
        };
        for n in 0..limit {
            let reply = client.post(path, body()).await;
            assert_ne!(reply.status, 429, "{path} {n}: {}", reply.text());
        }
        let reply = client.post(path, body()).await;
        let text = format!("Rate limit exceeded: {limit} requests per 60 seconds");
        assert_error(&reply, 429, &text);
        let wait: u64 = reply.header("retry-after").expect("Retry-After").parse().unwrap();
        assert!(wait >= 1, "{path}");
        let elsewhere = world.caller().post(path, body()).await;
        assert_ne!(elsewhere.status, 429, "{path}: another address");
    }
}
