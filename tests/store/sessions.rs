//! Sessions and revoked tokens.

use portcullis::{
    model::Digest,
    store::{
        AccountStatus, EndedSession, NewSession, RevokedToken, SessionRecord, SessionsToEnd, Spare,
        StoreError,
    },
};

use super::support::*;

// requirement: 39
#[tokio::test]
async fn a_login_leaves_session_token_time_and_event() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[event("LOGIN_SUCCESS")]).await.unwrap();
    let read = store.session(&"s1".into()).await.unwrap().unwrap();
    assert_eq!(read, SessionRecord { name: Some("ada".into()), ..session("s1", &account.id) });
    let account = store.account(&account.id).await.unwrap().unwrap();
    assert_eq!(account.last_login_at, Some(NOW));
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED", "LOGIN_SUCCESS"]);
}

#[tokio::test]
async fn a_session_is_found_by_the_digest_of_its_secret() {
    let (_place, store, account) = with_account("ada").await;
    let secret = Digest::of(b"secret");
    let session = SessionRecord { secret: Some(secret), ..session("s1", &account.id) };
    let new = NewSession {
        session,
        family: None,
        account_version: 0,
        clear_failures: Vec::new(),
        factor: None,
    };
    store.open_session(&new, &[]).await.unwrap();
    assert_eq!(store.session_by_secret(&secret).await.unwrap().unwrap().id.as_str(), "s1");
    assert!(store.session_by_secret(&Digest::of(b"other")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_login_judged_before_a_change_opens_nothing() {
    let (_place, store, account) = with_account("ada").await;
    store.set_roles(&account.id, &[], NOW, &[]).await.unwrap();
    let late = store.open_session(&login("s1", &account), &[event("LOGIN_SUCCESS")]).await;
    assert_eq!(late, Err(StoreError::Changed));
    let off = store.set_status(&account.id, AccountStatus::Disabled, NOW, &[]).await.unwrap();
    let disabled = store.open_session(&login("s2", &off.account), &[]).await;
    assert_eq!(disabled, Err(StoreError::Changed));
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED"]);
}

#[tokio::test]
async fn only_live_sessions_are_listed_newest_first() {
    let (_place, store, account) = with_account("ada").await;
    for (id, hours) in [("old", 0), ("new", 1), ("ended", 2)] {
        let mut new = login(id, &account);
        new.session.created_at = NOW + HOUR * hours;
        store.open_session(&new, &[]).await.unwrap();
    }
    store.end_sessions(&SessionsToEnd::One("ended".into()), None, NOW, &[]).await.unwrap();
    let list = store.live_sessions(Some(&realm()), Some(&account.id), NOW, 9).await.unwrap();
    assert_eq!(list.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["new", "old"]);
    assert_eq!(store.live_sessions(None, None, NOW, 1).await.unwrap().len(), 1);
    assert!(store.live_sessions(None, Some(&"bob".into()), NOW, 9).await.unwrap().is_empty());
    let elsewhere = store.live_sessions(Some(&"other".into()), Some(&account.id), NOW, 9).await;
    assert!(elsewhere.unwrap().is_empty());
    assert!(store.live_sessions(None, None, NOW + HOUR * 25, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn touching_moves_only_a_live_session() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    assert!(store.touch_session(&"s1".into(), NOW + HOUR, &[event("R")]).await.unwrap());
    let read = store.session(&"s1".into()).await.unwrap().unwrap();
    assert_eq!(read.last_seen_at, NOW + HOUR);
    assert!(!store.touch_session(&"s1".into(), NOW + HOUR * 25, &[event("R")]).await.unwrap());
    store.end_sessions(&SessionsToEnd::One("s1".into()), None, NOW, &[]).await.unwrap();
    assert!(!store.touch_session(&"s1".into(), NOW + HOUR, &[event("R")]).await.unwrap());
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED", "R"]);
}

#[tokio::test]
async fn ending_takes_the_family_along_and_tells_once() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    let which = SessionsToEnd::One("s1".into());
    let jti = RevokedToken { id: "jti".into(), expires_at: NOW + HOUR };
    let ended = store.end_sessions(&which, Some(&jti), NOW, &[event("LOGOUT")]).await.unwrap();
    assert_eq!(ended, ["s1".into()]);
    let again = store.end_sessions(&which, Some(&jti), NOW, &[event("LOGOUT")]).await.unwrap();
    assert!(again.is_empty());
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED", "LOGOUT"]);
    assert_eq!(store.refresh_lookup("s1-0").await.unwrap().unwrap().family.ended_at, Some(NOW));
    assert_eq!(revocations(&store, NOW).await, [jti]);
    let since = ended_since(&store, NOW).await;
    assert_eq!(since, [EndedSession { id: "s1".into(), ended_at: NOW }]);
    assert!(ended_since(&store, NOW + HOUR).await.is_empty());
}

#[tokio::test]
async fn a_session_that_has_expired_can_still_be_ended() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    let later = NOW + HOUR * 25;
    let which = SessionsToEnd::One("s1".into());
    let ended = store.end_sessions(&which, None, later, &[event("LOGOUT")]).await.unwrap();
    assert_eq!(ended, ["s1".into()]);
    assert_eq!(ended_since(&store, later).await.len(), 1);
}

#[tokio::test]
async fn an_accounts_sessions_end_together_and_nobody_elses() {
    let (_place, store, ada) = with_account("ada").await;
    let bob = account("bob");
    store.insert_account(&bob, &[]).await.unwrap();
    for (id, whose) in [("a1", &ada), ("a2", &ada), ("a3", &ada), ("b1", &bob)] {
        store.open_session(&login(id, whose), &[]).await.unwrap();
    }
    let but_one = SessionsToEnd::Account(ada.id.clone(), Spare::One("a2".into()));
    let mut ended = store.end_sessions(&but_one, None, NOW, &[]).await.unwrap();
    ended.sort();
    assert_eq!(ended, ["a1".into(), "a3".into()]);
    let all = SessionsToEnd::Account(ada.id.clone(), Spare::Nothing);
    assert_eq!(store.end_sessions(&all, None, NOW, &[]).await.unwrap(), ["a2".into()]);
    assert!(store.session(&"b1".into()).await.unwrap().unwrap().ended_at.is_none());
}

#[tokio::test]
async fn a_revocation_is_kept_until_the_token_would_have_ended() {
    let (_place, store) = fresh().await;
    let token = RevokedToken { id: "jti".into(), expires_at: NOW + HOUR };
    store.revoke_token(&token, &[event("LOGOUT")]).await.unwrap();
    store.revoke_token(&token, &[event("LOGOUT")]).await.unwrap();
    assert_eq!(revocations(&store, NOW).await, [token]);
    assert!(revocations(&store, NOW + HOUR).await.is_empty());
    assert_eq!(events(&store).await, ["LOGOUT"]);
}

#[tokio::test]
async fn sessions_of_another_realm_are_ended_on_both_sides_of_its_name() {
    let (place, store, account) = with_account("ada").await;
    for id in ["own", "before", "behind", "elsewhere", "ended"] {
        store.open_session(&login(id, &account), &[]).await.unwrap();
    }
    for sql in [
        "UPDATE session SET realm = 'a-realm' WHERE id = 'before'",
        "UPDATE session SET realm = 'z-realm' WHERE id IN ('behind', 'elsewhere')",
        "UPDATE session SET mount = 'other' WHERE id = 'elsewhere'",
        "UPDATE session SET realm = 'a-realm', ended_at = 1 WHERE id = 'ended'",
    ] {
        place.tamper(sql).await;
    }
    let (mount, realm) = (mount(), realm());
    let end = || store.end_foreign_sessions(&mount, &realm, NOW, &[]);
    let mut ended = end().await.unwrap();
    ended.sort();
    assert_eq!(ended, ["before".into(), "behind".into()]);
    assert!(end().await.unwrap().is_empty());
}
