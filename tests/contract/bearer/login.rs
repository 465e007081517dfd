//! `POST /auth/jwt/login` and `/auth/jwt/logout`.

use reqwest::Method;
use serde_json::{Value, json};

use super::bench::{Bench, PASSWORD, assert_error_shape, claims, form, login, refused, token};
use crate::support::operate;

#[tokio::test]
async fn a_form_logs_in_and_json_does_not() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    let reply = login(&bench.caller(), &email, PASSWORD).await.expect(200);
    let body = reply.json();
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body.as_object().unwrap().len(), 2, "no refresh token: {body}");

    let oauth = format!(
        "grant_type=password&username={}&password={PASSWORD}&scope=&client_id=x&client_secret=y",
        email.replace('@', "%40").to_uppercase()
    );
    form(&bench.caller(), "/auth/jwt/login", &oauth).await.expect(200);

    let boundary = "XxX";
    let part = |name: &str, text: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let multipart =
        format!("{}{}--{boundary}--\r\n", part("username", &email), part("password", PASSWORD));
    let kind = format!("multipart/form-data; boundary={boundary}");
    let sent = Some((kind.as_str(), multipart.into_bytes()));
    bench.caller().send(Method::POST, "/auth/jwt/login", sent).await.expect(200);

    let json = json!({ "username": email, "password": PASSWORD });
    let reply = bench.caller().post("/auth/jwt/login", json).await;
    assert_eq!(reply.status, 422);
    assert_error_shape(&reply);
    let fields: Vec<_> = reply.json()["detail"].as_array().unwrap().clone();
    assert_eq!(fields[0]["loc"], json!(["body", "username"]));
    assert_eq!(fields[1]["loc"], json!(["body", "password"]));
    assert!(fields.iter().all(|it| it["type"] == "missing" && it["input"].is_null()));
}

#[tokio::test]
async fn plus_is_a_blank_and_percent_is_decoded() {
    let bench = Bench::start().await;
    let email = "a+b@example.com";
    let body = json!({ "email": email, "password": "one two+three" });
    bench.caller().post("/auth/register", body).await.expect(201);
    let text = "username=a%2Bb%40example.com&password=one+two%2Bthree";
    form(&bench.caller(), "/auth/jwt/login", text).await.expect(200);
}

#[tokio::test]
async fn wrong_passwords_unknown_and_inactive_users_are_refused_alike() {
    let bench = Bench::start().await;
    let (email, gone) = (bench.someone().await, bench.someone().await);
    operate::disable(&bench.gateway, &gone);
    for (name, password) in [
        (email.as_str(), "wrong"),
        ("nobody@example.com", PASSWORD),
        (gone.as_str(), PASSWORD),
        ("", ""),
    ] {
        let reply = login(&bench.caller(), name, password).await;
        refused(&reply, 400, "LOGIN_BAD_CREDENTIALS".into());
    }
}

#[tokio::test]
async fn a_flood_of_failures_meets_429_and_never_a_lock() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    let client = bench.caller();
    for _ in 0..10 {
        refused(&login(&client, &email, "wrong").await, 400, "LOGIN_BAD_CREDENTIALS".into());
    }
    refused(&login(&client, &email, PASSWORD).await, 429, "Rate limit exceeded".into());
    login(&bench.caller(), &email, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_login_may_need_a_proven_address() {
    let bench = Bench::with("[[realm]]\nname = \"main\"\nverified_email = true").await;
    let email = bench.someone().await;
    refused(&login(&bench.caller(), &email, PASSWORD).await, 400, "LOGIN_USER_NOT_VERIFIED".into());
    refused(&login(&bench.caller(), &email, "wrong").await, 400, "LOGIN_BAD_CREDENTIALS".into());
}

#[tokio::test]
async fn logout_really_revokes_and_says_nothing() {
    let bench = Bench::start().await;
    let (email, client) = bench.logged_in().await;
    let reply = client.send(Method::POST, "/auth/jwt/logout", None).await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    refused(&client.get("/users/me").await, 401, "Unauthorized".into());
    let reply = client.send(Method::POST, "/auth/jwt/logout", None).await;
    refused(&reply, 401, "Unauthorized".into());
    refused(
        &bench.caller().post("/auth/jwt/logout", Value::Null).await,
        401,
        "Unauthorized".into(),
    );

    // Others of the same account live on, and an empty body may call itself JSON.
    let other = bench.caller().bearer(&token(&bench.caller(), &email, PASSWORD).await);
    other.get("/users/me").await.expect(200);
    let empty = Some(("application/json", Vec::new()));
    other.send(Method::POST, "/auth/jwt/logout", empty).await.expect(204);
}

#[tokio::test]
async fn there_is_no_refresh() {
    let bench = Bench::start().await;
    let (_, client) = bench.logged_in().await;
    refused(&client.post("/auth/jwt/refresh", json!({})).await, 404, "Not Found".into());
    let reply = bench.caller().get("/auth/jwt/login").await;
    refused(&reply, 405, "Method Not Allowed".into());
    assert!(reply.header("allow").unwrap().contains("POST"));
}

#[tokio::test]
async fn the_token_is_the_librarys_with_what_revocation_needs() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    let text = token(&bench.caller(), &email, PASSWORD).await;
    let claims = claims(&text);
    assert_eq!(claims["aud"], json!(["fastapi-users:auth"]));
    assert!(uuid::Uuid::parse_str(claims["sub"].as_str().unwrap()).is_ok());
    let (issued, end) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!(end - issued, 3600);
    assert!(claims["jti"].is_string() && claims["iss"].is_string() && claims["sid"].is_string());
    assert!(claims.get("email").is_none(), "nothing personal: {claims}");
}
