//! The browser's way: out to the provider, and back with an exchange code.

use std::{sync::OnceLock, time::Duration};

use serde_json::json;

use crate::support::{
    hh::{House, Mood, Wish, assert_refused, code_in, cookie_of, parameter, state_of, stranger},
    operate,
};

const STATE: &str = "Invalid or expired state parameter";

#[tokio::test]
async fn a_login_sends_the_browser_to_the_provider_with_a_state_and_a_cookie() {
    let house = House::shared();
    let reply = house.caller().get("/auth/login").await.expect(302);
    let location = reply.header("location").unwrap();
    assert!(location.starts_with(&format!("{}/authorize?", house.provider.upstream.url())));
    assert_eq!(parameter(&reply, "response_type").as_deref(), Some("code"));
    assert_eq!(parameter(&reply, "client_id").as_deref(), Some("client-of-the-tests"));
    assert!(parameter(&reply, "redirect_uri").unwrap().ends_with("%2Fauth%2Fcallback"));
    assert_eq!(parameter(&reply, "code_challenge"), None, "hh.ru knows no PKCE");
    // 32 bytes in URL-safe letters.
    assert!(state_of(&reply).len() >= 43);
    let cookie = reply.header("set-cookie").unwrap();
    for part in ["portcullis-login=", "; Path=/", "; Max-Age=600", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    // On loopback without TLS; with TLS it is another house's.
    assert!(!cookie.contains("Secure"));
    assert!(!cookie.contains(&state_of(&reply)), "who reads the address cannot make the cookie");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let again = house.caller().get("/auth/login").await;
    assert_ne!(state_of(&again), state_of(&reply));
}

// requirement: 30, 37
#[tokio::test]
async fn over_tls_the_cookie_is_of_this_host_only() {
    let house = House::start(Wish {
        // The last line of a table wins nothing: this one replaces the loopback address.
        login: "",
        provider: "pkce = true\nclient_at_refresh = true",
        ..Wish::default()
    });
    // The address of the callback says whether browsers come over TLS.
    let file = std::fs::read_to_string(&house.gateway.config).unwrap();
    let public = house.gateway.address();
    let secure = file.replace(
        &format!("http://{public}/auth/callback"),
        "https://login.example.org/auth/callback",
    );
    std::fs::write(&house.gateway.config, secure).unwrap();
    house.gateway.cli_ok(&["reload"]);
    let reply = house.caller().get("/auth/login").await.expect(302);
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-portcullis-login="), "{cookie}");
    assert!(cookie.contains("; Secure;"), "{cookie}");
    assert_eq!(parameter(&reply, "code_challenge_method").as_deref(), Some("S256"));
    // And with PKCE the provider is told the verifier of that challenge.
    let person = house.person().await;
    let target = format!("/auth/callback?code=code-{person}&state={}", state_of(&reply));
    let page = house.caller().with("Cookie", &cookie_of(&reply)).get(&target).await.expect(200);
    assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000"));
    let seen = house.provider.upstream.seen();
    let traded = seen.iter().find(|request| request.target() == "/token").unwrap();
    let body = String::from_utf8_lossy(&traded.body).into_owned();
    let verifier = body.split("code_verifier=").nth(1).unwrap().split('&').next().unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    let challenge =
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest.as_ref());
    assert_eq!(parameter(&reply, "code_challenge"), Some(challenge));
}

// requirement: 37
#[tokio::test]
async fn the_callback_shows_the_code_on_a_page() {
    let house = House::shared();
    let person = house.person().await;
    let page = house.browse(&person).await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.all("x-frame-options"), ["DENY"]);
    assert_eq!(page.all("referrer-policy"), ["no-referrer"]);
    assert_eq!(page.all("x-content-type-options"), ["nosniff"]);
    assert_eq!(page.header("strict-transport-security"), None, "it is plain http here");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"));
    assert!(!policy.contains("unsafe"));
    let code = code_in(&page);
    assert!(
        code.len() >= 43 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    );
    assert!(page.text().contains("5 minutes"), "the limit is told");
    let traded = house.provider.upstream.seen().into_iter();
    let traded = traded.filter(|request| request.target() == "/token");
    let mut bodies = traded.map(|request| String::from_utf8_lossy(&request.body).into_owned());
    let body = bodies.find(|body| body.contains(&format!("code=code-{person}"))).unwrap();
    for part in ["grant_type=authorization_code", "client_id=client-of-the-tests", "redirect_uri="]
    {
        assert!(body.contains(part), "{part} in {body}");
    }
}

// requirement: 34
#[tokio::test]
async fn a_state_is_good_once_and_in_its_own_browser() {
    let house = House::shared();
    let person = house.person().await;
    let client = house.caller();
    let started = client.get("/auth/login").await.expect(302);
    let target = format!("/auth/callback?code=code-{person}&state={}", state_of(&started));
    let own = client.with("Cookie", &cookie_of(&started));

    let other = client.get("/auth/login").await.expect(302);
    let foreign = format!("/auth/callback?code=code-{person}&state={}", state_of(&other));
    assert_refused(&own.get(&foreign).await, 400, STATE);
    assert_refused(&client.get("/auth/callback?code=code-1&state=nonsense").await, 400, STATE);
    assert_refused(&client.get("/auth/callback?code=code-1").await, 400, STATE);
    assert_refused(&client.get("/auth/callback").await, 400, STATE);
    let begun = client.get("/auth/login").await.expect(302);
    let bare = format!("/auth/callback?code=code-{person}&state={}", state_of(&begun));
    assert_refused(&client.get(&bare).await, 400, STATE);

    own.get(&target).await.expect(200);
    assert_refused(&own.get(&target).await, 400, STATE);
}

