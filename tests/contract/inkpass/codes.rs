//! `verify-email`, `resend-verification`, `forgot-password`, `reset-password`.

use serde_json::json;

use crate::support::inkpass::{PASSWORD, assert_error, assert_invalid, fresh_email, login, shared};

const VERIFY: &str = "/api/v1/auth/verify-email";
const RESEND: &str = "/api/v1/auth/resend-verification";
const FORGOT: &str = "/api/v1/auth/forgot-password";
const RESET: &str = "/api/v1/auth/reset-password";

#[tokio::test]
async fn the_code_of_the_registration_proves_the_address() {
    let world = shared();
    let owner = world.owner().await;
    let code = world.code(&owner.email, &[]).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let bad = "Invalid or expired verification code";
    for (email, code) in [(&*owner.email, wrong), ("nobody@example.org", &*code)] {
        let reply = world.caller().post(VERIFY, json!({"email": email, "code": code})).await;
        assert_error(&reply, 400, bad);
    }
    let right = json!({"email": owner.email.to_lowercase(), "code": code});
    let reply = world.caller().post(VERIFY, right.clone()).await.expect(200);
    assert_eq!(reply.str("message"), "Email verified successfully");
    assert_error(&world.caller().post(VERIFY, right).await, 400, bad);
    let reply = world.caller().post(VERIFY, json!({"email": owner.email})).await;
    assert_invalid(&reply, &["body", "code"]);
}

#[tokio::test]
async fn a_new_code_makes_the_old_one_void_and_nobody_learns_who_is_there() {
    let world = shared();
    let owner = world.owner().await;
    let old = world.code(&owner.email, &[]).await;
    let known = world.caller().post(RESEND, json!({"email": owner.email})).await.expect(200);
    let unknown = world.caller().post(RESEND, json!({"email": fresh_email()})).await.expect(200);
    assert_eq!(known.text(), unknown.text());
    let new = world.code(&owner.email, std::slice::from_ref(&old)).await;
    let with = |code: &str| json!({"email": owner.email, "code": code});
    let reply = world.caller().post(VERIFY, with(&old)).await;
    assert_error(&reply, 400, "Invalid or expired verification code");
    world.caller().post(VERIFY, with(&new)).await.expect(200);
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_and_every_session_ends() {
    let world = shared();
    let owner = world.owner().await;
    let first = world.code(&owner.email, &[]).await;
    let known = world.caller().post(FORGOT, json!({"email": owner.email})).await.expect(200);
    let unknown = world.caller().post(FORGOT, json!({"email": fresh_email()})).await.expect(200);
    assert_eq!(known.text(), unknown.text());
    let code = world.code(&owner.email, &[first]).await;
    let with =
        |code: &str, new: &str| json!({"email": owner.email, "code": code, "new_password": new});
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let reply = world.caller().post(RESET, with(wrong, "another_password")).await;
    assert_error(&reply, 400, "Invalid or expired reset code");
    let weak = world.caller().post(RESET, with(&code, "short")).await;
    assert_eq!(weak.status, 400, "{}", weak.text());
    assert!(weak.str("detail").contains("at least 8"), "{}", weak.text());
    world.caller().post(RESET, with(&code, "another_password")).await.expect(200);
    let again = world.caller().post(RESET, with(&code, "a_third_password")).await;
    assert_error(&again, 400, "Invalid or expired reset code");

    let reply = owner.client.get("/api/v1/auth/me").await;
    assert_error(&reply, 401, "Authentication required");
    assert_eq!(login(&world.caller(), &owner.email).await.status, 401, "{PASSWORD} is the old one");
    let body = json!({"email": owner.email, "password": "another_password"});
    world.caller().post("/api/v1/auth/login", body).await.expect(200);
}
