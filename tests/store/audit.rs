//! The audit chain: what was done to it shows.

use portcullis::store::{AuditFault, AuditRecord, AuditVerdict, Store};
use serde_json::json;

use super::support::*;

async fn with_events(count: u32) -> (Place, Store) {
    let (place, store) = fresh().await;
    let records: Vec<_> = (0..count)
        .map(|n| AuditRecord { at: NOW + HOUR * n, details: json!({ "n": n }), ..event("E") })
        .collect();
    store.audit_append(&records).await.unwrap();
    (place, store)
}

async fn fault(store: &Store) -> Option<AuditFault> {
    store.audit_verify().await.unwrap().fault
}

#[tokio::test]
async fn an_event_comes_back_as_it_went_in_newest_first() {
    let (_place, store) = fresh().await;
    let whole = AuditRecord {
        mount: Some(mount()),
        account: Some("ada".into()),
        ip: Some("2001:db8::1".parse().unwrap()),
        user_agent: Some("curl/8".into()),
        request_id: Some("req_1".into()),
        details: json!({ "b": 1, "a": [true, null] }),
        ..event("LOGIN_SUCCESS")
    };
    store.audit_append(&[event("FIRST"), whole.clone()]).await.unwrap();
    let tail = store.audit_tail(1).await.unwrap();
    assert_eq!((tail[0].seq, &tail[0].record), (2, &whole));
    assert_eq!(tail[0].node, store.node());
}

#[tokio::test]
async fn an_untouched_chain_is_whole_over_pages_and_restarts() {
    let (place, store) = with_events(2500).await;
    store.close().await;
    let store = place.open().await;
    store.audit_append(&[event("MORE")]).await.unwrap();
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!(verdict, AuditVerdict { checked: 2501, fault: None });
}

#[tokio::test]
async fn an_empty_chain_is_whole() {
    let (_place, store) = fresh().await;
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict { checked: 0, fault: None });
}

#[tokio::test]
async fn writers_at_once_make_one_chain() {
    let (_place, store) = fresh().await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.audit_append(&[event("E"), event("F")]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict { checked: 64, fault: None });
}

// requirement: 39
#[tokio::test]
async fn an_edit_of_any_column_shows() {
    for edit in [
        "UPDATE audit SET at = at + 1 WHERE seq = 5",
        "UPDATE audit SET event = 'X' WHERE seq = 5",
        "UPDATE audit SET realm = NULL WHERE seq = 5",
        "UPDATE audit SET mount = '' WHERE seq = 5",
        "UPDATE audit SET account_id = 'x' WHERE seq = 5",
        "UPDATE audit SET ip = '::1' WHERE seq = 5",
        "UPDATE audit SET user_agent = 'x' WHERE seq = 5",
        "UPDATE audit SET request_id = 'x' WHERE seq = 5",
        "UPDATE audit SET details = '{}' WHERE seq = 5",
        "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 5",
        "UPDATE audit SET prev_hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 5",
    ] {
        let (place, store) = with_events(10).await;
        assert_eq!(place.tamper(edit).await, 1);
        assert_eq!(fault(&store).await, Some(AuditFault::Edited { seq: 5 }), "{edit}");
    }
}

#[tokio::test]
async fn a_gap_a_cut_and_a_missing_beginning_show() {
    for (cut, shown) in [
        ("DELETE FROM audit WHERE seq = 5", AuditFault::Gap { seq: 5 }),
        ("DELETE FROM audit WHERE seq = 1", AuditFault::Gap { seq: 1 }),
        ("DELETE FROM audit WHERE seq > 7", AuditFault::Cut { seq: 8 }),
        ("DELETE FROM audit", AuditFault::Cut { seq: 1 }),
    ] {
        let (place, store) = with_events(10).await;
        place.tamper(cut).await;
        assert_eq!(fault(&store).await, Some(shown), "{cut}");
    }
}

#[tokio::test]
async fn a_head_that_was_moved_or_removed_shows() {
    let (place, store) = with_events(10).await;
    place.tamper("UPDATE audit_head SET seq = 8").await;
    assert!(fault(&store).await.is_some());
    place.tamper("DELETE FROM audit_head").await;
    assert!(fault(&store).await.is_some());
}

#[tokio::test]
async fn a_beginning_removed_without_a_checkpoint_shows() {
    let (place, store) = with_events(10).await;
    place
        .tamper(
            "UPDATE audit_head SET base_seq = 4, \
             base_hash = (SELECT hash FROM audit WHERE seq = 4)",
        )
        .await;
    place.tamper("DELETE FROM audit WHERE seq <= 4").await;
    assert_eq!(fault(&store).await, Some(AuditFault::Gap { seq: 4 }));
}

// requirement: 39
#[tokio::test]
async fn retention_leaves_a_checkpoint_that_vouches_for_what_went() {
    let (_place, store) = with_events(10).await;
    let late = NOW + HOUR * 100;
    assert_eq!(store.audit_trim(NOW + HOUR * 4, late).await.unwrap(), 4);
    assert_eq!(store.audit_trim(NOW + HOUR * 4, late).await.unwrap(), 0);
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict { checked: 7, fault: None });
    assert_eq!(store.audit_trim(NOW + HOUR * 6, late).await.unwrap(), 2);
    assert_eq!(fault(&store).await, None);
    let newest = &store.audit_tail(1).await.unwrap()[0];
    assert_eq!(newest.record.event, "AUDIT_CHECKPOINT");
    assert_eq!(
        (&newest.record.details["removed"], &newest.record.details["through"]),
        (&json!(2), &json!(6))
    );
    store.audit_trim(late + HOUR, late + HOUR).await.unwrap();
    assert_eq!(fault(&store).await, None, "also when nothing but the checkpoint is left");
}
