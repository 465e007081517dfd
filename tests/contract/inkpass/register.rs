//! `POST /api/v1/auth/register`.

use serde_json::json;

use crate::support::inkpass::{PASSWORD, assert_error, assert_invalid, fresh_email, login, shared};

const PATH: &str = "/api/v1/auth/register";

#[tokio::test]
async fn a_registration_answers_201_and_the_account_logs_in_at_once() {
    let world = shared();
    let email = fresh_email();
    let body = json!({"email": email, "password": PASSWORD, "organization_name": "My Company"});
    let made = world.caller().post(PATH, body).await.expect(201);
    assert!(uuid::Uuid::parse_str(&made.str("user_id")).is_ok());
    assert!(uuid::Uuid::parse_str(&made.str("organization_id")).is_ok());
    assert_eq!(made.str("email"), email);
    assert_eq!(made.str("status"), "active");
    assert!(!made.str("message").is_empty());
    login(&world.caller(), &email.to_lowercase()).await.expect(200);
}

#[tokio::test]
async fn an_organisation_is_always_made_and_its_slug_is_unique() {
    let world = shared();
    let mut slugs = Vec::new();
    for more in [
        json!({"organization_name": "Same Name"}),
        json!({"organization_name": "Same Name"}),
        json!({"first_name": "Ada", "last_name": "Lovelace"}),
        json!({}),
        json!({"organization_name": null, "unknown": [1]}),
    ] {
        let email = fresh_email();
        let mut body = json!({"email": email, "password": PASSWORD});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = world.caller().post(PATH, body).await.expect(201);
        let token = login(&world.caller(), &email).await.expect(200).str("access_token");
        let client = world.caller().bearer(&token);
        let list = client.get("/api/v1/organizations").await.expect(200).json();
        assert_eq!(list[0]["id"], made.str("organization_id"));
        slugs.push(list[0]["slug"].as_str().unwrap().to_owned());
        let name = list[0]["name"].as_str().unwrap();
        if more.get("first_name").is_some() {
            assert_eq!(name, "Ada's Organization");
        }
        if more == json!({}) {
            assert_eq!(name, "Example Organization");
        }
    }
    let mut unique = slugs.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), slugs.len(), "{slugs:?}");
    assert!(slugs[0].starts_with("same-name"), "{slugs:?}");
}

#[tokio::test]
async fn a_taken_address_and_a_weak_password_look_the_same() {
    let world = shared();
    let email = fresh_email();
    let body = json!({"email": email, "password": PASSWORD});
    world.caller().post(PATH, body).await.expect(201);
    for (email, password) in [
        (email.to_uppercase(), "another_password"),
        (fresh_email(), "short"),
        (fresh_email(), "1234567"),
    ] {
        let body = json!({"email": email, "password": password});
        let reply = world.caller().post(PATH, body).await;
        assert_error(&reply, 400, "Registration could not be completed");
    }
    for password in ["12345678", "password", "пароль12"] {
        let body = json!({"email": fresh_email(), "password": password});
        world.caller().post(PATH, body).await.expect(201);
    }
}

#[tokio::test]
async fn fields_that_do_not_fit_are_422_with_their_place() {
    let world = shared();
    for (body, place) in [
        (json!({"password": PASSWORD}), "email"),
        (json!({"email": fresh_email()}), "password"),
        (json!({"email": "nobody", "password": PASSWORD}), "email"),
        (json!({"email": 5, "password": PASSWORD}), "email"),
        (json!({"email": fresh_email(), "password": PASSWORD, "first_name": "A"}), "first_name"),
        (
            json!({"email": fresh_email(), "password": PASSWORD, "last_name": "x".repeat(51)}),
            "last_name",
        ),
        (
            json!({"email": fresh_email(), "password": PASSWORD, "organization_name": "x"}),
            "organization_name",
        ),
    ] {
        let reply = world.caller().post(PATH, body).await;
        assert_invalid(&reply, &["body", place]);
    }
    let reply = world
        .caller()
        .send(reqwest::Method::POST, PATH, Some(("application/json", b"{".to_vec())))
        .await;
    assert_invalid(&reply, &["body"]);
}

/// Trap 8.
#[tokio::test]
async fn a_key_sent_along_is_not_looked_at() {
    let world = shared();
    let email = fresh_email();
    let client = world.caller().key("unknown-service-key");
    client.post(PATH, json!({"email": email, "password": PASSWORD})).await.expect(201);
    login(&client, &email).await.expect(200);
}

#[tokio::test]
async fn the_fourth_registration_of_a_minute_is_429() {
    let world = shared();
    let client = world.caller();
    for _ in 0..3 {
        let body = json!({"email": fresh_email(), "password": PASSWORD});
        client.post(PATH, body).await.expect(201);
    }
    let body = json!({"email": fresh_email(), "password": PASSWORD});
    let reply = client.post(PATH, body).await;
    assert_error(&reply, 429, "Rate limit exceeded: 3 requests per 60 seconds");
    let wait: u64 = reply.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!(wait >= 1);
}
