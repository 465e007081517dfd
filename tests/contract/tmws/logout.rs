//! `POST /api/v1/auth/logout`.

use serde_json::json;

use crate::support::tmws::{Tokens, assert_error, caller, login, refresh, shared, user};

const LOGOUT: &str = "/api/v1/auth/logout";

async fn session() -> Tokens {
    login(&caller(shared()), "admin", "password").await
}

async fn me(token: &str) -> u16 {
    caller(shared()).bearer(token).get("/api/v1/auth/me").await.status
}

// requirement: 10
#[tokio::test]
async fn a_logout_kills_both_tokens_for_the_next_request() {
    let tokens = session().await;
    assert_eq!(me(&tokens.access).await, 200);
    let client = caller(shared()).bearer(&tokens.access);
    let reply = client.post(LOGOUT, json!({"refresh_token": tokens.refresh})).await.expect(200);
    assert!(!reply.str("message").is_empty(), "a body, not 204 (trap 2)");

    let after = client.get("/api/v1/tasks").await;
    assert_error(&after, 401, "Could not validate credentials");
    assert_eq!(me(&tokens.access).await, 401);
    let refreshed = refresh(&caller(shared()), &tokens.refresh).await;
    assert_error(&refreshed, 401, "Invalid or expired refresh token");
}

#[tokio::test]
async fn without_a_refresh_token_the_sessions_own_ends() {
    for empty in [Some(json!({})), None, Some(json!({"refresh_token": null}))] {
        let tokens = session().await;
        let client = caller(shared()).bearer(&tokens.access);
        client.call(reqwest::Method::POST, LOGOUT, empty).await.expect(200);
        assert_eq!(me(&tokens.access).await, 401);
        assert_eq!(refresh(&caller(shared()), &tokens.refresh).await.status, 401);
    }
}

#[tokio::test]
async fn an_empty_body_with_a_json_content_type_is_taken() {
    let tokens = session().await;
    let client = caller(shared()).bearer(&tokens.access);
    let empty = Some(("application/json", Vec::new()));
    client.send(reqwest::Method::POST, LOGOUT, empty).await.expect(200);
    assert_eq!(me(&tokens.access).await, 401);
}

#[tokio::test]
async fn an_unknown_refresh_token_does_not_matter() {
    let tokens = session().await;
    let client = caller(shared()).bearer(&tokens.access);
    client.post(LOGOUT, json!({"refresh_token": "no.such"})).await.expect(200);
    assert_eq!(me(&tokens.access).await, 401);
}

#[tokio::test]
async fn an_older_access_token_of_the_session_ends_too() {
    let first = session().await;
    let second = Tokens::of(&refresh(&caller(shared()), &first.refresh).await);
    let client = caller(shared()).bearer(&second.access);
    client.post(LOGOUT, json!({"refresh_token": second.refresh})).await.expect(200);
    assert_eq!(me(&second.access).await, 401);
    assert_eq!(refresh(&caller(shared()), &second.refresh).await.status, 401);
}

#[tokio::test]
async fn another_session_of_the_same_user_goes_on() {
    let (leaving, staying) = (session().await, session().await);
    let client = caller(shared()).bearer(&leaving.access);
    client.post(LOGOUT, json!({"refresh_token": leaving.refresh})).await.expect(200);
    assert_eq!(me(&staying.access).await, 200);
    refresh(&caller(shared()), &staying.refresh).await.expect(200);
}

#[tokio::test]
async fn somebody_elses_refresh_token_is_left_alone() {
    let (_, mallory, _) = user(shared()).await;
    let (_, _, alice) = user(shared()).await;
    mallory.post(LOGOUT, json!({"refresh_token": alice.refresh})).await.expect(200);
    refresh(&caller(shared()), &alice.refresh).await.expect(200);
}

#[tokio::test]
async fn without_a_credential_it_is_401() {
    let reply = caller(shared()).post(LOGOUT, json!({})).await;
    assert_error(&reply, 401, "Authentication required - missing credentials");
}

#[tokio::test]
async fn a_second_logout_is_401_because_the_token_is_dead() {
    let tokens = session().await;
    let client = caller(shared()).bearer(&tokens.access);
    client.post(LOGOUT, json!({})).await.expect(200);
    assert_error(&client.post(LOGOUT, json!({})).await, 401, "Could not validate credentials");
}

#[tokio::test]
async fn a_key_cannot_log_out() {
    let key = shared().facts["api_keys"]["tmws"].as_str().unwrap();
    let reply = caller(shared()).key(key).post(LOGOUT, json!({})).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
}
