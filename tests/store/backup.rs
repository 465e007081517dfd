//! Backup while running, and restore.

use std::{
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use portcullis::store::{Options, Store, StoreError};

use super::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_writing_is_whole_and_restores() {
    let (place, store) = fresh().await;
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let writer = tokio::spawn({
        let (store, stop, written) = (store.clone(), stop.clone(), written.clone());
        async move {
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let account = account(&format!("user{n}"));
                store.insert_account(&account, &[event("ACCOUNT_CREATED")]).await.unwrap();
                written.store(n + 1, Ordering::SeqCst);
            }
        }
    });
    while written.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }
    let before = written.load(Ordering::SeqCst);
    let to = place.dir.path().join("backup.db");
    store.backup(&to).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!place.dir.path().join(".backup.db.part").exists());

    let elsewhere = Place::new();
    // Copied around in between, as files are.
    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o644)).unwrap();
    Store::restore(&to, &elsewhere.path).await.unwrap();
    let mode = std::fs::metadata(&elsewhere.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the store is its owner's alone");
    let restored = elsewhere.open().await;
    let accounts = u32::try_from(restored.accounts(None, None, 100_000).await.unwrap().len());
    assert!(accounts.unwrap() >= before, "all that was acknowledged before");
    assert_eq!(restored.node(), store.node());
    let verdict = restored.audit_verify().await.unwrap();
    assert_eq!((verdict.fault, verdict.checked), (None, u64::from(accounts.unwrap())));
}

#[tokio::test]
async fn a_backup_overwrites_nothing() {
    let (place, store) = fresh().await;
    let to = place.dir.path().join("backup.db");
    std::fs::write(&to, b"precious").unwrap();
    assert_eq!(store.backup(&to).await, Err(StoreError::Conflict { field: "file" }));
    assert_eq!(std::fs::read(&to).unwrap(), b"precious");
}

#[tokio::test]
async fn a_restore_brings_back_the_old_state_and_no_left_over_log() {
    let (place, store, ada) = with_account("ada").await;
    let to = place.dir.path().join("backup.db");
    store.backup(&to).await.unwrap();
    store.insert_account(&account("bob"), &[]).await.unwrap();
    // A copy of the log, as a crash would leave it.
    let wal = place.path.with_file_name("store.db-wal");
    let left_over = std::fs::read(&wal).unwrap();
    store.close().await;
    std::fs::write(&wal, left_over).unwrap();
    Store::restore(&to, &place.path).await.unwrap();
    let store = place.open().await;
    assert!(store.account(&ada.id).await.unwrap().is_some());
    assert!(store.account(&"bob".into()).await.unwrap().is_none());
    store.insert_account(&account("bob"), &[event("ACCOUNT_CREATED")]).await.unwrap();
    assert_eq!(store.audit_verify().await.unwrap().fault, None);
}

#[tokio::test]
async fn an_open_store_is_not_replaced() {
    let (place, store) = fresh().await;
    let to = place.dir.path().join("backup.db");
    store.backup(&to).await.unwrap();
    assert_eq!(Store::restore(&to, &place.path).await, Err(StoreError::Locked));
}

#[tokio::test]
async fn only_a_sound_backup_of_ours_is_restored() {
    let (place, store, ada) = with_account("ada").await;
    let good = place.dir.path().join("good.db");
    store.backup(&good).await.unwrap();
    store.close().await;

    let mut bytes = std::fs::read(&good).unwrap();
    let damaged = place.dir.path().join("damaged.db");
    for byte in &mut bytes[4096..12_288] {
        *byte = 0x5a;
    }
    std::fs::write(&damaged, &bytes).unwrap();
    let cut = place.dir.path().join("cut.db");
    std::fs::write(&cut, &std::fs::read(&good).unwrap()[..20_000]).unwrap();
    let text = place.dir.path().join("text.db");
    std::fs::write(&text, vec![b'x'; 5000]).unwrap();
    let empty = place.dir.path().join("empty.db");
    std::fs::write(&empty, b"").unwrap();

    for (file, error) in [
        (damaged, StoreError::Corrupt),
        (cut, StoreError::Corrupt),
        (text, StoreError::Corrupt),
        (empty, StoreError::Schema),
        (place.dir.path().join("missing.db"), StoreError::NotFound),
    ] {
        assert_eq!(Store::restore(&file, &place.path).await, Err(error), "{}", file.display());
    }
    let store = Store::open(&place.path, Options::default()).await.unwrap();
    assert!(store.account(&ada.id).await.unwrap().is_some(), "the old store is untouched");
}
