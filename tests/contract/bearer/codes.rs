//! Forgotten passwords and proof of addresses, with a real mail server.

use serde_json::{Value, json};

use super::bench::{Bench, PASSWORD, assert_error_shape, claims, login, refused};
use crate::support::{client::Client, wire::Reply};

#[track_caller]
fn null(reply: &Reply, status: u16) {
    assert_eq!((reply.status, reply.text().as_str()), (status, "null"), "the literal null: trap 7");
    assert!(reply.header("content-type").unwrap().starts_with("application/json"));
}

async fn reset(client: &Client, token: &str, password: &str) -> Reply {
    client.post("/auth/reset-password", json!({ "token": token, "password": password })).await
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail() {
    let bench = Bench::start().await;
    let (email, client) = bench.logged_in().await;
    let ask = async |email: &str| {
        bench.caller().post("/auth/forgot-password", json!({ "email": email })).await
    };
    null(&ask("nobody@example.com").await, 202);
    null(&ask(&email.to_uppercase()).await, 202);
    let letter = bench.mail.letter(0).await;
    assert_eq!(
        (letter.to.as_str(), letter.from.as_str()),
        (email.as_str(), "no-reply@example.org")
    );
    let token = letter.code();
    let claims = claims(&token);
    assert_eq!(claims["aud"], json!("fastapi-users:reset"));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);

    let stranger = bench.caller();
    let weak = reset(&stranger, &token, "short").await;
    assert_eq!(
        (weak.status, &weak.json()["detail"]["code"]),
        (400, &json!("RESET_PASSWORD_INVALID_PASSWORD"))
    );
    null(&reset(&stranger, &token, "N3w-password").await, 200);
    refused(&client.get("/users/me").await, 401, "Unauthorized".into());
    login(&bench.caller(), &email, "N3w-password").await.expect(200);
    for token in [token.as_str(), "x", "a.b.c", ""] {
        refused(&reset(&stranger, token, PASSWORD).await, 400, "RESET_PASSWORD_BAD_TOKEN".into());
    }
    let reply = stranger.post("/auth/forgot-password", json!({})).await;
    assert_eq!(reply.status, 422);
    assert_error_shape(&reply);
}

#[tokio::test]
async fn an_address_is_proven_by_mail() {
    let bench = Bench::start().await;
    let (email, client) = bench.logged_in().await;
    let ask =
        async || bench.caller().post("/auth/request-verify-token", json!({ "email": email })).await;
    let verify =
        async |token: &str| bench.caller().post("/auth/verify", json!({ "token": token })).await;
    null(&ask().await, 202);
    let token = bench.mail.letter(0).await.code();
    assert_eq!(claims(&token)["aud"], json!("fastapi-users:verify"));
    refused(&reset(&client, &token, "N3w-password").await, 400, "RESET_PASSWORD_BAD_TOKEN".into());
    refused(&verify("x").await, 400, "VERIFY_USER_BAD_TOKEN".into());
    let user = verify(&token).await.expect(200).json();
    assert_eq!((&user["email"], &user["is_verified"]), (&json!(email), &json!(true)));
    refused(&verify(&token).await, 400, "VERIFY_USER_ALREADY_VERIFIED".into());
    null(&ask().await, 202);
    let unknown = json!({ "email": "nobody@example.com" });
    null(&bench.caller().post("/auth/request-verify-token", unknown).await, 202);
    assert_eq!(client.get("/users/me").await.expect(200).json()["is_verified"], Value::Bool(true));
    assert_eq!(bench.mail.letters().len(), 1);
}

#[tokio::test]
async fn one_mailbox_is_not_flooded_known_or_not() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    for email in [email.as_str(), "nobody@example.com"] {
        let ask =
            async || bench.caller().post("/auth/forgot-password", json!({ "email": email })).await;
        for _ in 0..3 {
            null(&ask().await, 202);
        }
        refused(&ask().await, 429, "Rate limit exceeded".into());
    }
}

#[tokio::test]
async fn neither_codes_nor_addresses_are_in_the_log() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    let body = json!({ "email": email });
    bench.caller().post("/auth/forgot-password", body).await.expect(202);
    let token = bench.mail.letter(0).await.code();
    reset(&bench.caller(), &token, "N3w-password").await.expect(200);
    crate::support::wait::until("the log line", || async {
        bench.gateway.output().contains("mail_sent").then_some(())
    })
    .await;
    let output = bench.gateway.output();
    assert!(!output.contains(&token) && !output.contains(&email), "{output}");
}
