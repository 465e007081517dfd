//! The end of a session: by the person, and by the provider through the back channel, with everything open under it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    browser::{Browser, location, parameter},
    pages::open_socket,
    provider::{CLIENT, Mood},
    rig::{Rig, SESSION},
};
use crate::support::{
    client::Client,
    signer::now,
    wire::{self, Reply},
};

async fn tell(rig: &Rig, token: &str) -> Reply {
    let body = format!("logout_token={token}");
    let body = ("application/x-www-form-urlencoded", body.into_bytes());
    Client::at(&rig.gateway.url()).send(Method::POST, "/oidc/backchannel-logout", Some(body)).await
}

async fn with_sid(rig: &Rig, sub: &str, sid: &str) -> Browser {
    let browser = rig.browser();
    rig.log_in(&browser, json!({ "sub": sub, "sid": sid })).await.expect(303);
    browser
}

// requirement: 30
#[tokio::test]
async fn who_logs_out_is_out_here_and_is_sent_to_log_out_there() {
    let rig = Rig::with(r#"accounts = "create", after_logout = "/bye""#);
    let browser = rig.logged_in("ada").await;
    let (name, secret) = browser.cookie(SESSION).unwrap();
    let next = location(&browser.submit("/oidc/logout").await.expect(303));
    assert!(next.starts_with(&format!("{}/logout?", rig.provider.issuer())), "{next}");
    assert_eq!(parameter(&next, "client_id"), CLIENT);
    assert_eq!(parameter(&next, "post_logout_redirect_uri"), format!("{}/bye", rig.gateway.url()));
    assert!(!next.contains("id_token_hint"), "addresses end up in logs");
    assert!(browser.cookie(SESSION).is_none());
    browser.set(&name, &secret);
    assert!(!rig.is_in(&browser).await, "it has ended here, not only in the browser");
    // Who has no session goes home; a program is told in words.
    assert_eq!(location(&browser.submit("/oidc/logout").await.expect(303)), "/bye");
    let browser = rig.logged_in("ada").await;
    let told = browser.script(Method::POST, "/oidc/logout").await.expect(200).json();
    assert!(told["next"].as_str().unwrap().contains("/logout?"));
    assert!(!rig.is_in(&browser).await);
}

#[tokio::test]
async fn nobody_else_can_log_people_out() {
    let rig = Rig::creating();
    let browser = rig.logged_in("ada").await;
    for fields in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
    ] {
        browser.send(Method::POST, "/oidc/logout", fields, None).await.expect(403);
    }
    browser.go("/oidc/logout").await.expect(405);
    assert!(rig.is_in(&browser).await);
}

#[tokio::test]
async fn the_provider_ends_one_session_or_all_of_a_person() {
    let rig = Rig::creating();
    let (desk, phone) = (with_sid(&rig, "ada", "s1").await, with_sid(&rig, "ada", "s2").await);
    let bob = with_sid(&rig, "bob", "s3").await;
    let reply = tell(&rig, &rig.provider.logout_token(&json!({ "sid": "s1" }))).await.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(!rig.is_in(&desk).await && rig.is_in(&phone).await && rig.is_in(&bob).await);
    // A session of somebody else is not ended by a token that names another person.
    tell(&rig, &rig.provider.logout_token(&json!({ "sid": "s3", "sub": "ada" }))).await.expect(200);
    assert!(rig.is_in(&bob).await);
    let desk = with_sid(&rig, "ada", "s4").await;
    tell(&rig, &rig.provider.logout_token(&json!({ "sub": "ada" }))).await.expect(200);
    assert!(!rig.is_in(&desk).await && !rig.is_in(&phone).await && rig.is_in(&bob).await);
    // Nobody is logged in any more: that is what was wanted.
    tell(&rig, &rig.provider.logout_token(&json!({ "sub": "ada", "jti": "another" })))
        .await
        .expect(200);
}

