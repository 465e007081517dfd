//! Failed logins in a row.

use std::time::Duration;

use portcullis::{
    model::{Digest, Timestamp},
    store::{FailureState, LoginFailure, NewSession, PasswordChange, Store},
};

use super::support::*;

const LOCK: Duration = Duration::from_secs(1800);

fn failure(name: &str, now: Timestamp) -> LoginFailure {
    LoginFailure {
        realm: realm(),
        name: Digest::of(name.as_bytes()),
        now,
        threshold: 5,
        lock_for: LOCK,
    }
}

async fn fail(store: &Store, now: Timestamp) -> FailureState {
    let (failed, locked) = ([event("LOGIN_FAILED")], [event("ACCOUNT_LOCKED")]);
    store.login_failed(&failure("ada", now), &failed, &locked).await.unwrap()
}

async fn state(store: &Store) -> FailureState {
    store.login_state(&realm(), &Digest::of(b"ada")).await.unwrap()
}

#[tokio::test]
async fn the_fifth_failure_in_a_row_locks_and_says_so_once() {
    let (_place, store) = fresh().await;
    for count in 1..5 {
        let state = fail(&store, NOW).await;
        assert_eq!(state, FailureState { count, locked_until: None, locked_now: false });
    }
    let locked = fail(&store, NOW).await;
    let until = Some(NOW + LOCK);
    assert_eq!(locked, FailureState { count: 5, locked_until: until, locked_now: true });
    assert_eq!(locked.locked_for(NOW), Some(LOCK));
    // One that was already under way when the lock fell.
    let late = fail(&store, NOW + Duration::from_secs(1)).await;
    assert_eq!(late, FailureState { count: 6, locked_until: until, locked_now: false });
    let names = events(&store).await;
    assert_eq!(names.iter().filter(|name| *name == "LOGIN_FAILED").count(), 6);
    assert_eq!(names.iter().filter(|name| *name == "ACCOUNT_LOCKED").count(), 1);
}

#[tokio::test]
async fn a_lock_runs_out_and_the_count_starts_anew() {
    let (_place, store) = fresh().await;
    for _ in 0..5 {
        fail(&store, NOW).await;
    }
    assert_eq!(state(&store).await.locked_for(NOW + LOCK), None);
    let after = fail(&store, NOW + LOCK).await;
    assert_eq!(after, FailureState { count: 1, locked_until: None, locked_now: false });
}

#[tokio::test]
async fn of_many_at_once_none_is_lost_and_one_locks() {
    let (_place, store) = fresh().await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { fail(&store, NOW).await.locked_now })
        })
        .collect();
    let mut locks = 0;
    for task in tasks {
        locks += usize::from(task.await.unwrap());
    }
    assert_eq!(locks, 1);
    assert_eq!(state(&store).await.count, 16);
}

#[tokio::test]
async fn a_threshold_of_one_locks_at_once() {
    let (_place, store) = fresh().await;
    let strict = LoginFailure { threshold: 1, ..failure("ada", NOW) };
    let state = store.login_failed(&strict, &[], &[event("ACCOUNT_LOCKED")]).await.unwrap();
    assert!(state.locked_now && state.count == 1);
    let again = LoginFailure { now: NOW + LOCK, ..strict };
    let state = store.login_failed(&again, &[], &[event("ACCOUNT_LOCKED")]).await.unwrap();
    assert!(state.locked_now && state.locked_until == Some(NOW + LOCK + LOCK));
}

#[tokio::test]
async fn success_new_password_and_hand_clear_the_count() {
    let (_place, store, account) = with_account("ada").await;
    let name = Digest::of(b"ada");
    fail(&store, NOW).await;
    let new = NewSession { clear_failures: vec![name], ..login("s1", &account) };
    store.open_session(&new, &[]).await.unwrap();
    assert_eq!(state(&store).await, FailureState::default());
    fail(&store, NOW).await;
    let change = PasswordChange {
        account: account.id.clone(),
        hash: "$argon2id$new".into(),
        expected_version: None,
        end: None,
        clear_failures: vec![name],
        now: NOW,
    };
    store.set_password(&change, &[]).await.unwrap();
    assert_eq!(state(&store).await, FailureState::default());
    fail(&store, NOW).await;
    store.clear_failures(&realm(), &name).await.unwrap();
    assert_eq!(state(&store).await, FailureState::default());
}

#[tokio::test]
async fn the_table_is_bounded_and_locks_go_last() {
    let (place, store) = fresh().await;
    // 100,300 old counts, the very oldest of them locked.
    place
        .tamper(if super::ON_POSTGRES {
            "INSERT INTO login_failure (realm, name, count, locked_until, updated_at) \
             SELECT 'main', CAST('n' || i AS BYTEA), 1, CASE WHEN i = 1 THEN 9999999999999 END, i \
             FROM generate_series(1, 100300) i"
        } else {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100300) \
             INSERT INTO login_failure (realm, name, count, locked_until, updated_at) \
             SELECT 'main', CAST('n' || i AS BLOB), 1, CASE WHEN i = 1 THEN 9999999999999 END, i FROM n"
        })
        .await;
    for n in 0..256 {
        store.login_failed(&failure(&format!("new{n}"), NOW), &[], &[]).await.unwrap();
    }
    let mut raw = place.raw().await;
    let rows: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM login_failure").fetch_one(&mut raw).await.unwrap();
    assert_eq!(rows, 100_000);
    let locked: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM login_failure WHERE locked_until > 0")
            .fetch_one(&mut raw)
            .await
            .unwrap();
    assert_eq!(locked, 1);
    let newest = store.login_state(&realm(), &Digest::of(b"new255")).await.unwrap();
    assert_eq!(newest.count, 1);
}
