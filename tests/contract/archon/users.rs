//! Registration, the own profile, the own password.

use serde_json::json;

use super::shared;
use crate::support::{
    archon::{PASSWORD, assert_error, caller, data, login, person, try_login, user},
    operate,
    tmws::fresh_name,
};

#[tokio::test]
async fn a_registration_gives_201_and_both_casings() {
    let gateway = &shared().gateway;
    let client = caller(gateway);
    let email = format!("{}@example.org", fresh_name());
    let body = json!({
        "email": email, "password": PASSWORD, "name": "New One", "termsAccepted": true,
        "marketingConsent": false,
    });
    let reply = client.post("/auth/register", body.clone()).await.expect(201);
    let made = data(&reply);
    assert_eq!(made["email"], email);
    assert_eq!(
        (&made["email_verification_sent"], &made["emailVerificationSent"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(made["user_id"], made["userId"]);
    assert_error(&client.post("/auth/register", body).await, 409, "USER_ALREADY_EXISTS");
    let own = login(&client, &email).await;
    assert_eq!(own["user"]["roles"], json!(["user"]));
    assert_eq!(own["user"]["id"], made["user_id"]);
    assert_eq!(own["user"]["email_verified"], false);
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_told_by_field() {
    let gateway = &shared().gateway;
    let good = json!({
        "email": format!("{}@example.org", fresh_name()), "password": PASSWORD, "name": "Ada",
        "terms_accepted": true,
    });
    for (field, value) in [
        ("email", json!("nonsense")),
        ("password", json!("weak")),
        ("password", json!("alllowercase1@")),
        ("password", json!("NoSymbol123")),
        // Only the characters that the contract lists.
        ("password", json!("Abcdef1!#")),
        ("password", json!("Abcdef1! ")),
        ("password", json!("Abcdef1!ü")),
        ("name", json!("A")),
        ("name", json!("x".repeat(101))),
        ("terms_accepted", json!(false)),
        ("terms_accepted", json!(null)),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let reply = caller(gateway).post("/auth/register", body).await;
        assert_error(&reply, 400, "VALIDATION_ERROR");
        let details = &reply.json()["error"]["details"];
        assert!(details[field].is_string(), "{field} {value}: {details}");
    }
}

#[tokio::test]
async fn the_own_profile_is_read_and_changed() {
    let gateway = &shared().gateway;
    let (email, client, _) = user(gateway, "user").await;
    let me = data(&client.get("/users/me").await);
    assert_eq!((&me["email"], &me["name"]), (&json!(email), &json!("Ada Lovelace")));
    assert_eq!(me["createdAt"], me["created_at"]);
    let free = json!({ "darkMode": true, "is_active": "mine", "deep": { "user_id": 1 } });
    let changed =
        data(&client.put("/users/me", json!({ "name": "Augusta", "preferences": free })).await);
    assert_eq!(changed["name"], "Augusta");
    assert_eq!(changed["preferences"], free, "a free map is never spelled anew");
    assert_eq!(data(&client.get("/users/me").await)["preferences"], free);
    let python = client.with("User-Agent", "ArchonAuthClient-Python/2.0.0");
    let strict = data(&python.put("/users/me", json!({ "name": "Ada" })).await);
    let mut keys: Vec<_> = strict.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(
        keys,
        ["created_at", "email", "email_verified", "id", "is_active", "last_login", "name", "roles"]
    );
    assert_error(&client.put("/users/me", json!({ "name": "x" })).await, 400, "VALIDATION_ERROR");
    assert_error(&caller(gateway).get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    let basic = caller(gateway).with("Authorization", "Basic YTpi");
    assert_error(&basic.get("/users/me").await, 401, "AUTH_INVALID_TOKEN");
}

#[tokio::test]
async fn a_password_change_ends_the_other_sessions_and_keeps_this_one() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    let client = caller(gateway);
    let (one, two) = (login(&client, &email).await, login(&client, &email).await);
    let own = client.bearer(one["access_token"].as_str().unwrap());
    let other = client.bearer(two["access_token"].as_str().unwrap());
    let change =
        |current: &str, new: &str| json!({ "currentPassword": current, "newPassword": new });
    let reply = own.put("/users/me/password", change("wrong", "Another9Horse@")).await;
    assert_error(&reply, 400, "VALIDATION_ERROR");
    assert!(reply.json()["error"]["details"]["current_password"].is_string());
    let reply = own.put("/users/me/password", change(PASSWORD, "weak")).await;
    assert_error(&reply, 400, "VALIDATION_ERROR");
    data(&own.put("/users/me/password", change(PASSWORD, "Another9Horse@")).await);
    assert_eq!(own.get("/users/me").await.status, 200);
    assert_error(&other.get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    let body = json!({ "refresh_token": one["refresh_token"] });
    assert_eq!(client.post("/auth/refresh", body).await.status, 200, "this session's stays");
    assert_eq!(try_login(&client, &email, "Another9Horse@").await.status, 200);
}

#[tokio::test]
async fn a_weak_new_password_is_told_of_the_field_it_stands_in() {
    let (_, client, _) = user(&shared().gateway, "user").await;
    let change = json!({ "current_password": PASSWORD, "new_password": "weak" });
    let reply = client.put("/users/me/password", change).await;
    assert_error(&reply, 400, "VALIDATION_ERROR");
    let details = reply.json()["error"]["details"].clone();
    assert!(details["new_password"].is_string() && details.get("password").is_none(), "{details}");
}

#[tokio::test]
async fn an_account_made_without_a_password_gets_one_that_meets_the_rule() {
    let gateway = &shared().gateway;
    let email = format!("{}@example.org", fresh_name());
    let body = json!({ "realm": "main", "email": email });
    let made = operate::call(gateway, "POST", "/v1/users", body).expect(201).json();
    let password = made["generated_password"].as_str().unwrap();
    data(&try_login(&caller(gateway), &email, password).await);
}
