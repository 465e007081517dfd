//! Proof of an address and reset of a password, by codes that come by mail.

use serde_json::json;

use super::shared;
use crate::support::{
    archon::{PASSWORD, assert_error, caller, code_for, data, login, mail_folder, try_login, user},
    tmws::fresh_name,
    wait::until,
};

async fn code(email: &str) -> String {
    let folder = mail_folder(&shared().gateway.places);
    until("the letter", || async { code_for(&folder, email) }).await
}

#[tokio::test]
async fn an_address_is_proven_by_the_code_of_the_registration() {
    let gateway = &shared().gateway;
    let client = caller(gateway);
    let email = format!("{}@example.org", fresh_name());
    let body =
        json!({ "email": email, "password": PASSWORD, "name": "New", "terms_accepted": true });
    client.post("/auth/register", body).await.expect(201);
    let bad = client.post("/auth/verify-email", json!({ "token": "nonsense" })).await;
    assert_error(&bad, 400, "VALIDATION_ERROR");
    let token = code(&email).await;
    data(&client.post("/auth/verify-email", json!({ "token": token })).await);
    assert_eq!(login(&client, &email).await["user"]["email_verified"], true);
    let again = client.post("/auth/verify-email", json!({ "token": token })).await;
    assert_error(&again, 400, "VALIDATION_ERROR");
    data(&client.post("/auth/resend-verification", json!({ "email": email })).await);
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_and_strangers_learn_nothing() {
    let gateway = &shared().gateway;
    let (email, session, _) = user(gateway, "user").await;
    let client = caller(gateway);
    let ask = |email: String| {
        let client = client.clone();
        async move { data(&client.post("/auth/password-reset", json!({ "email": email })).await) }
    };
    let known = ask(email.clone()).await;
    assert_eq!(known, ask("nobody@example.org".into()).await);
    let token = code(&email).await;
    let weak = json!({ "token": token, "newPassword": "weak" });
    let reply = client.post("/auth/password-reset/confirm", weak).await;
    assert_error(&reply, 400, "VALIDATION_ERROR");
    let good = json!({ "token": token, "new_password": "Another9Horse@" });
    data(&client.post("/auth/password-reset/confirm", good.clone()).await);
    let reply = client.post("/auth/password-reset/confirm", good).await;
    assert_error(&reply, 400, "VALIDATION_ERROR");
    assert_error(&session.get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    assert_eq!(try_login(&client, &email, "Another9Horse@").await.status, 200);
    // Three an hour for one address; which, does not matter.
    for _ in 0..2 {
        ask(email.clone()).await;
    }
    let body = json!({ "email": email });
    let reply = client.post("/auth/password-reset", body).await;
    assert_error(&reply, 429, "RATE_LIMIT_EXCEEDED");
}
