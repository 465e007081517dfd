//! The login of the demo: through the toy provider, at once for a script and clicked through in a browser.

use serde_json::{Value, json};

use crate::support::{
    browser::Browser,
    client::Client,
    gateway::Gateway,
    hh::{basic, code_in, cookie_of},
    wait::until,
};

/// What the demo tells of the hh mount.
fn told(gateway: &Gateway, pointer: &str) -> String {
    let value = gateway.facts.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no {pointer} in {}", gateway.facts)).to_owned()
}

#[tokio::test]
async fn a_script_logs_in_at_once_and_tokens_are_renewed() {
    let demo = Gateway::demo(&[]);
    let base = told(&demo, "/mounts/hh/url");
    let provider = Client::at(&told(&demo, "/provider/url"));
    assert_eq!(told(&demo, "/provider/person"), "174714255");
    let client = Client::at(&base);
    let account = &demo.facts["accounts"]["hh"][0];
    assert_eq!(account["scheme"], "basic");
    let (name, password) =
        (account["username"].as_str().unwrap(), account["password"].as_str().unwrap());
    let admin = client.with("Authorization", &basic(name, password));
    let users = admin.get("/admin/users").await.expect(200).json();
    assert_eq!(users["users"][0]["hh_user_id"], "174714255");

    let wish = json!({"expires_in": 1});
    provider.post("/toy", wish).await.expect(200);
    let started = client.get("/auth/login").await.expect(302);
    let authorize = started.header("location").unwrap().to_owned();
    let consented = Client::at("").get(&authorize).await.expect(303);
    let back = consented.header("location").unwrap().to_owned();
    assert!(back.starts_with(&format!("{base}/auth/callback?code=")), "{back}");
    let page = Client::at("").with("Cookie", &cookie_of(&started)).get(&back).await.expect(200);
    let body = json!({"exchange_code": code_in(&page)});
    let session = client.post("/auth/exchange", body).await.expect(200).str("session_id");
    let me = client.get(&format!("/users/me?session_id={session}")).await.expect(200);
    assert_eq!(me.str("hh_user_id"), "174714255");

    // The provider's token works there, and is renewed once it has expired.
    provider.post("/toy", json!({"expires_in": 3600})).await.expect(200);
    let first = client.post("/auth/token", json!({"session_id": session})).await.expect(200);
    let fresh = until("the token is renewed", || async {
        let body = json!({"session_id": session});
        let reply = client.post("/auth/refresh", body).await.expect(200);
        (reply.str("access_token") != first.str("access_token")).then_some(reply)
    })
    .await;
    let profile = provider
        .with("User-Agent", "test/1")
        .bearer(&fresh.str("access_token"))
        .get("/me")
        .await
        .expect(200);
    assert_eq!(profile.str("id"), "174714255");
    // A session is a credential of the demo's route.
    let guest = client.with("Cookie", &format!("hh_session_id={session}"));
    let echo = guest.get("/echo/hh/x").await.expect(200).json();
    assert!(echo["headers"].to_string().contains("x-auth-subject"), "{echo}");
}

#[tokio::test]
async fn a_login_comes_back_to_the_name_at_which_it_began() {
    let demo = Gateway::demo(&[]);
    let base = told(&demo, "/mounts/hh/url").replace("127.0.0.1", "localhost");
    // As a browser: the cookie of one name is not sent to the other.
    let started = Client::at(&base).get("/auth/login").await.expect(302);
    let consented = Client::at("").get(started.header("location").unwrap()).await.expect(303);
    let back = consented.header("location").unwrap();
    assert!(back.starts_with(&format!("{base}/auth/callback?code=")), "{back}");
    let page = Client::at("").with("Cookie", &cookie_of(&started)).get(back).await.expect(200);
    let body = json!({"exchange_code": code_in(&page)});
    Client::at(&base).post("/auth/exchange", body).await.expect(200);
    // A host that nobody listed changes nothing.
    let strange = Client::at(&told(&demo, "/mounts/hh/url")).with("Host", "evil.example.org");
    let started = strange.get("/auth/login").await.expect(302);
    assert!(started.header("location").unwrap().contains("redirect_uri=http%3A%2F%2F127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_clicks_through_the_consent() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Gateway::demo(&[]);
    let base = told(&demo, "/mounts/hh/url");
    let at = browser.open(&format!("{base}/auth/login"));
    assert!(at.starts_with(&told(&demo, "/provider/url")), "the consent page: {at}");
    browser.click("allow");
    browser.wait_for(
        "document.getElementById('exchange-code')?.value.length > 40 ? 'shown' : ''",
        "shown",
    );
    let code = browser.value("document.getElementById('exchange-code').value");
    let reply = Client::at(&base).post("/auth/exchange", json!({"exchange_code": code})).await;
    reply.expect(200);

    browser.open(&format!("{base}/auth/login"));
    browser.click("refuse");
    browser.wait_for("document.querySelector('h1')?.textContent ?? ''", "The login did not work");
}
