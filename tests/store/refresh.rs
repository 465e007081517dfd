//! Refresh tokens: exactly one rotation wins.

use portcullis::store::{AccountStatus, Rotate, Rotation, SessionsToEnd, StoreError};

use super::support::*;

#[tokio::test]
async fn one_look_up_tells_everything_about_a_token() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    let state = store.refresh_lookup("s1-0").await.unwrap().unwrap();
    assert_eq!(state.token, token("s1", 0));
    assert_eq!(Some(state.family), login("s1", &account).family.map(|(family, _)| family));
    assert_eq!(state.session.id.as_str(), "s1");
    assert_eq!(state.account.id, account.id);
    assert!(store.refresh_lookup("none").await.unwrap().is_none());
}

#[tokio::test]
async fn of_32_rotations_at_once_exactly_one_wins() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let store = store.clone();
            let mut rotate = rotation("s1", 0);
            rotate.successor.id = format!("successor-{n}");
            tokio::spawn(async move { store.rotate(&rotate, &[event("TOKEN_REFRESH")]).await })
        })
        .collect();
    let (mut won, mut lost) = (0, 0);
    for task in tasks {
        match task.await.unwrap().unwrap() {
            Rotation::Won => won += 1,
            Rotation::Lost(state) => {
                let state = state.unwrap();
                assert_eq!(state.family.generation, 1, "the successor is unspent");
                assert_eq!(state.token.spent_at, Some(NOW + HOUR));
                lost += 1;
            }
        }
    }
    assert_eq!((won, lost), (1, 31));
    let refreshes = events(&store).await.iter().filter(|name| *name == "TOKEN_REFRESH").count();
    assert_eq!(refreshes, 1);
}

#[tokio::test]
async fn a_chain_of_rotations_moves_the_session_on() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    let later = NOW + HOUR * 48;
    for generation in 0..3 {
        let rotate = Rotate { expires_at: later, ..rotation("s1", generation) };
        assert!(matches!(store.rotate(&rotate, &[]).await.unwrap(), Rotation::Won));
    }
    let state = store.refresh_lookup("s1-3").await.unwrap().unwrap();
    assert_eq!(state.family.generation, 3);
    assert_eq!(state.family.expires_at, later);
    assert_eq!((state.session.last_seen_at, state.session.expires_at), (NOW + HOUR, later));
    assert!(store.refresh_lookup("s1-0").await.unwrap().unwrap().token.spent_at.is_some());
}

#[tokio::test]
async fn nothing_rotates_in_a_dead_house() {
    let (_place, store, account) = with_account("ada").await;
    for id in ["family", "session", "expired", "account"] {
        store.open_session(&login(id, &account), &[]).await.unwrap();
    }
    assert!(store.end_family("family", NOW, &[event("REUSE")]).await.unwrap());
    assert!(!store.end_family("family", NOW, &[event("REUSE")]).await.unwrap());
    store.end_sessions(&SessionsToEnd::One("session".into()), None, NOW, &[]).await.unwrap();
    let expired = Rotate { now: NOW + HOUR * 12, ..rotation("expired", 0) };
    let lost = |answer| matches!(answer, Rotation::Lost(Some(_)));
    assert!(lost(store.rotate(&rotation("family", 0), &[]).await.unwrap()));
    assert!(lost(store.rotate(&rotation("session", 0), &[]).await.unwrap()));
    assert!(lost(store.rotate(&expired, &[]).await.unwrap()));
    // Still unspent: a lost rotation changes nothing, not even half.
    let state = store.refresh_lookup("expired-0").await.unwrap().unwrap();
    assert_eq!((state.family.generation, state.token.spent_at), (0, None));
    store.set_status(&account.id, AccountStatus::Disabled, NOW, &[]).await.unwrap();
    assert!(lost(store.rotate(&rotation("account", 0), &[]).await.unwrap()));
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED", "REUSE"]);
}

#[tokio::test]
async fn a_reusable_token_is_never_spent() {
    let (_place, store, account) = with_account("ada").await;
    let mut new = login("s1", &account);
    new.family.as_mut().unwrap().0.reusable = true;
    store.open_session(&new, &[]).await.unwrap();
    let answer = store.rotate(&rotation("s1", 0), &[]).await.unwrap();
    assert!(matches!(answer, Rotation::Lost(Some(state)) if state.token.spent_at.is_none()));
}

#[tokio::test]
async fn a_successor_of_another_family_or_place_is_our_own_fault() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    let elsewhere = Rotate { successor: token("s2", 1), ..rotation("s1", 0) };
    assert_eq!(store.rotate(&elsewhere, &[]).await.unwrap_err(), StoreError::Internal);
    let skipping = Rotate { successor: token("s1", 2), ..rotation("s1", 0) };
    assert_eq!(store.rotate(&skipping, &[]).await.unwrap_err(), StoreError::Internal);
}

#[tokio::test]
async fn an_unknown_token_loses_without_a_state() {
    let (_place, store) = fresh().await;
    let answer = store.rotate(&rotation("none", 0), &[event("TOKEN_REFRESH")]).await.unwrap();
    assert!(matches!(answer, Rotation::Lost(None)));
    assert!(events(&store).await.is_empty());
}
