//! Refresh: rotation, grace, replay, races (contract rows "Rotation" and "Replay and the family").

use crate::{
    identity::{Actor, Granted, IdentityError, test_kit::*},
    model::secret::ExposeSecret,
};

const REFUSED: IdentityError = IdentityError::InvalidRefreshToken;

async fn logged_in(kit: &Kit) -> Granted {
    kit.user("ada", &["USER"]).await;
    kit.login("ada", GOOD).await.unwrap()
}

#[tokio::test]
async fn a_refresh_gives_new_tokens_of_the_same_session() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let next = kit.refresh(refresh_of(&first)).await.unwrap();
    assert_eq!(next.session, first.session);
    assert_ne!(refresh_of(&next), refresh_of(&first));
    assert_ne!(next.access_token.expose_secret(), first.access_token.expose_secret());
    assert!(!kit.is_revoked(&first) && !kit.is_revoked(&next));
    let last = kit.refresh(refresh_of(&next)).await.unwrap();
    assert_ne!(refresh_of(&last), refresh_of(&next));
    assert_eq!(kit.events().await[2..], ["TOKEN_REFRESH", "TOKEN_REFRESH"]);
}

#[tokio::test]
async fn within_the_grace_window_a_repeat_gives_the_same_successor() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let next = kit.refresh(refresh_of(&first)).await.unwrap();
    kit.advance(9);
    let again = kit.refresh(refresh_of(&first)).await.unwrap();
    assert_eq!(refresh_of(&again), refresh_of(&next), "the family does not fork");
    assert_ne!(again.access_token.expose_secret(), next.access_token.expose_secret());
    kit.refresh(refresh_of(&next)).await.unwrap();
}

#[tokio::test]
async fn once_the_successor_is_spent_a_repeat_is_refused_and_the_family_lives() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let next = kit.refresh(refresh_of(&first)).await.unwrap();
    let last = kit.refresh(refresh_of(&next)).await.unwrap();
    kit.advance(5);
    assert_eq!(kit.refresh(refresh_of(&first)).await.unwrap_err(), REFUSED);
    assert!(!kit.is_revoked(&last));
    kit.refresh(refresh_of(&last)).await.unwrap();
}

#[tokio::test]
async fn after_the_window_a_replay_ends_the_family_and_its_access_tokens() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let next = kit.refresh(refresh_of(&first)).await.unwrap();
    kit.advance(10);
    assert_eq!(kit.refresh(refresh_of(&first)).await.unwrap_err(), REFUSED);
    assert_eq!(kit.refresh(refresh_of(&next)).await.unwrap_err(), REFUSED);
    assert!(kit.is_revoked(&first) && kit.is_revoked(&next));
    assert_eq!(kit.refresh(refresh_of(&first)).await.unwrap_err(), REFUSED);
    let events = kit.events().await;
    assert_eq!(events.iter().filter(|event| *event == "REFRESH_REUSE").count(), 1);
}

// requirement: 31
#[tokio::test]
async fn without_grace_any_replay_ends_the_family() {
    let kit = Kit::open(|all| all.mounts[0].tokens.refresh_grace = Default::default()).await;
    let first = logged_in(&kit).await;
    let next = kit.refresh(refresh_of(&first)).await.unwrap();
    assert_eq!(kit.refresh(refresh_of(&first)).await.unwrap_err(), REFUSED);
    assert_eq!(kit.refresh(refresh_of(&next)).await.unwrap_err(), REFUSED);
}

#[tokio::test]
async fn another_family_is_not_touched_by_a_replay() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let other = kit.login("ada", GOOD).await.unwrap();
    kit.refresh(refresh_of(&first)).await.unwrap();
    kit.advance(11);
    kit.refresh(refresh_of(&first)).await.unwrap_err();
    assert!(!kit.is_revoked(&other));
    kit.refresh(refresh_of(&other)).await.unwrap();
}

