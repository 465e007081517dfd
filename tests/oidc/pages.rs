//! The whole way of a person, and what pages of ours and of others may do with the session.

use reqwest::Method;
use serde_json::json;

use super::{
    browser::{Browser, location, parameter},
    rig::{FLOW, Rig, SESSION},
};
use crate::support::wire;

// requirement: 30, 34
#[tokio::test]
async fn a_person_logs_in_and_is_told_to_the_upstream() {
    let rig =
        Rig::with(r#"accounts = "create", scopes = ["openid", "email"], roles = ["READONLY"]"#);
    let browser = rig.browser();
    let sent = rig.begin(&browser, "/app/home?a=b").await;
    assert_eq!(parameter(&sent, "scope"), "openid email");
    let claims = json!({
        "sub": "ada", "sid": "s1", "email": "ada@corp.example", "email_verified": true, "name": "Ada",
    });
    let reply = rig.come_back(&browser, &sent, claims).await.expect(303);
    assert_eq!(location(&reply), "/app/home?a=b");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert!(browser.cookie(FLOW).is_none(), "it is good for one login");

    browser.go("/app/home?a=b").await.expect(200);
    let seen = rig.seen("/app/home");
    assert_eq!(seen.field("x-auth-username").as_deref(), Some("oidc:ada"));
    assert_eq!(seen.field("x-auth-roles").as_deref(), Some("READONLY"));
    let cookies = seen.field("cookie").unwrap_or_default();
    assert!(!cookies.contains(SESSION), "the session is for the gateway alone: {cookies}");

    let who = browser.script(Method::GET, "/oidc/session").await.expect(200).json();
    assert_eq!(who["username"], "oidc:ada");
    assert_eq!(who["email"], "ada@corp.example");
    assert_eq!(who["roles"], json!(["READONLY"]));
    rig.browser().script(Method::GET, "/oidc/session").await.expect(401);

    // The policy of the mount judges it like anybody of these roles.
    browser.script(Method::GET, "/api/v1/tasks/1").await.expect(200);
    browser.script(Method::POST, "/api/v1/tasks").await.expect(403);
    rig.upstream.saw_nothing_of("access-token-of-the-provider");
}

#[tokio::test]
async fn the_second_login_is_the_same_account_with_another_session() {
    let rig = Rig::creating();
    let first = rig.logged_in("ada").await;
    let (_, before) = first.cookie(SESSION).unwrap();
    let me = first.script(Method::GET, "/oidc/session").await.expect(200).json();
    rig.log_in(&first, json!({ "sub": "ada" })).await.expect(303);
    let (_, after) = first.cookie(SESSION).unwrap();
    assert_ne!(before, after, "a login makes a new id");
    let again = first.script(Method::GET, "/oidc/session").await.expect(200).json();
    assert_eq!(me["sub"], again["sub"]);
    // The old one has ended.
    let thief = rig.browser();
    thief.set(SESSION, &before);
    assert!(!rig.is_in(&thief).await);
    let other = rig.logged_in("bob").await;
    let bob = other.script(Method::GET, "/oidc/session").await.expect(200).json();
    assert_ne!(bob["sub"], me["sub"]);
}

// requirement: 30
#[tokio::test]
async fn an_id_that_somebody_else_has_chosen_is_never_taken_over() {
    let rig = Rig::creating();
    let browser = rig.browser();
    let planted = "A".repeat(43);
    browser.set(SESSION, &planted);
    assert!(!rig.is_in(&browser).await);
    rig.log_in(&browser, json!({ "sub": "ada" })).await.expect(303);
    assert_ne!(browser.cookie(SESSION).unwrap().1, planted);
    let thief = rig.browser();
    thief.set(SESSION, &planted);
    assert!(!rig.is_in(&thief).await);
}

#[tokio::test]
async fn who_goes_to_a_page_without_a_session_goes_to_the_login_and_nobody_else() {
    let rig = Rig::creating();
    let browser = rig.browser();
    let reply = browser.go("/app/a%20b?x=1&y=//z").await.expect(302);
    let login = location(&reply);
    assert!(login.starts_with(&format!("{}/oidc/login?", rig.gateway.url())), "{login}");
    assert_eq!(parameter(&login, "return_to"), "/app/a%20b?x=1&y=//z");
    let sent = location(&browser.go(login.strip_prefix(&rig.gateway.url()).unwrap()).await);
    let reply = rig.come_back(&browser, &sent, json!({ "sub": "ada" })).await.expect(303);
    assert_eq!(location(&reply), "/app/a%20b?x=1&y=//z");
    browser.go("/app/a%20b?x=1&y=//z").await.expect(200);

    let stranger = rig.browser();
    let page = [("accept", "text/html")];
    stranger.send(Method::GET, "/app/x", &page, None).await.expect(302);
    // A bad one is as good as none.
    stranger.set(SESSION, &"B".repeat(43));
    stranger.send(Method::GET, "/app/x", &page, None).await.expect(302);
    for fields in [
        &[("accept", "application/json")][..],
        &[("accept", "text/html"), ("sec-fetch-mode", "cors")],
        &[("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[],
    ] {
        stranger.send(Method::GET, "/app/x", fields, None).await.expect(401);
    }
    stranger
        .send(
            Method::POST,
            "/app/x",
            &[("accept", "text/html"), ("sec-fetch-site", "same-origin")],
            None,
        )
        .await
        .expect(401);
    // A route that does not say so refuses.
    stranger.go("/data/x").await.expect(401);
}

// requirement: 35
#[tokio::test]
async fn after_the_login_only_a_path_of_our_own_follows() {
    let rig = Rig::creating();
    for (wanted, end) in [
        ("/a/b?c=d", "/a/b?c=d"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("/.//evil.example", "/"),
        ("evil.example", "/"),
        ("", "/"),
    ] {
        let browser = rig.browser();
        let sent = rig.begin(&browser, wanted).await;
        let reply = rig.come_back(&browser, &sent, json!({ "sub": "ada" })).await.expect(303);
        assert_eq!(location(&reply), end, "{wanted:?}");
    }
    let browser = rig.browser();
    browser.go("/oidc/login?return_to=/a&return_to=//b").await.expect(400);
    let reply = browser.go("/oidc/login").await.expect(303);
    let reply = rig.come_back(&browser, &location(&reply), json!({ "sub": "ada" })).await;
    assert_eq!(location(&reply), "/");
}

// requirement: 30
#[tokio::test]
async fn pages_of_other_sites_can_neither_change_nor_open_anything() {
    let rig = Rig::creating();
    let browser = rig.logged_in("ada").await;
    let own = rig.gateway.url();
    let asks = async |method: Method, fields: &[(&str, &str)]| {
        browser.send(method, "/data/x", fields, None).await.status
    };
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(asks(method.clone(), &[("sec-fetch-site", "same-origin")]).await, 200);
        assert_eq!(asks(method.clone(), &[("origin", &own)]).await, 200);
        for fields in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        ] {
            assert_eq!(asks(method.clone(), fields).await, 403, "{method} {fields:?}");
        }
    }
    // A link from elsewhere finds the person logged in.
    assert_eq!(asks(Method::GET, &[("sec-fetch-site", "cross-site")]).await, 200);

    for (origin, status) in [(Some("https://evil.example"), 403), (None, 403), (Some(&*own), 101)] {
        assert_eq!(open_socket(&rig, &browser, origin).await.1, status, "{origin:?}");
    }
}

/// Opens a WebSocket with the browser's cookies.
pub async fn open_socket(
    rig: &Rig,
    browser: &Browser,
    origin: Option<&str>,
) -> (wire::Wire<tokio::net::TcpStream>, u16) {
    let mut wire = wire::connect(rig.gateway.address()).await;
    let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    let cookies = browser.cookies().unwrap();
    let host = rig.gateway.address();
    wire.send(format!(
        "GET /events/ws HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n{origin}Connection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ))
    .await;
    let head = wire.head().await.expect("an answer");
    (wire, head.status)
}
