//! Attacks on the way back: states, codes and answers that belong to somebody else.

use serde_json::json;

use super::{
    browser::{location, parameter},
    rig::{FLOW, Rig, SESSION},
};
use crate::support::wait::until;

// requirement: 34
#[tokio::test]
async fn a_login_ends_in_the_browser_where_it_began_and_only_once() {
    let rig = Rig::creating();
    // The attacker begins, and has the victim's browser end it: login CSRF, or a stolen answer.
    let (attacker, victim) = (rig.browser(), rig.browser());
    let sent = rig.begin(&attacker, "/").await;
    let reply = rig.come_back(&victim, &sent, json!({ "sub": "mallory" })).await.expect(400);
    assert!(victim.cookie(SESSION).is_none() && reply.text().contains("oidc_state_invalid"));
    assert_eq!(rig.provider.trades(), 0, "its code was not traded");

    // The victim has begun one as well: each state has its own cookie.
    let own = rig.begin(&victim, "/").await;
    rig.come_back(&victim, &sent, json!({ "sub": "mallory" })).await.expect(400);
    let (name, value) = victim.cookie(FLOW).expect("its own is still there");
    rig.come_back(&victim, &own, json!({ "sub": "ada" })).await.expect(303);

    // Again with everything of the first time.
    victim.set(&name, &value);
    rig.come_back(&victim, &own, json!({ "sub": "mallory" })).await.expect(400);
    let who = victim.script(reqwest::Method::GET, "/oidc/session").await.expect(200).json();
    assert_eq!(who["username"], "oidc:ada", "the session is as it was");
}

#[tokio::test]
async fn a_cookie_of_one_login_is_none_of_another_and_no_made_up_one_opens() {
    let rig = Rig::creating();
    let browser = rig.browser();
    let sent = rig.begin(&browser, "/").await;
    let (name, value) = browser.cookie(FLOW).unwrap();
    let other = rig.browser();
    let foreign = rig.begin(&other, "/").await;
    let (foreign_name, foreign_value) = other.cookie(FLOW).unwrap();
    assert_ne!(name, foreign_name);
    for wrong in
        [&*foreign_value, "", "x", &value[..value.len() - 4], &"A".repeat(300), &"A".repeat(5000)]
    {
        let browser = rig.browser();
        browser.set(&name, wrong);
        let reply = rig.come_back(&browser, &sent, json!({ "sub": "ada" })).await.expect(400);
        assert!(reply.text().contains("oidc_state_invalid"));
        assert!(browser.cookie(SESSION).is_none());
    }
    for state in ["", "x", &"A".repeat(43), "%00", "a&state=b"] {
        browser.go(&format!("/oidc/callback?code=c&state={state}")).await.expect(400);
    }
    browser.go("/oidc/callback").await.expect(400);
    assert_eq!(rig.provider.trades(), 0);
    // None of that used up what was begun.
    rig.come_back(&browser, &sent, json!({ "sub": "ada" })).await.expect(303);
    rig.come_back(&other, &foreign, json!({ "sub": "bob" })).await.expect(303);
    // What strangers send is no error of ours.
    let errors = rig.gateway.log().into_iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, 0, "{}", rig.gateway.output());
}

#[tokio::test]
async fn tabs_that_log_in_at_once_do_not_disturb_each_other() {
    let rig = Rig::creating();
    let browser = rig.browser();
    let mut sent = Vec::new();
    for tab in 0..5 {
        sent.push((tab, rig.begin(&browser, &format!("/app/{tab}")).await));
    }
    for (tab, sent) in sent.into_iter().rev() {
        let reply = rig.come_back(&browser, &sent, json!({ "sub": "ada" })).await.expect(303);
        assert_eq!(location(&reply), format!("/app/{tab}"));
    }
    assert!(rig.is_in(&browser).await);
    assert!(browser.cookie(FLOW).is_none());
}

