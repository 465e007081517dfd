//! `POST /api/v1/auth/refresh` and `/logout`: tokens live as long as their session.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    client::Client,
    inkpass::{assert_error, assert_invalid, login, shared},
    wire::Reply,
};

const BAD: &str = "Invalid refresh token";

async fn refresh(client: &Client, token: &str) -> Reply {
    let path = format!("/api/v1/auth/refresh?refresh_token={token}");
    client.call(Method::POST, &path, None).await
}

#[tokio::test]
async fn a_token_is_taken_from_the_query_or_the_body_and_again() {
    let world = shared();
    let owner = world.owner().await;
    let client = world.caller();
    for _ in 0..3 {
        let reply = refresh(&client, &owner.refresh).await.expect(200);
        assert_eq!(reply.str("token_type"), "bearer");
        assert_eq!(reply.int("expires_in"), 1800);
        assert_eq!(reply.str("refresh_token"), owner.refresh, "the same, which harms nobody");
        let fresh = world.caller().bearer(&reply.str("access_token"));
        assert_eq!(fresh.get("/api/v1/auth/me").await.expect(200).str("id"), owner.id);
    }
    let body = json!({"refresh_token": owner.refresh});
    client.post("/api/v1/auth/refresh", body).await.expect(200);
}

#[tokio::test]
async fn what_is_no_live_refresh_token_is_401() {
    let world = shared();
    let owner = world.owner().await;
    for token in ["rubbish", "a.b.c", &owner.access, &format!("{}x", owner.refresh)] {
        assert_error(&refresh(&world.caller(), token).await, 401, BAD);
    }
    let reply = world.caller().call(Method::POST, "/api/v1/auth/refresh", None).await;
    assert_invalid(&reply, &["query", "refresh_token"]);
}

#[tokio::test]
async fn a_logout_ends_both_tokens_at_once_and_only_that_session() {
    let world = shared();
    let owner = world.owner().await;
    let other = login(&world.caller(), &owner.email).await.expect(200);
    let reply = owner.client.call(Method::POST, "/api/v1/auth/logout", None).await.expect(200);
    assert!(!reply.str("message").is_empty());
    let reply = owner.client.get("/api/v1/auth/me").await;
    assert_error(&reply, 401, "Authentication required");
    assert_error(&refresh(&world.caller(), &owner.refresh).await, 401, BAD);
    let again = owner.client.call(Method::POST, "/api/v1/auth/logout", None).await;
    assert_error(&again, 401, "Invalid or expired token");
    world.caller().bearer(&other.str("access_token")).get("/api/v1/auth/me").await.expect(200);
    let nobody = world.caller().call(Method::POST, "/api/v1/auth/logout", None).await;
    assert_error(&nobody, 401, "Authentication required");
}

#[tokio::test]
async fn the_token_in_the_query_is_seen_by_no_log() {
    let world = shared();
    let owner = world.owner().await;
    refresh(&world.caller(), &owner.refresh).await.expect(200);
    let secret = owner.refresh.rsplit('.').next().unwrap();
    assert!(!world.gateway.output().contains(secret));
}
