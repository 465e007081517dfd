//! `GET /api/v1/auth/me`, `GET /api/v1/auth/api-key/validate`, protected upstream paths, health.

use serde_json::json;

use crate::support::inkpass::{SERVICE_KEY, World, assert_error, assert_error_shape, shared};

const ME: &str = "/api/v1/auth/me";

#[tokio::test]
async fn a_login_is_shown_as_a_user() {
    let owner = shared().owner().await;
    let me = owner.client.get(ME).await.expect(200).json();
    assert_eq!(me["id"], owner.id);
    assert_eq!(me["email"], owner.email);
    assert_eq!(me["organization_id"], owner.organization);
    assert_eq!(me["status"], "active");
    assert_eq!(me["two_fa_enabled"], false);
    assert_eq!(me["auth_type"], "user");
    for member in ["first_name", "last_name"] {
        assert!(me.get(member).is_some_and(|value| value.is_null()), "{me}");
    }
}

/// Trap 7: exactly 401, or clients raise instead of returning nothing.
#[tokio::test]
async fn whatever_proves_nobody_is_exactly_401() {
    let world = shared();
    let owner = world.owner().await;
    let anonymous = world.caller();
    for client in [
        anonymous.clone(),
        anonymous.bearer("rubbish"),
        anonymous.bearer(&owner.refresh),
        anonymous.bearer(&format!("{}x", owner.access)),
        anonymous.with("Authorization", "Basic YTpi"),
        anonymous.key("unknown"),
        anonymous.key("inkpass_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        // A bad token is not helped by a good key.
        anonymous.bearer("rubbish").key(SERVICE_KEY),
    ] {
        let reply = client.get(ME).await;
        assert_error(&reply, 401, "Authentication required");
    }
}

#[tokio::test]
async fn a_key_is_shown_as_itself() {
    let world = shared();
    let owner = world.owner().await;
    let key = owner.key(&["docs:read", "Mixed:Case"]).await;
    let client = world.caller().key(key["key"].as_str().unwrap());
    for path in [ME, "/api/v1/auth/api-key/validate"] {
        let me = client.get(path).await.expect(200).json();
        assert_eq!(me["id"], key["id"]);
        assert_eq!(me["name"], "ci");
        assert_eq!(me["organization_id"], owner.organization);
        assert_eq!(me["user_id"], owner.id);
        assert_eq!(me["scopes"], json!(["Mixed:Case", "docs:read"]));
        assert_eq!(me["auth_type"], "api_key");
    }
    let reply = owner.client.get("/api/v1/auth/api-key/validate").await;
    assert_error(&reply, 401, "Authentication required");
}

#[tokio::test]
async fn a_key_of_the_operator_has_any_form_and_no_user() {
    let client = shared().caller().key(SERVICE_KEY);
    let me = client.get(ME).await.expect(200).json();
    assert_eq!(me["auth_type"], "api_key");
    assert_eq!(me["user_id"], json!(null));
    assert_eq!(me["scopes"], json!(["reports:*"]));
    assert!(me["id"].is_string() && me["name"].is_string() && me["organization_id"].is_string());
    client.get("/echo/x").await.expect(200);
}

#[tokio::test]
async fn a_protected_path_is_passed_through_with_token_or_key() {
    let world = World::start("");
    let owner = world.owner().await;
    let key = owner.key(&[]).await;
    let keyed = world.caller().key(key["api_key"].as_str().unwrap());
    for client in [&owner.client, &keyed] {
        client.get("/echo/a").await.expect(200);
        let seen = world.upstream.seen().pop().unwrap();
        assert_eq!(
            seen.field("x-auth-subject").as_deref(),
            Some(&*owner.id),
            "{:?}",
            seen.fields()
        );
        assert_eq!(seen.field("x-auth-tenant").as_deref(), Some(&*owner.organization));
        assert_eq!(seen.field("authorization").or(seen.field("x-api-key")), None);
    }
    let reply = world.caller().get("/echo/a").await;
    assert_error(&reply, 401, "Authentication required");
}

#[tokio::test]
async fn health_and_metrics_are_open() {
    let world = shared();
    let health = world.caller().get("/health").await.expect(200).json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["service"], "inkpass");
    let metrics = world.caller().get("/metrics").await.expect(200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
}

#[tokio::test]
async fn me_and_check_are_not_limited() {
    let owner = shared().owner().await;
    for _ in 0..250 {
        owner.client.get(ME).await.expect(200);
    }
    assert!(owner.may("a", "b", json!({})).await);
}

#[tokio::test]
async fn every_other_refusal_has_the_shape_too() {
    let world = shared();
    let owner = world.owner().await;
    for (reply, status) in [
        (owner.client.get("/nowhere").await, 404),
        (owner.client.put(ME, json!({})).await, 405),
        (owner.client.post("/api/v1/groups", json!("x".repeat(70_000))).await, 413),
    ] {
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_error_shape(&reply);
    }
    let form = Some(("application/x-www-form-urlencoded", b"name=x".to_vec()));
    let reply = owner.client.send(reqwest::Method::POST, "/api/v1/groups", form).await;
    assert_error(&reply, 415, "Unsupported Media Type");
}
