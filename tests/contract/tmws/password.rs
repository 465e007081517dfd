//! Changing a password.

use serde_json::json;

use crate::support::tmws::{
    GOOD_PASSWORD, admin, assert_error, assert_error_shape, caller, login, make_key, refresh,
    shared, try_login, user,
};

const ME: &str = "/api/v1/users/me/password";
const NEW: &str = "Another-Horse-7-Staple";

#[tokio::test]
async fn a_change_ends_every_session_and_the_new_password_works() {
    let (person, client, tokens) = user(shared()).await;
    let other = login(&caller(shared()), &person.name, &person.password).await;
    let body = json!({"current_password": GOOD_PASSWORD, "new_password": NEW});
    let reply = client.put(ME, body).await.expect(200);
    assert!(!reply.str("message").is_empty());

    for token in [&tokens.access, &other.access] {
        let reply = caller(shared()).bearer(token).get("/api/v1/auth/me").await;
        assert_error(&reply, 401, "Could not validate credentials");
    }
    for token in [&tokens.refresh, &other.refresh] {
        refresh(&caller(shared()), token).await.expect(401);
    }
    let client = caller(shared());
    try_login(&client, &person.name, GOOD_PASSWORD).await.expect(401);
    try_login(&client, &person.name, NEW).await.expect(200);
}

#[tokio::test]
async fn the_path_with_the_own_id_is_the_same() {
    let (person, client, _) = user(shared()).await;
    let body = json!({"current_password": GOOD_PASSWORD, "new_password": NEW});
    client.put(&format!("/api/v1/users/{}/password", person.id), body).await.expect(200);
    try_login(&caller(shared()), &person.name, NEW).await.expect(200);
}

#[tokio::test]
async fn a_wrong_current_password_is_400_and_changes_nothing() {
    let (person, client, _) = user(shared()).await;
    let body = json!({"current_password": "wrong", "new_password": NEW});
    let reply = client.put(ME, body).await;
    assert_eq!(reply.status, 400, "not 401: clients would refresh and retry: {}", reply.text());
    assert_error_shape(&reply);
    client.get("/api/v1/auth/me").await.expect(200);
    try_login(&caller(shared()), &person.name, GOOD_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_weak_new_password_is_400() {
    let (_, client, _) = user(shared()).await;
    for weak in ["short", "no-upper-case-1!", "My-Password-Is-1"] {
        let body = json!({"current_password": GOOD_PASSWORD, "new_password": weak});
        let reply = client.put(ME, body).await;
        assert_eq!(reply.status, 400, "{weak}: {}", reply.text());
        assert_error_shape(&reply);
        assert!(!reply.text().contains(weak));
    }
    client.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn missing_fields_are_422() {
    let (_, client, _) = user(shared()).await;
    for body in [json!({}), json!({"current_password": "x"}), json!({"new_password": NEW})] {
        assert_error(&client.put(ME, body).await, 422, "Validation Error");
    }
}

#[tokio::test]
async fn another_user_is_403_whoever_asks() {
    let (victim, _, _) = user(shared()).await;
    let (_, client, _) = user(shared()).await;
    let body = json!({"current_password": GOOD_PASSWORD, "new_password": NEW});
    for client in [client, admin(shared()).await] {
        let path = format!("/api/v1/users/{}/password", victim.id);
        let reply = client.put(&path, body.clone()).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert_error_shape(&reply);
    }
    try_login(&caller(shared()), &victim.name, GOOD_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_key_cannot_change_a_password() {
    let (person, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "wide", "scopes": ["FULL"]})).await.json();
    let client = caller(shared()).key(made["api_key"].as_str().unwrap());
    let body = json!({"current_password": GOOD_PASSWORD, "new_password": NEW});
    let reply = client.put(ME, body).await;
    assert!(matches!(reply.status, 401 | 403), "{}: {}", reply.status, reply.text());
    try_login(&caller(shared()), &person.name, GOOD_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn guessing_the_current_password_is_limited() {
    let (_, client, _) = user(shared()).await;
    let mut last = 0;
    for _ in 0..30 {
        let body = json!({"current_password": "guess", "new_password": NEW});
        last = client.put(ME, body).await.status;
        if last != 400 {
            break;
        }
    }
    assert!(matches!(last, 423 | 429), "thirty guesses and still {last}");
}
