//! Logout and the operator's hand on sessions.

use std::time::Duration;

use crate::{
    identity::{Actor, IdentityError, test_kit::*},
    store::{AccountStatus, SessionsToEnd, Spare},
};

const MINUTE: Duration = Duration::from_secs(60);
const REFUSED: IdentityError = IdentityError::InvalidRefreshToken;

#[tokio::test]
async fn logout_kills_the_access_token_and_its_refresh_token() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    for with_token in [true, false] {
        let granted = kit.login("ada", GOOD).await.unwrap();
        let other = kit.login("ada", GOOD).await.unwrap();
        let caller = kit.principal(&granted);
        let named = with_token.then_some(granted.refresh_token.as_ref().unwrap());
        kit.identity.logout(&caller, named, &from("192.0.2.1")).await.unwrap();
        assert!(kit.is_revoked(&granted) && !kit.is_revoked(&other));
        assert_eq!(kit.refresh(refresh_of(&granted)).await.unwrap_err(), REFUSED);
        kit.refresh(refresh_of(&other)).await.unwrap();
        kit.identity.logout(&caller, named, &from("192.0.2.1")).await.unwrap();
    }
    assert!(kit.events().await.contains(&"LOGOUT".to_owned()));
}

#[tokio::test]
async fn an_unknown_or_foreign_refresh_token_at_logout_ends_only_the_callers_session() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    kit.user("bob", &["USER"]).await;
    let bob = kit.login("bob", GOOD).await.unwrap();
    for named in ["x.y", "", refresh_of(&bob)] {
        let ada = kit.login("ada", GOOD).await.unwrap();
        let caller = kit.principal(&ada);
        let named = named.into();
        kit.identity.logout(&caller, Some(&named), &from("192.0.2.1")).await.unwrap();
        assert!(kit.is_revoked(&ada));
        assert_eq!(kit.refresh(refresh_of(&ada)).await.unwrap_err(), REFUSED);
    }
    assert!(!kit.is_revoked(&bob));
    kit.refresh(refresh_of(&bob)).await.unwrap();
}

#[tokio::test]
async fn a_refresh_token_of_another_own_session_ends_that_session() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let (here, there) =
        (kit.login("ada", GOOD).await.unwrap(), kit.login("ada", GOOD).await.unwrap());
    let caller = kit.principal(&here);
    kit.identity
        .logout(&caller, Some(there.refresh_token.as_ref().unwrap()), &from("192.0.2.1"))
        .await
        .unwrap();
    assert!(kit.is_revoked(&here) && kit.is_revoked(&there));
    assert_eq!(kit.refresh(refresh_of(&there)).await.unwrap_err(), REFUSED);
}

#[tokio::test]
async fn the_operator_lists_and_ends_sessions() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    let live = kit.identity.sessions(Some(&realm()), Some(&ada.id), 10).await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!((&live[0].id, live[0].name.as_deref()), (&granted.session, Some("ada")));
    assert_eq!(live[0].user_agent.as_deref(), Some("test/1"));
    for _ in 0..2 {
        kit.identity.end_session(&granted.session, &Actor::operator()).await.unwrap();
    }
    assert!(kit.is_revoked(&granted));
    assert_eq!(kit.refresh(refresh_of(&granted)).await.unwrap_err(), REFUSED);
    assert_eq!(kit.identity.sessions(None, None, 10).await.unwrap(), []);
    let unknown = kit.identity.end_session(&"nope".into(), &Actor::operator()).await;
    assert_eq!(unknown, Err(IdentityError::NotFound));
    let events = kit.events().await;
    assert_eq!(events.iter().filter(|event| *event == "SESSION_ENDED").count(), 1);
}

#[tokio::test]
async fn a_session_that_expired_by_itself_is_ended_for_the_tokens_that_outlive_it() {
    let kit = Kit::open(|all| all.mounts[0].tokens.refresh_lifetime = MINUTE).await;
    let ada = kit.user("ada", &["USER"]).await;
    let by_operator = kit.login("ada", GOOD).await.unwrap();
    let by_account = kit.login("ada", GOOD).await.unwrap();
    kit.advance(120);
    kit.identity.end_session(&by_operator.session, &Actor::operator()).await.unwrap();
    assert!(kit.is_revoked(&by_operator));
    kit.identity.set_enabled(&realm(), &ada.id, false, &Actor::operator()).await.unwrap();
    assert!(kit.is_revoked(&by_account), "its access token lives for an hour");
    let kit = kit.reopen(|_| ()).await;
    assert!(kit.is_revoked(&by_operator) && kit.is_revoked(&by_account));
}

#[tokio::test]
async fn a_sweep_forgets_what_no_token_can_need_any_more() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    kit.identity.logout(&kit.principal(&granted), None, &from("192.0.2.1")).await.unwrap();
    assert_eq!(kit.identity.gauges().revocations, 2);
    kit.advance(3600);
    kit.sweep().await.unwrap();
    assert!(kit.is_revoked(&granted), "the edge's leeway lets it live a little longer");
    kit.advance(2 * 24 * 3600);
    kit.sweep().await.unwrap();
    assert_eq!(kit.identity.gauges().revocations, 0);
    assert!(kit.identity.healthy().await);
}

#[tokio::test]
async fn a_change_tried_again_tells_the_view_what_its_first_try_has_ended() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    // As if the store had answered too late the first time.
    let off = AccountStatus::Disabled;
    kit.identity.inner.store.set_status(&ada.id, off, START, &[]).await.unwrap();
    assert!(!kit.is_revoked(&granted));
    kit.identity.set_enabled(&realm(), &ada.id, false, &Actor::operator()).await.unwrap();
    assert!(kit.is_revoked(&granted));
}

#[tokio::test]
async fn an_ended_session_is_ended_again_for_the_view() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    let which = SessionsToEnd::One(granted.session.clone());
    kit.identity.inner.store.end_sessions(&which, None, START, &[]).await.unwrap();
    kit.identity.end_session(&granted.session, &Actor::operator()).await.unwrap();
    assert!(kit.is_revoked(&granted));
}

// requirement: 10
#[tokio::test]
async fn a_clock_that_jumps_forward_and_back_brings_no_ended_token_back() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    kit.identity.logout(&kit.principal(&granted), None, &from("192.0.2.1")).await.unwrap();
    kit.advance(10 * 365 * 24 * 3600);
    kit.identity.sweep(START + MINUTE).await.unwrap();
    assert!(kit.is_revoked(&granted));
    let mut stored = 0;
    kit.identity.inner.store.live_revocations(START, |_| stored += 1).await.unwrap();
    assert_eq!(stored, 1, "nor after a restart");
}

#[tokio::test]
async fn a_sweep_catches_up_with_what_the_view_has_missed() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    // As if the store had answered too late: it is done there, and nobody here knows.
    let which = SessionsToEnd::Account(ada.id, Spare::Nothing);
    kit.identity.inner.store.end_sessions(&which, None, START, &[]).await.unwrap();
    assert!(!kit.is_revoked(&granted));
    kit.sweep().await.unwrap();
    assert!(kit.is_revoked(&granted));
}
