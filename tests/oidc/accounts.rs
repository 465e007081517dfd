//! Which account a person is, and what the operator does with it.

use serde_json::{Value, json};

use super::rig::{Rig, SESSION};
use crate::support::{
    operate,
    tmws::{self, GOOD_PASSWORD},
    wait::until,
};

// requirement: 34
#[tokio::test]
async fn only_accounts_that_are_joined_come_in_and_unlinking_ends_their_sessions() {
    let rig = Rig::with("");
    let (browser, issuer) = (rig.browser(), rig.provider.issuer());
    operate::add_user(&rig.gateway, "ada", &["USER"]);
    let reply = rig.log_in(&browser, json!({ "sub": "u1" })).await.expect(403);
    assert!(reply.text().contains("account_not_linked") && browser.cookie(SESSION).is_none());

    let link = ["user", "link", "ada", "--issuer", &issuer, "--sub", "u1"];
    rig.gateway.cli_ok(&link);
    rig.gateway.cli_ok(&link);
    let shown = rig.gateway.cli_json(&["user", "links", "ada"]);
    assert_eq!(shown["links"][0]["issuer"], issuer.as_str());
    assert_eq!(shown["links"][0]["sub"], "u1");
    let browser = rig.logged_in("u1").await;
    browser.script(reqwest::Method::GET, "/data/x").await.expect(200);
    assert_eq!(rig.seen("/data/x").field("x-auth-username").as_deref(), Some("ada"));
    // The same person at another provider is another person, and one person is one account's.
    operate::add_user(&rig.gateway, "eve", &["USER"]);
    let path = "/v1/users/eve/link";
    operate::call(&rig.gateway, "POST", path, json!({ "issuer": issuer, "sub": "u1" })).expect(409);
    operate::call(&rig.gateway, "POST", path, json!({ "issuer": "a b", "sub": "" })).expect(422);
    rig.gateway.cli_ok(&["user", "link", "eve", "--issuer", "https://evil.example", "--sub", "u2"]);
    rig.log_in(&rig.browser(), json!({ "sub": "u2" })).await.expect(403);

    rig.gateway.cli_ok(&["user", "unlink", "ada", "--issuer", &issuer, "--sub", "u1"]);
    assert!(!rig.is_in(&browser).await);
    rig.log_in(&rig.browser(), json!({ "sub": "u1" })).await.expect(403);
    let events = rig.gateway.cli_json(&["audit", "tail"])["events"].to_string();
    for event in ["ACCOUNT_LINKED", "ACCOUNT_UNLINKED", "LOGIN_SUCCESS", "LOGIN_FAILED"] {
        assert!(events.contains(event), "{event}: {events}");
    }
}

// requirement: 34
#[tokio::test]
async fn an_address_that_is_not_proven_on_both_sides_joins_nobody() {
    let rig = Rig::with("join_by_email = true");
    operate::add_user(&rig.gateway, "ada", &["USER"]);
    let said = |verified: Value| json!({ "sub": "u1", "email": "ada@example.org", "email_verified": verified });
    for (what, claims) in [
        ("not verified there", said(false.into())),
        ("verified as a text", said("true".into())),
        ("nothing said", json!({ "sub": "u1", "email": "ada@example.org" })),
        ("not proven here", said(true.into())),
    ] {
        let reply = rig.log_in(&rig.browser(), claims).await;
        assert_eq!(reply.status, 403, "{what}");
    }
    assert_eq!(rig.gateway.cli_json(&["user", "links", "ada"])["links"], json!([]));
}

// requirement: 32
#[tokio::test]
async fn a_session_is_listed_and_ends_like_any_other() {
    let rig = Rig::creating();
    let ada = rig.logged_in("ada").await;
    let other = rig.logged_in("bob").await;
    let sessions = rig.gateway.cli_json(&["session", "list"])["sessions"].clone();
    let of = |name: &str| {
        let all = sessions.as_array().unwrap();
        let found = all.iter().find(|one| one.to_string().contains(name)).expect("it is listed");
        found["id"].as_str().unwrap().to_owned()
    };
    assert!(!sessions.to_string().contains(&ada.cookie(SESSION).unwrap().1));
    rig.gateway.cli_ok(&["session", "end", &of("oidc:ada")]);
    assert!(!rig.is_in(&ada).await && rig.is_in(&other).await);

    let ada = rig.logged_in("ada").await;
    rig.gateway.cli_ok(&["user", "disable", "oidc:ada"]);
    assert!(!rig.is_in(&ada).await);
    let reply = rig.log_in(&rig.browser(), json!({ "sub": "ada" })).await.expect(403);
    assert!(reply.text().contains("account_disabled"));
    rig.gateway.cli_ok(&["user", "enable", "oidc:ada"]);
    let ada = rig.logged_in("ada").await;
    rig.gateway.cli_ok(&["user", "roles", "oidc:ada", "READONLY"]);
    assert!(!rig.is_in(&ada).await, "other roles, another login");
    let ada = rig.logged_in("ada").await;
    rig.gateway.cli_ok(&["user", "passwd", "oidc:ada"]);
    assert!(!rig.is_in(&ada).await);
    assert!(rig.is_in(&other).await);
}

#[tokio::test]
async fn a_session_outlives_a_reload_and_the_password_login_beside_it_goes_on() {
    let rig = Rig::creating();
    operate::add_user(&rig.gateway, "root", &["USER"]);
    let client = tmws::caller(&rig.gateway);
    let tokens = tmws::login(&client, "root", GOOD_PASSWORD).await;
    client.bearer(&tokens.access).get("/api/v1/tasks/1").await.expect(200);
    let ada = rig.logged_in("ada").await;
    rig.operator("POST", "/v1/reload", Value::Null);
    assert!(rig.is_in(&ada).await);
    until("its last use is written", async || {
        let sessions = rig.gateway.cli_json(&["session", "list"]);
        let all = sessions["sessions"].as_array().unwrap().len();
        (all >= 2).then_some(())
    })
    .await;
}