#[tokio::test]
async fn what_is_open_ends_within_a_second_of_a_logout() {
    let rig = Rig::creating();
    let own = rig.gateway.url();
    for by_provider in [true, false] {
        let browser = with_sid(&rig, "ada", if by_provider { "s1" } else { "s2" }).await;
        let other = with_sid(&rig, "bob", "s9").await;
        let (mut socket, status) = open_socket(&rig, &browser, Some(&own)).await;
        assert_eq!(status, 101);
        let (mut bobs, _) = open_socket(&rig, &other, Some(&own)).await;
        let mut events = wire::connect(rig.gateway.address()).await;
        let (host, cookies) = (rig.gateway.address(), browser.cookies().unwrap());
        events
            .send(format!("GET /events/e HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n"))
            .await;
        assert_eq!(events.chunk_after_head().await, b"data:1");
        if by_provider {
            tell(&rig, &rig.provider.logout_token(&json!({ "sid": "s1" }))).await.expect(200);
        } else {
            browser.submit("/oidc/logout").await.expect(303);
        }
        let limit = Duration::from_secs(5);
        let cut = tokio::time::timeout(limit, events.chunk()).await.expect("it ends");
        assert_eq!(cut, None, "it is cut, not complete");
        // The close frame says why, then the connection ends.
        assert!(tokio::time::timeout(limit, socket.second_reply()).await.is_ok(), "it ends");
        assert!(!bobs.closes_within(Duration::from_millis(300)).await, "another one's goes on");
    }
}

#[tokio::test]
async fn what_is_no_logout_token_logs_nobody_out() {
    let rig = Rig::creating();
    let browser = with_sid(&rig, "ada", "s1").await;
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let whole = json!({ "sub": "ada", "sid": "s1" });
    let with = |more: Value| {
        let mut all = whole.clone();
        super::provider::merge(&mut all, &json!({}));
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        rig.provider.logout_token(&all)
    };
    let claims = json!({
        "iss": rig.provider.issuer(), "aud": CLIENT, "sub": "ada", "iat": now(), "exp": now() + 60,
        "jti": "j", "scope": "openid",
    });
    let header = |kind: &str| json!({ "alg": "RS256", "kid": "k1", "typ": kind });
    let other = crate::support::signer::Signer::rsa("k1", "RS256");
    let mut forged = claims.clone();
    forged["events"] = json!({ event: {} });
    for (what, token) in [
        ("a nonce", with(json!({ "nonce": "n" }))),
        ("another audience", with(json!({ "aud": "other" }))),
        ("another issuer", with(json!({ "iss": "https://evil.example" }))),
        ("no event", with(json!({ "events": {} }))),
        ("expired", with(json!({ "exp": now() - 60 }))),
        ("no end", with(json!({ "exp": null }))),
        ("no jti", with(json!({ "jti": null }))),
        ("nobody", with(json!({ "sub": null, "sid": null }))),
        ("an access token", rig.provider.sign(&header("at+jwt"), &claims)),
        ("an id token", rig.provider.sign(&header("JWT"), &claims)),
        ("another key", other.sign_as(&header("logout+jwt"), &forged)),
        ("no token", "abc".to_owned()),
        ("nothing", String::new()),
    ] {
        let reply = tell(&rig, &token).await;
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
        assert!(rig.is_in(&browser).await, "{what}");
    }
    // Once is once: who has read it along cannot log the person out again.
    let token = rig.provider.logout_token(&whole);
    tell(&rig, &token).await.expect(200);
    assert!(!rig.is_in(&browser).await);
    let browser = with_sid(&rig, "ada", "s1").await;
    tell(&rig, &token).await.expect(400);
    assert!(rig.is_in(&browser).await);
    // As a credential it is nothing.
    let client = Client::at(&rig.gateway.url()).bearer(&token);
    client.get("/api/v1/tasks/1").await.expect(401);
}

#[tokio::test]
async fn logging_out_here_does_not_wait_for_a_provider_that_is_away() {
    let rig = Rig::creating();
    let browser = rig.logged_in("ada").await;
    for set in [Mood::Down, Mood::Hanging] {
        rig.provider.discovery(set);
        rig.provider.keys(set);
    }
    browser.submit("/oidc/logout").await.expect(303);
    assert!(!rig.is_in(&browser).await);
}
