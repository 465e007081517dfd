//! The provider's tokens: handed out, renewed when due, by one at a time.

use serde_json::json;

use super::login::due;
use crate::support::{
    client::Client,
    gateway::{AUTHORITIES, Gateway},
    hh::{House, Mood, Wish, assert_refused, code_in, cookie_of, state_of},
    tls::Authority,
    tmws::fresh_address,
};

#[tokio::test]
async fn a_session_gives_the_providers_own_token() {
    let house = House::shared();
    let (person, session) = house.session().await;
    let reply = house.token(&session).await.expect(200);
    assert!(reply.str("access_token").starts_with(&format!("access-{person}-")));
    assert_eq!(reply.str("token_type"), "Bearer");
    assert!(reply.str("expires_at").ends_with('Z'));
    let end: jiff::Timestamp = reply.str("expires_at").parse().unwrap();
    let days = (end.as_second() - jiff::Timestamp::now().as_second()) as f64 / 86_400.0;
    assert!((13.9..=14.0).contains(&days), "the provider's fourteen days from the receipt: {days}");
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
    let all = crate::support::fleet::everything_stored(&house.gateway.places);
    let holds = |text: &str| all.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds(&person), "the right files");
    for secret in [&format!("access-{person}"), &format!("refresh-{person}"), &session] {
        assert!(!holds(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_provider_over_tls_is_asked_only_if_its_certificate_is_right() {
    let house = House::start(Wish::default());
    let person = house.person().await;
    let plain = format!("http://{}", house.provider.upstream.address);
    let text = std::fs::read_to_string(&house.gateway.config).unwrap();
    house.gateway.kill();
    let (trusted, stranger) = (Authority::new(), Authority::new());
    std::fs::write(house.gateway.places.dir.join(AUTHORITIES), trusted.pem()).unwrap();
    let behind = house.provider.upstream.address;
    let good = trusted.front("localhost", behind).await;
    let bad = [
        trusted.front("another.example.org", behind).await,
        stranger.front("localhost", behind).await,
    ];
    let at = |port: u16| {
        let [token, profile] =
            ["token", "me"].map(|path| format!("https://localhost:{port}/{path}"));
        text.replace(&format!("{plain}/token"), &token).replace(&format!("{plain}/me"), &profile)
    };
    let gateway = Gateway::start_in(&house.gateway.places, &at(good));
    let log_in = || async {
        let client = Client::from(&gateway.url(), fresh_address());
        let started = client.get("/auth/login").await.expect(302);
        let target = format!("/auth/callback?code=code-{person}&state={}", state_of(&started));
        client.with("Cookie", &cookie_of(&started)).get(&target).await
    };
    let code = code_in(&log_in().await.expect(200));
    let client = Client::from(&gateway.url(), fresh_address());
    let opened = client.post("/auth/exchange", json!({"exchange_code": code})).await.expect(200);
    let body = json!({"session_id": opened.str("session_id")});
    let token = client.post("/auth/token", body).await.expect(200).str("access_token");
    assert!(token.starts_with(&format!("access-{person}-")), "{token}");

    let asked = house.provider.upstream.seen().len();
    for port in bad {
        std::fs::write(&gateway.config, at(port)).unwrap();
        gateway.cli_ok(&["reload"]);
        assert_refused(&log_in().await, 502, "The provider cannot be reached");
    }
    assert_eq!(house.provider.upstream.seen().len(), asked, "no code and no secret went there");
}
