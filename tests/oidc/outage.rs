//! A provider that is away, slow, or talks nonsense, at each step; sessions that are open go on.

use serde_json::json;

use super::{
    browser::location,
    provider::Mood,
    rig::{Rig, SESSION},
};
use crate::support::wait::until;

#[tokio::test]
async fn a_provider_that_was_never_heard_is_an_outage() {
    let rig = Rig::changed(r#"accounts = "create""#, |own| own.discovery(Mood::Page), |conf| conf);
    let reply = rig.browser().go("/oidc/login").await.expect(503);
    assert!(reply.header("retry-after").is_some());
    assert!(reply.text().contains("oidc_provider_unavailable"));
    rig.provider.discovery(Mood::Well);
    until("it is heard again", async || {
        let reply = rig.browser().go("/oidc/login").await;
        (reply.status == 303).then(|| assert!(location(&reply).contains("/authorize?")))
    })
    .await;
    rig.logged_in("ada").await;
}

#[tokio::test]
async fn an_outage_at_the_trade_is_503_and_nonsense_is_502_and_sessions_go_on() {
    let rig = Rig::creating();
    let before = rig.logged_in("ada").await;
    for (mood, status, reason) in [
        (Mood::Down, 503, "oidc_provider_unavailable"),
        (Mood::Hanging, 503, "oidc_provider_unavailable"),
        (Mood::Failing, 503, "oidc_provider_unavailable"),
        (Mood::Page, 502, "oidc_provider_wrong"),
        (Mood::Redirect, 502, "oidc_provider_wrong"),
        (Mood::Empty, 502, "oidc_provider_wrong"),
        (Mood::Huge, 502, "oidc_provider_wrong"),
        (Mood::Refusing, 400, "oidc_login_rejected"),
    ] {
        rig.provider.token(mood);
        let browser = rig.browser();
        let reply = rig.log_in(&browser, json!({ "sub": "bob" })).await.expect(status);
        assert!(reply.text().contains(reason), "{mood:?}: {}", reply.text());
        assert!(!reply.text().contains("<b>server_error"), "{mood:?}");
        assert_eq!(reply.header("retry-after").is_some(), status == 503, "{mood:?}");
        assert!(browser.cookie(SESSION).is_none(), "{mood:?}");
        assert!(rig.is_in(&before).await, "{mood:?}");
    }
    rig.provider.token(Mood::Well);
    rig.logged_in("bob").await;
    let metrics = rig.gateway.operator().get("/metrics").await.expect(200).text();
    for result in ["ok", "oidc_provider_unavailable", "oidc_provider_wrong", "oidc_login_rejected"]
    {
        let line =
            format!(r#"portcullis_oidc_logins_total{{login="api.oidc_login",result="{result}"}}"#);
        assert!(metrics.contains(&line), "{line}");
    }
}

#[tokio::test]
async fn without_keys_nobody_can_be_told_from_anybody() {
    let rig = Rig::changed(r#"accounts = "create""#, |own| own.keys(Mood::Failing), |conf| conf);
    let browser = rig.browser();
    let reply = rig.log_in(&browser, json!({ "sub": "ada" })).await.expect(503);
    assert!(reply.header("retry-after").is_some() && browser.cookie(SESSION).is_none());
}
