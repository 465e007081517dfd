//! The provider's tokens: handed out, renewed when due, by one at a time.

use serde_json::json;

use super::login::due;
use crate::support::hh::{House, Mood, Wish, assert_refused};

#[tokio::test]
async fn a_session_gives_the_providers_own_token() {
    let house = House::shared();
    let (person, session) = house.session().await;
    let reply = house.token(&session).await.expect(200);
    assert!(reply.str("access_token").starts_with(&format!("access-{person}-")));
    assert_eq!(reply.str("token_type"), "Bearer");
    assert!(reply.str("expires_at").ends_with('Z'));
    assert!(reply.int("user_id") > 0);
    assert_eq!(house.token(&session).await.str("access_token"), reply.str("access_token"));
    assert!(house.provider.refreshes(&person).is_empty(), "never before its end");
}

#[tokio::test]
async fn twenty_at_once_with_an_expired_token_are_one_refresh() {
    let house = House::shared();
    let person = house.person().await;
    house.provider.next_life(&person, 0);
    let session = house.session_of(&person).await;
    due(house, &session).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let session = session.clone();
        asking.spawn(async move { house.token(&session).await });
    }
    let mut tokens = Vec::new();
    while let Some(reply) = asking.join_next().await {
        tokens.push(reply.unwrap().expect(200).str("access_token"));
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    let refreshes = house.provider.refreshes(&person);
    assert_eq!(refreshes.len(), 1, "{refreshes:?}");
    // hh.ru wants nothing but the token.
    let mut names: Vec<_> =
        refreshes[0].split('&').map(|pair| pair.split('=').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["grant_type", "refresh_token"]);
    let events = house.events("&event_type=token_refresh").await;
    assert!(!events.is_empty());
}

#[tokio::test]
async fn a_forced_refresh_before_the_end_gives_the_present_token() {
    let house = House::shared();
    let (person, session) = house.session().await;
    let before = house.token(&session).await.expect(200).str("access_token");
    let reply = house.caller().post("/auth/refresh", json!({"session_id": session})).await;
    assert_eq!(reply.expect(200).str("access_token"), before);
    assert_eq!(house.provider.refreshes(&person).len(), 1, "it was tried");
}

#[tokio::test]
async fn a_forced_refresh_after_the_end_gives_a_new_one() {
    let house = House::shared();
    let person = house.person().await;
    house.provider.next_life(&person, 0);
    let session = house.session_of(&person).await;
    let body = json!({"session_id": session});
    let reply = house.caller().post("/auth/refresh", body).await.expect(200);
    assert_eq!(house.token(&session).await.str("access_token"), reply.str("access_token"));
    assert_eq!(house.provider.refreshes(&person).len(), 1);
}

#[tokio::test]
async fn a_refused_refresh_is_401_and_not_asked_for_again_until_the_next_login() {
    let house = House::start(Wish::default());
    let person = house.person().await;
    house.provider.next_life(&person, 0);
    let session = house.session_of(&person).await;
    due(&house, &session).await;
    house.provider.mood(Mood::Refusing);
    for _ in 0..3 {
        let reply = house.token(&session).await;
        assert_refused(&reply, 401, "Token refresh was refused, log in again");
    }
    assert_eq!(house.provider.refreshes(&person).len(), 1);
    // The session itself lives; a new login gives tokens to all sessions of the person.
    house.me(&session).await.expect(200);
    house.provider.mood(Mood::Well);
    house.session_of(&person).await;
    house.token(&session).await.expect(200);
}

#[tokio::test]
async fn a_new_login_replaces_the_tokens_of_all_sessions() {
    let house = House::shared();
    let (person, first) = house.session().await;
    let before = house.token(&first).await.str("access_token");
    let second = house.session_of(&person).await;
    let after = house.token(&first).await.expect(200).str("access_token");
    assert_ne!(before, after);
    assert_eq!(house.token(&second).await.str("access_token"), after);
}

#[tokio::test]
async fn no_session_no_token() {
    let house = House::shared();
    for path in ["/auth/token", "/auth/refresh", "/auth/logout"] {
        for session in ["", "nonsense", &"A".repeat(43)] {
            let reply = house.caller().post(path, json!({"session_id": session})).await;
            assert_refused(&reply, 401, "Invalid session");
        }
        assert_refused(&house.caller().post(path, json!({})).await, 422, "Invalid request data");
    }
}

#[tokio::test]
async fn tokens_lie_encrypted_in_the_store() {
    let house = House::start(Wish::default());
    let (person, session) = house.session().await;
    house.token(&session).await.expect(200);
    house.gateway.stop();
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&house.gateway.places.data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    let holds = |text: &str| all.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds(&person), "the right files");
    for secret in [&format!("access-{person}"), &format!("refresh-{person}"), &session] {
        assert!(!holds(secret), "{secret}");
    }
}
