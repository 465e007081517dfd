//! A session as a credential on protected routes.

use std::sync::OnceLock;

use reqwest::Method;
use serde_json::json;

use crate::support::hh::{House, Wish, assert_refused};

#[tokio::test]
async fn a_session_in_the_cookie_opens_a_protected_route() {
    let house = House::start(Wish::default());
    let (person, session) = house.session().await;
    let client = house.caller().with("Cookie", &format!("a=1; hh_session_id={session}; b=2"));
    client.get("/api/tasks?x=1").await.expect(200);
    let seen = house.backend.only();
    assert_eq!(seen.field("x-auth-method").as_deref(), Some("session"));
    assert_eq!(seen.field("x-auth-username"), Some(format!("hh:{person}")));
    assert_eq!(seen.field("x-auth-roles").as_deref(), Some("USER"));
    assert!(seen.field("x-auth-subject").is_some());
    assert_eq!(
        seen.field("cookie").as_deref(),
        Some("a=1; b=2"),
        "the others are the application's"
    );
    assert!(!String::from_utf8_lossy(&seen.head).contains(&session));

    let alone = house.caller().with("Cookie", &format!("hh_session_id={session}"));
    alone.get("/api/tasks").await.expect(200);
    assert_eq!(house.backend.only().field("cookie"), None);
}

#[tokio::test]
async fn everywhere_else_a_session_is_no_credential() {
    let house = House::shared();
    let (_, session) = house.session().await;
    for client in [
        house.caller(),
        house.caller().bearer(&session),
        house.caller().key(&session),
        house.caller().with("X-Session-ID", &session),
        house.caller().with("Cookie", &format!("session_id={session}")),
    ] {
        let reply = client.get(&format!("/api/tasks?session_id={session}")).await;
        assert_refused(&reply, 401, "Not authenticated");
    }
    for cookie in ["hh_session_id=nonsense".to_owned(), format!("hh_session_id={}", "A".repeat(43))]
    {
        let reply = house.caller().with("Cookie", &cookie).get("/api/tasks").await;
        assert_refused(&reply, 401, "Invalid session");
    }
    house.backend.saw_nothing_of(&session);
}

#[tokio::test]
async fn a_logout_holds_for_the_next_request() {
    let house = House::shared();
    let (_, session) = house.session().await;
    let client = house.caller().with("Cookie", &format!("hh_session_id={session}"));
    for _ in 0..3 {
        client.get("/api/tasks").await.expect(200);
    }
    client.post("/auth/logout", json!({"session_id": session})).await.expect(200);
    assert_refused(&client.get("/api/tasks").await, 401, "Invalid session");
}

// requirement: 36
#[tokio::test]
async fn another_site_cannot_use_a_visitors_cookie_to_change_something() {
    let house = House::shared();
    let (_, session) = house.session().await;
    let client = house.caller().with("Cookie", &format!("hh_session_id={session}"));
    let foreign =
        client.with("Sec-Fetch-Site", "cross-site").with("Origin", "https://evil.example");
    let reply = foreign.post("/api/tasks", json!({})).await;
    assert_refused(&reply, 403, "Access denied");
    foreign.call(Method::GET, "/api/tasks", None).await.expect(200);
    client.with("Sec-Fetch-Site", "same-origin").post("/api/tasks", json!({})).await.expect(200);
}

/// A house whose sessions travel in a header.
fn by_header() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| {
        House::start(Wish { session: "header = \"X-Session-ID\"", ..Wish::default() })
    })
}

#[tokio::test]
async fn the_operator_may_choose_a_header_instead() {
    let house = by_header();
    let (_, session) = house.session().await;
    house.caller().with("X-Session-ID", &session).get("/api/tasks").await.expect(200);
    let seen = house.backend.only();
    assert_eq!(seen.field("x-session-id"), None);
    let cookie = house.caller().with("Cookie", &format!("hh_session_id={session}"));
    assert_refused(&cookie.get("/api/tasks").await, 401, "Not authenticated");
}

#[tokio::test]
async fn a_session_of_another_gateway_is_none_here() {
    let (_, session) = by_header().session().await;
    let house = House::shared();
    assert_refused(&house.me(&session).await, 401, "Invalid session");
    let client = house.caller().with("Cookie", &format!("hh_session_id={session}"));
    assert_refused(&client.get("/api/tasks").await, 401, "Invalid session");
}