#[tokio::test]
async fn two_tabs_of_one_browser_can_both_log_in() {
    let house = House::shared();
    let person = house.person().await;
    let client = house.caller();
    let first = client.get("/auth/login").await.expect(302);
    let browser = client.with("Cookie", &cookie_of(&first));
    let second = browser.get("/auth/login").await.expect(302);
    assert_eq!(cookie_of(&first), cookie_of(&second));
    for started in [first, second] {
        let target = format!("/auth/callback?code=code-{person}&state={}", state_of(&started));
        browser.get(&target).await.expect(200);
    }
}

#[tokio::test]
async fn a_refused_consent_and_a_rejected_code_are_400() {
    let house = House::shared();
    for query in ["error=access_denied", "code=made-up", "error=access_denied&code=code-1"] {
        let client = house.caller();
        let started = client.get("/auth/login").await.expect(302);
        let target = format!("/auth/callback?{query}&state={}", state_of(&started));
        let reply = client.with("Cookie", &cookie_of(&started)).get(&target).await;
        assert_refused(&reply, 400, "Authorization was refused or the code is not valid");
    }
    let failed = house.events("&event_type=login_failed").await;
    let reasons: Vec<_> = failed.iter().map(|e| e["event_metadata"]["reason"].clone()).collect();
    assert!(reasons.contains(&json!("consent_refused")), "{reasons:?}");
    assert!(reasons.contains(&json!("code_rejected")), "{reasons:?}");
}

#[tokio::test]
async fn who_is_not_on_the_list_is_403_in_json_or_on_a_page() {
    let house = House::shared();
    let person = stranger();
    let text = format!("User {person} is not allowed to access this service");
    assert_refused(&house.browse(&person).await, 403, &text);

    let client = house.caller();
    let started = client.get("/auth/login").await.expect(302);
    let target = format!("/auth/callback?code=code-{person}&state={}", state_of(&started));
    let browser = client
        .with("Cookie", &cookie_of(&started))
        .with("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .with("Accept-Language", "ru-RU,ru;q=0.9,en;q=0.5");
    let page = browser.get(&target).await.expect(403);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("Войти не удалось") && page.text().contains(&text));
    assert!(page.header("content-security-policy").is_some());
    let failed = house.events("&event_type=login_failed").await;
    let told = failed.iter().find(|event| event["event_metadata"]["hh_user_id"] == person);
    assert_eq!(told.unwrap()["event_metadata"]["reason"], "not_allowed");
}

#[tokio::test]
async fn a_disabled_account_does_not_come_in() {
    let house = House::shared();
    let (person, session) = house.session().await;
    operate::disable(&house.gateway, &format!("hh:{person}"));
    assert_refused(&house.me(&session).await, 401, "Invalid session");
    let text = format!("User {person} is not allowed to access this service");
    assert_refused(&house.browse(&person).await, 403, &text);
}

/// One house whose provider is not to be relied upon.
fn moody() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| House::start(Wish { provider: "timeout = \"1s\"", ..Wish::default() }))
}

#[tokio::test]
async fn a_provider_in_trouble_is_502_and_never_a_refusal() {
    let house = moody();
    let (person, session) = house.session().await;
    for mood in [Mood::Down, Mood::Failing] {
        house.provider.mood(mood);
        assert_refused(&house.browse(&person).await, 502, "The provider cannot be reached");
    }
    house.provider.mood(Mood::Well);
    house.me(&session).await.expect(200);

    // The same for a token that is due: the session is not at fault.
    house.provider.next_life(&person, 0);
    let session = house.session_of(&person).await;
    due(house, &session).await;
    for mood in [Mood::Down, Mood::Failing] {
        house.provider.mood(mood);
        assert_refused(&house.token(&session).await, 502, "The provider cannot be reached");
    }
    house.provider.mood(Mood::Well);
    house.token(&session).await.expect(200);
}

/// Waits until the session's token has expired by the gateway's rule: a second past its end.
pub(super) async fn due(_: &House, _: &str) {
    // The end is the moment of receipt, which lies behind us.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

#[tokio::test]
async fn the_operators_page_gets_the_code_in_its_query() {
    let house = House::start(Wish {
        login: "redirect_page = \"https://app.example.org/hh/callback?from=hh\"",
        ..Wish::default()
    });
    let person = house.person().await;
    let reply = house.browse(&person).await.expect(302);
    let location = reply.header("location").unwrap();
    let (page, code) = location.split_once("&exchange_code=").unwrap();
    assert_eq!(page, "https://app.example.org/hh/callback?from=hh");
    assert_eq!(reply.all("referrer-policy"), ["no-referrer"]);
    let code = code.replace("%2D", "-").replace("%5F", "_");
    house.caller().post("/auth/exchange", json!({"exchange_code": code})).await.expect(200);
}

#[tokio::test]
async fn a_login_in_json_is_an_option_and_listed_as_a_relaxation() {
    let house = House::start(Wish { login: "json = true", ..Wish::default() });
    let person = house.person().await;
    let started = house.caller().get("/auth/login").await.expect(200);
    assert!(started.header("set-cookie").is_none());
    let (url, state) = (started.str("authorization_url"), started.str("state"));
    assert!(url.contains(&format!("state={state}")));
    let page =
        house.caller().get(&format!("/auth/callback?code=code-{person}&state={state}")).await;
    code_in(&page.expect(200));
    let checked = house.gateway.cli_json(&["check"]);
    let ids: Vec<_> =
        checked["relaxations"].as_array().unwrap().iter().map(|r| r["id"].clone()).collect();
    assert!(ids.contains(&json!("R-LOGIN-UNBOUND")), "{ids:?}");
    assert!(ids.contains(&json!("R-ADMIN-BASIC")), "{ids:?}");
    assert!(ids.contains(&json!("R-OAUTH-NO-PKCE")), "{ids:?}");
}
