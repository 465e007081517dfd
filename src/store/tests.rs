//! What can only be provoked from inside: a full disk, callers that give up, and how queries find their rows.

use std::time::Duration;

use super::*;
use crate::model::Timestamp;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

async fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { call_timeout: Duration::from_secs(20), ..Options::default() };
    let store = Store::open(&dir.path().join("store.db"), options).await.unwrap();
    (dir, store)
}

fn account(name: String) -> AccountRecord {
    AccountRecord {
        username: Some(name.clone()),
        full_name: Some("x".repeat(2000)),
        ..AccountRecord::new(name.into(), "main".into(), NOW)
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reads_and_passes() {
    let (_dir, store) = open().await;
    let created = AuditRecord::new("ACCOUNT_CREATED", NOW);
    let mut stored = 0;
    for _ in 0..3 {
        // Holds for the present connection; the next one sees a disk with room again.
        sqlx::query("PRAGMA max_page_count = 1").execute(&store.inner.writer).await.unwrap();
        let refused = loop {
            let account = account(format!("a{stored}"));
            match store.insert_account(&account, std::slice::from_ref(&created)).await {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, StoreError::Unavailable);
        assert_eq!(store.accounts(None, None, 1000).await.unwrap().len(), stored);
    }
    store.insert_account(&account("late".into()), &[created]).await.unwrap();
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!((verdict.fault, verdict.checked), (None, stored as u64 + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_leave_no_half_change_and_no_stuck_writer() {
    let (_dir, store) = open().await;
    for n in 0..200_u64 {
        let store = store.clone();
        let call = tokio::spawn(async move {
            let created = AuditRecord::new("ACCOUNT_CREATED", NOW);
            store.insert_account(&account(format!("a{n}")), &[created]).await
        });
        for _ in 0..n % 40 {
            tokio::task::yield_now().await;
        }
        call.abort();
    }
    store.insert_account(&account("last".into()), &[]).await.unwrap();
    let accounts = store.accounts(None, None, 1000).await.unwrap().len() as u64 - 1;
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!(
        (verdict.fault, verdict.checked),
        (None, accounts),
        "an event for each, and no more"
    );
}

#[tokio::test]
async fn a_bounded_call_ends_in_time() {
    let (_dir, store) = open().await;
    let never = std::future::pending::<Result<(), StoreError>>();
    let answer = store.bounded_by(Duration::from_millis(5), "never", never).await;
    assert_eq!(answer, Err(StoreError::Unavailable));
}

#[tokio::test]
async fn the_connections_are_set_up_for_durability() {
    let (_dir, store) = open().await;
    for pool in [&store.inner.writer, &store.inner.readers] {
        let number = async |sql: &'static str| -> i64 {
            sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
        };
        assert_eq!(number("PRAGMA synchronous").await, 2, "FULL");
        assert_eq!(number("PRAGMA foreign_keys").await, 1);
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
        assert_eq!(journal, "wal");
    }
    let stray = sqlx::query("DELETE FROM meta").execute(store.readers()).await;
    assert!(stray.is_err(), "readers cannot write");
}

#[tokio::test]
async fn the_hot_queries_use_their_indexes() {
    let (_dir, store) = open().await;
    for sql in [
        "EXPLAIN QUERY PLAN SELECT 1 FROM account a WHERE a.realm = 'r' \
         AND (a.username_key = 'n' OR a.email_key = 'n')",
        "EXPLAIN QUERY PLAN SELECT 1 FROM api_key k JOIN account a ON a.id = k.owner_id \
         WHERE k.id = 'i' AND k.mount = 'm'",
        "EXPLAIN QUERY PLAN SELECT 1 FROM refresh_token t JOIN refresh_family f \
         ON f.id = t.family_id JOIN session s ON s.id = f.session_id \
         JOIN account a ON a.id = s.account_id WHERE t.id = 'i'",
        "EXPLAIN QUERY PLAN UPDATE session SET ended_at = 1 WHERE ended_at IS NULL \
         AND expires_at > 1 AND id IN (SELECT id FROM session WHERE id = 'i' \
         UNION SELECT id FROM session WHERE account_id = 'a')",
        "EXPLAIN QUERY PLAN SELECT id, ended_at FROM session WHERE ended_at >= 5",
        "EXPLAIN QUERY PLAN SELECT id FROM revoked_token WHERE expires_at <= 5 LIMIT 9",
        "EXPLAIN QUERY PLAN SELECT MIN(seq) FROM audit WHERE node = 'n' AND at >= 5 AND seq <= 9",
        "EXPLAIN QUERY PLAN SELECT 1 FROM session WHERE mount = 'm' AND realm < 'r' AND ended_at IS NULL \
         UNION ALL SELECT 1 FROM session WHERE mount = 'm' AND realm > 'r' AND ended_at IS NULL LIMIT 1",
        "EXPLAIN QUERY PLAN SELECT 1 FROM session s JOIN account a ON a.id = s.account_id \
         WHERE s.ended_at IS NULL AND s.expires_at > 5 AND s.account_id = 'a' ORDER BY s.created_at DESC LIMIT 9",
        "EXPLAIN QUERY PLAN SELECT * FROM audit ORDER BY at DESC, seq DESC LIMIT 9",
    ] {
        let plan = sqlx::query(sql).fetch_all(store.readers()).await.unwrap();
        for row in &plan {
            let step: String = rows::get(row, "detail").unwrap();
            assert!(!step.starts_with("SCAN") || step.contains("USING"), "{step}: {sql}");
        }
    }
}
