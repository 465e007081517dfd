//! Login, refresh, logout.

use super::*;

#[tokio::test]
async fn login_gives_tokens_and_the_user() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    for name in ["alice", "alice@example.org"] {
        let reply = kit.login(name, PASSWORD).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.body["expires_in"], json!(3600));
        assert_eq!(reply.text("token_type"), "bearer");
        assert_eq!(reply.text("access_token").split('.').count(), 3);
        assert!(reply.text("refresh_token").contains('.'));
        assert_eq!(
            reply.body["user"],
            json!({
                "id": account.id.as_str(), "username": "alice", "email": "alice@example.org",
                "roles": ["USER"], "agent_namespace": null,
            })
        );
        assert_eq!(reply.verdict().subject.as_deref(), Some(account.id.as_str()));
    }
}

#[tokio::test]
async fn unknown_names_and_wrong_passwords_look_alike_until_the_fifth_locks() {
    let kit = Kit::open().await;
    kit.account("alice", "USER").await;
    for name in ["alice", "nobody"] {
        for _ in 0..4 {
            refused(&kit.login(name, "wrong").await, 401, "Invalid credentials");
        }
        let locked = kit.login(name, "wrong").await;
        refused(&locked, 423, "Account is locked");
        let after: u64 = locked.header("retry-after").unwrap().parse().unwrap();
        assert!((1700..=1800).contains(&after));
        // Even the right password, and the next attempt.
        refused(&kit.login(name, PASSWORD).await, 423, "Account is locked");
    }
}

#[tokio::test]
async fn a_disabled_account_is_told_only_after_the_right_password() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    let by = Actor::operator();
    kit.identity.set_enabled(&realm(), &account.id, false, &by).await.unwrap();
    refused(&kit.login("alice", "wrong").await, 401, "Invalid credentials");
    refused(&kit.login("alice", PASSWORD).await, 403, "Account is disabled");
}

#[tokio::test]
async fn refresh_rotates_and_a_dead_token_is_exactly_401() {
    let kit = Kit::open().await;
    kit.account("alice", "USER").await;
    let login = kit.login("alice", PASSWORD).await;
    let body = json!({ "refresh_token": login.text("refresh_token") }).to_string();
    let reply = kit.ask(None, Method::POST, "/api/v1/auth/refresh", body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_ne!(reply.text("refresh_token"), login.text("refresh_token"));
    assert_ne!(reply.text("access_token"), login.text("access_token"));
    assert_eq!(reply.body["expires_in"], json!(3600));
    assert!(reply.body.get("user").is_none());
    for odd in ["", "x", "a.b"] {
        let body = json!({ "refresh_token": odd }).to_string();
        let reply = kit.ask(None, Method::POST, "/api/v1/auth/refresh", body).await;
        refused(&reply, 401, "Invalid or expired refresh token");
    }
    let reply = kit.ask(None, Method::POST, "/api/v1/auth/refresh", "{}").await;
    refused(&reply, 422, "Validation Error");
}

#[tokio::test]
async fn logout_answers_with_a_body_also_for_an_unknown_refresh_token() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    let login = kit.login("alice", PASSWORD).await;
    let who = caller(&account);
    let token = login.text("refresh_token");
    for body in [String::new(), json!({ "refresh_token": "un.known" }).to_string()] {
        let reply = kit.ask(Some(&who), Method::POST, "/api/v1/auth/logout", body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(!reply.text("message").is_empty());
    }
    let body = json!({ "refresh_token": token }).to_string();
    let reply = kit.ask(Some(&who), Method::POST, "/api/v1/auth/logout", body.clone()).await;
    assert_eq!(reply.status, 200);
    let reply = kit.ask(None, Method::POST, "/api/v1/auth/refresh", body).await;
    refused(&reply, 401, "Invalid or expired refresh token");
}

#[tokio::test]
async fn too_many_failed_logins_are_429_with_the_limit_told_to_the_edge() {
    let kit = Kit::open().await;
    // Different names from one address: none of them locks. The limit refills while we ask, but slower than we ask.
    let mut last = kit.login("n", "x").await;
    for n in 0..1000 {
        if last.status == 429 {
            break;
        }
        last = kit.login(&format!("n{n}"), "x").await;
    }
    refused(&last, 429, "Rate limit exceeded");
    let after: u64 = last.header("retry-after").unwrap().parse().unwrap();
    assert!(after >= 1);
    assert_eq!(last.body["retry_after"], json!(after));
    let toll = last.verdict().toll.unwrap();
    assert_eq!((toll.limit, toll.remaining), (100, 0));
    assert_eq!(toll.window_ms, Duration::from_secs(60).as_millis() as u64);
}