#[tokio::test]
async fn a_code_is_traded_once_and_one_that_the_provider_rejects_opens_nothing() {
    let rig = Rig::creating();
    let browser = rig.browser();
    let sent = rig.begin(&browser, "/").await;
    let code = rig.provider.vouch(&sent, json!({ "sub": "ada" }));
    let state = parameter(&sent, "state");
    browser.go(&format!("/oidc/callback?code={code}&state={state}")).await.expect(303);
    // The same code in a login of somebody else.
    let thief = rig.browser();
    let sent = rig.begin(&thief, "/").await;
    let state = parameter(&sent, "state");
    let reply = thief.go(&format!("/oidc/callback?code={code}&state={state}")).await.expect(400);
    assert!(reply.text().contains("oidc_login_rejected") && thief.cookie(SESSION).is_none());
    // A code that was not traded yet, put into another login: the verifier does not fit.
    let (ada, thief) = (rig.browser(), rig.browser());
    let sent = rig.begin(&ada, "/").await;
    let code = rig.provider.vouch(&sent, json!({ "sub": "ada" }));
    let sent = rig.begin(&thief, "/").await;
    let state = parameter(&sent, "state");
    thief.go(&format!("/oidc/callback?code={code}&state={state}")).await.expect(400);
    assert!(thief.cookie(SESSION).is_none());
}

#[tokio::test]
async fn another_provider_cannot_answer_for_this_one() {
    let rig = Rig::changed(
        r#"accounts = "create""#,
        |provider| {
            provider.describing(|metadata| {
                metadata["authorization_response_iss_parameter_supported"] = true.into();
            });
        },
        |conf| conf,
    );
    let issuer = rig.provider.issuer();
    for (iss, status) in [
        (None, 400),
        (Some("https://evil.example".to_owned()), 400),
        (Some(format!("{issuer}/")), 400),
        (Some(issuer), 303),
    ] {
        let browser = rig.browser();
        let sent = rig.begin(&browser, "/").await;
        let (code, state) =
            (rig.provider.vouch(&sent, json!({ "sub": "ada" })), parameter(&sent, "state"));
        let said = iss.as_ref().map(|iss| format!("&iss={iss}")).unwrap_or_default();
        let before = rig.provider.trades();
        browser.go(&format!("/oidc/callback?code={code}&state={state}{said}")).await.expect(status);
        assert_eq!(rig.provider.trades() > before, status == 303, "{iss:?}");
    }
    // Where it need not be said, what is said must be right all the same.
    let rig = Rig::creating();
    let browser = rig.browser();
    let sent = rig.begin(&browser, "/").await;
    let (code, state) =
        (rig.provider.vouch(&sent, json!({ "sub": "ada" })), parameter(&sent, "state"));
    let path = format!("/oidc/callback?code={code}&state={state}&iss=https://evil.example");
    browser.go(&path).await.expect(400);
    assert_eq!(rig.provider.trades(), 0);
}

#[tokio::test]
async fn an_error_of_the_provider_is_told_without_its_words() {
    let rig = Rig::creating();
    let browser = rig.browser();
    let sent = rig.begin(&browser, "/").await;
    let state = parameter(&sent, "state");
    let path = format!(
        "/oidc/callback?error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state={state}&code=c"
    );
    let reply = browser.go(&path).await.expect(400);
    let page = reply.text();
    assert!(page.contains("oidc_login_rejected") && !page.contains("alert"), "{page}");
    let id = reply.header("x-request-id").expect("an id").to_owned();
    assert!(page.contains(&id), "the page names the request");
    assert!(reply.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert_eq!(rig.provider.trades(), 0);
    // Used up by that.
    let code = rig.provider.vouch(&sent, json!({ "sub": "ada" }));
    browser.go(&format!("/oidc/callback?code={code}&state={state}")).await.expect(400);
    // A program gets JSON.
    let reply = browser.script(reqwest::Method::GET, "/oidc/callback").await.expect(400).json();
    assert_eq!(reply["error"], "oidc_state_invalid");
    // The operator finds both in the log.
    until("the reasons are in the log", async || {
        let told = rig.reasons();
        let both = ["oidc_login_rejected", "oidc_state_invalid"];
        both.iter().all(|reason| told.iter().any(|own| own == reason)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_logins_that_are_begun_writes_nothing() {
    let rig = Rig::creating();
    let size = |rig: &Rig| {
        std::fs::metadata(rig.gateway.places.data.join("portcullis.db-wal"))
            .map_or(0, |found| found.len())
    };
    rig.begin(&rig.browser(), "/").await;
    let before = size(&rig);
    for _ in 0..30 {
        rig.begin(&rig.browser(), "/").await;
    }
    assert_eq!(size(&rig), before);
    assert_eq!(rig.provider.trades(), 0);
}
