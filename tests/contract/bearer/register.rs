//! `POST /auth/register`.

use serde_json::json;

use super::bench::{Bench, PASSWORD, assert_error_shape, login, refused};
use crate::support::tmws::fresh_name;

#[tokio::test]
async fn a_stranger_becomes_a_user_whatever_the_flags_say() {
    let bench = Bench::start().await;
    let email = format!("{}@example.com", fresh_name());
    let body = json!({
        "email": email, "password": PASSWORD,
        "is_active": false, "is_superuser": true, "is_verified": true, "nickname": "x",
    });
    let made = bench.caller().post("/auth/register", body).await.expect(201).json();
    assert!(uuid::Uuid::parse_str(made["id"].as_str().unwrap()).is_ok());
    let wanted = json!({
        "id": made["id"], "email": email,
        "is_active": true, "is_superuser": false, "is_verified": false,
    });
    assert_eq!(made, wanted);
    login(&bench.caller(), &email.to_uppercase(), PASSWORD).await.expect(200);
    assert!(bench.mail.letters().is_empty(), "the library sends nothing by itself");
}

#[tokio::test]
async fn taken_addresses_weak_passwords_and_missing_fields_are_told() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    let register = async |body| bench.caller().post("/auth/register", body).await;
    let again = register(json!({ "email": email.to_uppercase(), "password": PASSWORD })).await;
    refused(&again, 400, "REGISTER_USER_ALREADY_EXISTS".into());

    let weak = register(json!({ "email": "x@example.com", "password": "short" })).await;
    assert_eq!(weak.status, 400);
    assert_error_shape(&weak);
    let detail = &weak.json()["detail"];
    assert_eq!(detail["code"], "REGISTER_INVALID_PASSWORD");
    assert!(detail["reason"].as_str().is_some_and(|reason| reason.contains('8')), "{detail}");

    for body in [json!({}), json!({ "email": "no address", "password": PASSWORD })] {
        let reply = register(body).await;
        assert_eq!(reply.status, 422, "{}", reply.text());
        assert_error_shape(&reply);
        assert_eq!(reply.json()["detail"][0]["loc"], json!(["body", "email"]));
    }
}

#[tokio::test]
async fn a_closed_realm_lets_nobody_in() {
    let bench = Bench::with("[[realm]]\nname = \"main\"\nregistration = false").await;
    let body = json!({ "email": "x@example.com", "password": PASSWORD });
    refused(&bench.caller().post("/auth/register", body).await, 403, "Forbidden".into());
}