#[tokio::test]
async fn of_many_at_once_one_wins_and_all_get_the_same_successor() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let mut races = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (identity, token) =
            (kit.identity.clone(), first.refresh_token.clone().unwrap().clone());
        races.spawn(async move { identity.refresh(&api(), &token, &from("192.0.2.1")).await });
    }
    let answers = races.join_all().await;
    let texts: std::collections::HashSet<_> =
        answers.iter().map(|answer| refresh_of(answer.as_ref().unwrap()).to_owned()).collect();
    assert_eq!(texts.len(), 1);
    kit.refresh(texts.iter().next().unwrap()).await.unwrap();
}

// requirement: 31
#[tokio::test]
async fn without_grace_of_many_at_once_exactly_one_wins() {
    let kit = Kit::open(|all| all.mounts[0].tokens.refresh_grace = Default::default()).await;
    let first = logged_in(&kit).await;
    let mut races = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (identity, token) =
            (kit.identity.clone(), first.refresh_token.clone().unwrap().clone());
        races.spawn(async move { identity.refresh(&api(), &token, &from("192.0.2.1")).await });
    }
    let won = races.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_reusable_token_stays_the_same() {
    let kit = Kit::open(|all| all.mounts[0].tokens.refresh_rotates = false).await;
    let first = logged_in(&kit).await;
    for _ in 0..3 {
        kit.advance(60);
        let again = kit.refresh(refresh_of(&first)).await.unwrap();
        assert_eq!(refresh_of(&again), refresh_of(&first));
    }
}

#[tokio::test]
async fn unknown_changed_and_foreign_tokens_are_refused() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let good = refresh_of(&first).to_owned();
    let (id, _) = good.split_once('.').unwrap();
    let mut changed = good.clone();
    let last = if changed.pop() == Some('A') { 'B' } else { 'A' };
    changed.push(last);
    for token in ["", "x", "x.y", id, &format!("{id}."), &changed, &format!("{good}x")] {
        assert_eq!(kit.refresh(token).await.unwrap_err(), REFUSED, "{token}");
    }
    let other = "other".into();
    let foreign = kit
        .identity
        .refresh(&other, &first.refresh_token.clone().unwrap(), &from("192.0.2.1"))
        .await;
    assert_eq!(foreign.unwrap_err(), REFUSED, "of another mount");
    let access = first.access_token.expose_secret();
    assert_eq!(kit.refresh(access).await.unwrap_err(), REFUSED);
    kit.refresh(&good).await.unwrap();
}

// requirement: 30
#[tokio::test]
async fn the_end_of_a_session_is_absolute() {
    let kit = Kit::open(|all| {
        all.mounts[0].tokens.refresh_lifetime = std::time::Duration::from_secs(100)
    })
    .await;
    let first = logged_in(&kit).await;
    kit.advance(60);
    let next = kit.refresh(refresh_of(&first)).await.unwrap();
    kit.advance(39);
    let last = kit.refresh(refresh_of(&next)).await.unwrap();
    kit.advance(1);
    assert_eq!(kit.refresh(refresh_of(&last)).await.unwrap_err(), REFUSED);
}

#[tokio::test]
async fn a_disabled_account_is_told_so_and_enabled_again_must_log_in() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let id = first.account.id.clone();
    kit.identity.set_enabled(&realm(), &id, false, &Actor::operator()).await.unwrap();
    let refused = kit.refresh(refresh_of(&first)).await.unwrap_err();
    assert_eq!(refused, IdentityError::Disabled);
    kit.identity.set_enabled(&realm(), &id, true, &Actor::operator()).await.unwrap();
    assert_eq!(kit.refresh(refresh_of(&first)).await.unwrap_err(), REFUSED);
}

#[tokio::test]
async fn new_roles_come_with_a_new_login() {
    let kit = Kit::open(|_| ()).await;
    let first = logged_in(&kit).await;
    let id = first.account.id.clone();
    let roles = vec!["readonly".to_owned()];
    kit.identity.set_roles(&realm(), &id, roles, &Actor::operator()).await.unwrap();
    assert!(kit.is_revoked(&first));
    assert_eq!(kit.refresh(refresh_of(&first)).await.unwrap_err(), REFUSED);
    let again = kit.login("ada", GOOD).await.unwrap();
    assert_eq!(kit.claims(&again).unwrap()["roles"], serde_json::json!(["READONLY"]));
}
