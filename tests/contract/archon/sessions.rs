//! Refresh, logout, and the list of sessions.

use reqwest::Method;
use serde_json::{Value, json};

use super::shared;
use crate::support::archon::{PASSWORD, assert_error, caller, data, login, person, user};

#[tokio::test]
async fn a_refresh_takes_body_or_cookie_in_either_casing_and_leaves_the_token_good() {
    let gateway = &shared().gateway;
    let (_, _, own) = user(gateway, "user").await;
    let token = own["refresh_token"].as_str().unwrap();
    let client = caller(gateway);
    for body in [json!({ "refresh_token": token }), json!({ "refreshToken": token })] {
        let fresh = data(&client.post("/auth/refresh", body).await);
        assert_ne!(fresh["access_token"], own["access_token"]);
        assert_eq!(fresh["accessToken"], fresh["access_token"]);
        assert_eq!(
            (&fresh["token_type"], fresh["expires_in"].as_i64()),
            (&json!("Bearer"), Some(3600))
        );
        let me = client.bearer(fresh["access_token"].as_str().unwrap()).get("/users/me").await;
        assert_eq!(me.status, 200, "a fresh token works at once");
    }
    let browser = client.with("Cookie", &format!("theme=dark; refresh_token={token}"));
    data(&browser.call(Method::POST, "/auth/refresh", None).await);
    data(&browser.send(Method::POST, "/auth/refresh", Some(("application/json", vec![]))).await);
}

#[tokio::test]
async fn kinds_of_tokens_are_not_mixed_up() {
    let gateway = &shared().gateway;
    let (_, client, own) = user(gateway, "user").await;
    let access = own["access_token"].as_str().unwrap();
    let reply = caller(gateway).post("/auth/refresh", json!({ "refresh_token": access })).await;
    assert_error(&reply, 401, "AUTH_TOKEN_INVALID");
    let asked = json!({ "agent_type": "code_implementer", "capabilities_requested": [] });
    let agent = data(&client.post("/auth/agents/authenticate", asked).await);
    for token in [&own["refresh_token"], &agent["agent_token"]] {
        let reply = caller(gateway).bearer(token.as_str().unwrap()).get("/users/me").await;
        assert_error(&reply, 401, "AUTH_TOKEN_INVALID");
    }
    let reply = caller(gateway).call(Method::POST, "/auth/refresh", None).await;
    assert_error(&reply, 400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_logout_ends_the_session_and_takes_the_cookie() {
    let gateway = &shared().gateway;
    let (_, client, own) = user(gateway, "user").await;
    // As the Python SDK does it: the type is declared and the body is empty (trap 9).
    let reply = client.send(Method::POST, "/auth/logout", Some(("application/json", vec![]))).await;
    data(&reply);
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.starts_with("refresh_token=;") && cookie.contains("Max-Age=0"), "{cookie}");
    assert_error(&client.get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    let again = json!({ "refresh_token": own["refresh_token"] });
    assert_error(&caller(gateway).post("/auth/refresh", again).await, 401, "AUTH_TOKEN_INVALID");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    let client = caller(gateway);
    let body = json!({
        "email": email, "password": PASSWORD,
        "deviceInfo": { "deviceId": "d-1", "userAgent": "Browser", "location": "here", "myOwn": {"aB": 1} },
    });
    let first = data(&client.post("/auth/login", body).await);
    let second = login(&client, &email).await;
    let own = client.bearer(second["access_token"].as_str().unwrap());
    let list = data(&own.get("/users/me/sessions").await);
    let list = list.as_array().expect("an array, no object");
    assert_eq!(list.len(), 2);
    let found = list.iter().find(|one| one["session_id"] == first["session_id"]).unwrap();
    assert_eq!(found["sessionId"], found["session_id"]);
    assert_eq!((&found["is_active"], &found["isActive"]), (&json!(true), &json!(true)));
    for name in ["created_at", "last_accessed", "expires_at"] {
        assert!(found[name].as_str().unwrap().ends_with('Z'), "{name}");
    }
    assert_eq!(found["device_info"]["device_id"], "d-1");
    assert_eq!(found["deviceInfo"]["userAgent"], "Browser");
    assert_eq!(found["deviceInfo"]["myOwn"], json!({ "aB": 1 }), "the client's own map");
    let path = format!("/users/me/sessions/{}", first["session_id"].as_str().unwrap());
    let stranger = user(gateway, "user").await.1;
    assert_error(&stranger.delete(&path).await, 404, "SESSION_NOT_FOUND");
    data(&own.delete(&path).await);
    assert_error(&own.delete(&path).await, 404, "SESSION_NOT_FOUND");
    assert_error(&own.delete("/users/me/sessions/none").await, 404, "SESSION_NOT_FOUND");
    let gone = client.bearer(first["access_token"].as_str().unwrap());
    assert_error(&gone.get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    assert_eq!(own.get("/users/me").await.status, 200, "only that session");
}

#[tokio::test]
async fn all_other_sessions_can_be_ended_at_once() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    let client = caller(gateway);
    let others = [login(&client, &email).await, login(&client, &email).await];
    let own = login(&client, &email).await;
    let own = client.bearer(own["access_token"].as_str().unwrap());
    data(&own.call(Method::DELETE, "/users/me/sessions", Some(Value::Null)).await);
    for other in others {
        let other = client.bearer(other["access_token"].as_str().unwrap());
        assert_error(&other.get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    }
    assert_eq!(data(&own.get("/users/me/sessions").await).as_array().unwrap().len(), 1);
}
