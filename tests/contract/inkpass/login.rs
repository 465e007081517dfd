//! `POST /api/v1/auth/login`.

use base64::Engine;
use serde_json::{Value, json};

use crate::support::inkpass::{PASSWORD, assert_error, assert_invalid, fresh_email, login, shared};

const PATH: &str = "/api/v1/auth/login";

pub(super) fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a compact JWS");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn a_login_answers_the_four_members() {
    let world = shared();
    let owner = world.owner().await;
    let reply = login(&world.caller(), &owner.email).await.expect(200);
    assert_eq!(reply.str("token_type"), "bearer");
    assert_eq!(reply.int("expires_in"), 1800);
    assert!(!reply.text().contains("1800.0"));
    let (access, refresh) =
        (claims(&reply.str("access_token")), claims(&reply.str("refresh_token")));
    for (token, kind) in [(&access, "access"), (&refresh, "refresh")] {
        assert_eq!(token["sub"], owner.id);
        assert_eq!(token["email"], owner.email);
        assert_eq!(token["organization_id"], owner.organization);
        assert_eq!(token["sid"], access["sid"]);
        assert_eq!(token["type"], kind);
        assert!(token["iss"].is_string() && token["jti"].is_string());
        assert_eq!(token.get("aud"), None, "a sister service verifies without an audience");
    }
    let lives = |token: &Value| token["exp"].as_i64().unwrap() - token["iat"].as_i64().unwrap();
    assert_eq!((lives(&access), lives(&refresh)), (1800, 7 * 24 * 3600));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_the_same() {
    let world = shared();
    let owner = world.owner().await;
    for (email, password) in
        [(&*owner.email, "wrong"), ("nobody@example.org", PASSWORD), ("no address", ""), ("", "")]
    {
        let body = json!({"email": email, "password": password});
        let reply = world.caller().post(PATH, body).await;
        assert_error(&reply, 401, "Invalid email or password");
    }
}

#[tokio::test]
async fn missing_fields_are_422() {
    let world = shared();
    let reply = world.caller().post(PATH, json!({"password": "x"})).await;
    assert_invalid(&reply, &["body", "email"]);
    let reply = world.caller().post(PATH, json!({"email": "x"})).await;
    assert_invalid(&reply, &["body", "password"]);
}

#[tokio::test]
async fn an_account_that_was_switched_off_is_told_only_after_the_right_password() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let path = format!("/api/v1/users/{}", member.id);
    owner.client.patch(&path, json!({"status": "inactive"})).await.expect(200);
    let reply = login(&world.caller(), &member.email).await;
    assert_error(&reply, 401, "User account is not active");
    let body = json!({"email": member.email, "password": "wrong"});
    let reply = world.caller().post(PATH, body).await;
    assert_error(&reply, 401, "Invalid email or password");
    let reply = member.client.get("/api/v1/auth/me").await;
    assert_error(&reply, 401, "Authentication required");
}

#[tokio::test]
async fn the_eleventh_login_of_an_address_and_mail_in_a_minute_is_429() {
    let world = shared();
    let owner = world.owner().await;
    let client = world.caller();
    for _ in 0..10 {
        login(&client, &owner.email).await.expect(200);
    }
    let reply = login(&client, &owner.email).await;
    assert_error(&reply, 429, "Rate limit exceeded: 10 requests per 60 seconds");
    assert!(reply.header("retry-after").is_some());
    // Another address and another mail are not concerned.
    login(&world.caller(), &owner.email).await.expect(200);
    let body = json!({"email": fresh_email(), "password": "x"});
    assert_eq!(client.post(PATH, body).await.status, 401);
}
