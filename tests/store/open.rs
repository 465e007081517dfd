//! Opening, locking, closing.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use portcullis::store::{Options, Store, StoreError};
use sqlx::Connection;

use super::support::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn folder_and_files_are_for_the_owner_only() {
    let (place, store, _) = with_account("ada").await;
    assert_eq!(mode(place.path.parent().unwrap()), 0o700);
    for name in ["store.db", "store.db-wal", "store.db-shm", "store.lock"] {
        assert_eq!(mode(&place.path.with_file_name(name)), 0o600, "{name}");
    }
    drop(store);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let (place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[event("LOGIN_SUCCESS")]).await.unwrap();
    let node = store.node().to_owned();
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.node(), node);
    assert!(store.account(&account.id).await.unwrap().is_some());
    assert!(store.refresh_lookup("s1-0").await.unwrap().is_some());
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED", "LOGIN_SUCCESS"]);
}

#[tokio::test]
async fn opening_may_take_longer_than_a_call() {
    let (place, store, _) = with_account("ada").await;
    let node = store.node().to_owned();
    store.close().await;
    // No file is opened in this time: as on a machine that is very busy at the start.
    let options = Options { call_timeout: Duration::from_nanos(1), ..Options::default() };
    let store = Store::open(&place.path, options).await.expect("open");
    assert_eq!(store.node(), node);
    store.close().await;
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_is_closed() {
    let (place, store) = fresh().await;
    assert!(!Store::lock_is_free(&place.path));
    let second = Store::open(&place.path, Options::default()).await;
    assert_eq!(second.unwrap_err(), StoreError::Locked);
    store.close().await;
    assert!(Store::lock_is_free(&place.path));
    assert!(Store::open(&place.path, Options::default()).await.is_ok());
}

#[tokio::test]
async fn the_lock_of_a_store_that_never_was_is_free() {
    assert!(Store::lock_is_free(&Place::new().path));
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let (_place, store) = fresh().await;
    store.close().await;
    assert_eq!(store.ping().await, Err(StoreError::Unavailable));
    assert_eq!(store.audit_append(&[event("X")]).await, Err(StoreError::Unavailable));
}

#[tokio::test]
async fn a_foreign_database_is_left_alone() {
    let place = Place::new();
    std::fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    std::fs::write(&place.path, b"").unwrap();
    place.tamper("CREATE TABLE somebody_elses (x INTEGER)").await;
    let refused = Store::open(&place.path, Options::default()).await;
    assert_eq!(refused.unwrap_err(), StoreError::Schema);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let place = Place::new();
    std::fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    std::fs::write(&place.path, vec![b'x'; 8192]).unwrap();
    let refused = Store::open(&place.path, Options::default()).await;
    assert_eq!(refused.unwrap_err(), StoreError::Corrupt);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let (place, store) = fresh().await;
    store.close().await;
    place
        .tamper(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'later', 1, x'00', 0)",
        )
        .await;
    let refused = Store::open(&place.path, Options::default()).await;
    assert_eq!(refused.unwrap_err(), StoreError::Schema);
}

#[tokio::test]
async fn the_demo_mark_stays() {
    let (place, store) = fresh().await;
    assert!(!store.is_demo().await.unwrap());
    store.mark_demo().await.unwrap();
    store.mark_demo().await.unwrap();
    store.close().await;
    assert!(place.open().await.is_demo().await.unwrap());
}

// requirement: 40
// limit: 10
#[tokio::test]
async fn a_blocked_writer_answers_in_time_and_does_not_stop_readers() {
    let place = Place::new();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let options = Options {
        call_timeout: Duration::from_millis(200),
        on_call: Some(Arc::new(move |name, ok, _| seen.lock().unwrap().push((name, ok)))),
        ..Options::default()
    };
    let store = Store::open(&place.path, options).await.unwrap();
    let mut raw = place.raw().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut raw).await.unwrap();
    assert_eq!(store.insert_account(&account("ada"), &[]).await, Err(StoreError::Unavailable));
    assert!(store.account(&"ada".into()).await.unwrap().is_none());
    sqlx::query("ROLLBACK").execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    // The connection recovers by itself; how soon depends on SQLite's own wait for the lock.
    let recovered = async {
        while store.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), recovered).await.unwrap();
    store.insert_account(&account("ada"), &[]).await.unwrap();
    let calls = calls.lock().unwrap();
    assert!(calls.contains(&("insert_account", false)));
    assert!(calls.contains(&("account", true)));
    assert!(calls.contains(&("insert_account", true)));
}

#[tokio::test]
async fn an_unwelcome_answer_is_no_trouble_of_the_store() {
    let place = Place::new();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let options = Options {
        on_call: Some(Arc::new(move |name, ok, _| seen.lock().unwrap().push((name, ok)))),
        call_timeout: Duration::from_secs(20),
        ..Options::default()
    };
    let store = Store::open(&place.path, options).await.unwrap();
    store.insert_account(&account("ada"), &[]).await.unwrap();
    store.insert_account(&account("ada"), &[]).await.unwrap_err();
    assert_eq!(*calls.lock().unwrap(), [("insert_account", true), ("insert_account", true)]);
}
