//! API keys.

use portcullis::store::{AccountStatus, KeyRecord, KeyUse, StoreError};

use super::support::*;

#[tokio::test]
async fn evidence_is_key_and_owner_at_its_own_mount() {
    let (_place, store, account) = with_account("ada").await;
    store.insert_key(&key("k1", &account.id), &[event("API_KEY_CREATED")]).await.unwrap();
    let found = store.key(&mount(), &"k1".into()).await.unwrap().unwrap();
    assert_eq!(found.key, key("k1", &account.id));
    assert_eq!(found.owner.id, account.id);
    assert!(store.key(&"other".into(), &"k1".into()).await.unwrap().is_none());
    assert!(store.key(&mount(), &"k2".into()).await.unwrap().is_none());
}

#[tokio::test]
async fn only_an_account_that_may_log_in_gets_a_key() {
    let (_place, store, account) = with_account("ada").await;
    let elsewhere = KeyRecord { realm: "other".into(), ..key("k1", &account.id) };
    assert_eq!(store.insert_key(&elsewhere, &[]).await, Err(StoreError::Changed));
    store.set_status(&account.id, AccountStatus::Disabled, NOW, &[]).await.unwrap();
    let refused = store.insert_key(&key("k1", &account.id), &[event("API_KEY_CREATED")]).await;
    assert_eq!(refused, Err(StoreError::Changed));
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED"]);
}

#[tokio::test]
async fn an_id_is_given_once() {
    let (_place, store, account) = with_account("ada").await;
    store.insert_key(&key("k1", &account.id), &[]).await.unwrap();
    let again = store.insert_key(&key("k1", &account.id), &[]).await;
    assert_eq!(again, Err(StoreError::Conflict { field: "id" }));
}

#[tokio::test]
async fn lists_go_by_owner_and_by_id() {
    let (_place, store, ada) = with_account("ada").await;
    let bob = account("bob");
    store.insert_account(&bob, &[]).await.unwrap();
    let later = KeyRecord { created_at: NOW + HOUR, ..key("k2", &ada.id) };
    let other = KeyRecord { mount: "other".into(), ..key("k4", &ada.id) };
    for key in [key("k1", &ada.id), later, key("k3", &bob.id), other] {
        store.insert_key(&key, &[]).await.unwrap();
    }
    let ids = |keys: Vec<KeyRecord>| keys.iter().map(|k| k.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(store.keys_of(&mount(), &ada.id).await.unwrap()), ["k2", "k1"]);
    assert_eq!(ids(store.keys(None, None, 3).await.unwrap()), ["k1", "k2", "k3"]);
    assert_eq!(ids(store.keys(None, Some(&"k3".into()), 3).await.unwrap()), ["k4"]);
    assert_eq!(ids(store.keys(Some(&mount()), Some(&"k1".into()), 1).await.unwrap()), ["k2"]);
}

#[tokio::test]
async fn a_revocation_keeps_its_first_time_and_event() {
    let (_place, store, account) = with_account("ada").await;
    store.insert_key(&key("k1", &account.id), &[]).await.unwrap();
    let id = "k1".into();
    for now in [NOW, NOW + HOUR] {
        let key = store.revoke_key(&mount(), &id, now, &[event("API_KEY_REVOKED")]).await.unwrap();
        assert_eq!(key.revoked_at, Some(NOW));
    }
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED", "API_KEY_REVOKED"]);
    let foreign = store.revoke_key(&"other".into(), &id, NOW, &[]).await;
    assert_eq!(foreign.unwrap_err(), StoreError::NotFound);
}

#[tokio::test]
async fn a_rotated_key_ends_after_the_overlap_and_is_rotated_once() {
    let (_place, store, account) = with_account("ada").await;
    store.insert_key(&key("k1", &account.id), &[]).await.unwrap();
    let until = NOW + HOUR;
    let new = key("k2", &account.id);
    let old = store.rotate_key(&"k1".into(), &new, until, NOW, &[event("ROT")]).await.unwrap();
    assert_eq!((old.expires_at, old.replaced_by), (Some(until), Some("k2".into())));
    assert!(store.key(&mount(), &"k2".into()).await.unwrap().is_some());
    let third = key("k3", &account.id);
    let again = store.rotate_key(&"k1".into(), &third, until, NOW, &[event("ROT")]).await;
    assert_eq!(again.unwrap_err(), StoreError::Changed);
    assert!(store.key(&mount(), &"k3".into()).await.unwrap().is_none());
    let unknown = store.rotate_key(&"none".into(), &third, until, NOW, &[]).await;
    assert_eq!(unknown.unwrap_err(), StoreError::NotFound);
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED", "ROT"]);
}

#[tokio::test]
async fn an_overlap_never_prolongs_a_key_and_a_revoked_one_has_no_successor() {
    let (_place, store, account) = with_account("ada").await;
    let short = KeyRecord { expires_at: Some(NOW + HOUR), ..key("k1", &account.id) };
    store.insert_key(&short, &[]).await.unwrap();
    let until = NOW + HOUR * 5;
    let old =
        store.rotate_key(&"k1".into(), &key("k2", &account.id), until, NOW, &[]).await.unwrap();
    assert_eq!(old.expires_at, Some(NOW + HOUR));
    store.revoke_key(&mount(), &"k2".into(), NOW, &[]).await.unwrap();
    let refused = store.rotate_key(&"k2".into(), &key("k3", &account.id), until, NOW, &[]).await;
    assert_eq!(refused.unwrap_err(), StoreError::Changed);
}

#[tokio::test]
async fn uses_add_up_and_the_newest_time_stays() {
    let (_place, store, account) = with_account("ada").await;
    store.insert_key(&key("k1", &account.id), &[]).await.unwrap();
    let uses = |count, last_used_at| KeyUse { id: "k1".into(), count, last_used_at };
    let gone = KeyUse { id: "gone".into(), ..uses(1, NOW) };
    store.add_usage(&[uses(3, NOW + HOUR), gone, uses(2, NOW)]).await.unwrap();
    store.add_usage(&[]).await.unwrap();
    let key = store.key(&mount(), &"k1".into()).await.unwrap().unwrap().key;
    assert_eq!((key.usage_count, key.last_used_at), (5, Some(NOW + HOUR)));
}

#[tokio::test]
async fn uses_of_very_many_keys_are_added_with_few_statements() {
    let (place, store, _) = with_account("ada").await;
    place
        .tamper(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) \
             INSERT INTO api_key (id, mount, realm, owner_id, name, hint, digest, scopes, allowed_ips, created_at, \
             usage_count) SELECT 'k' || i, 'api', 'main', 'ada', 'n', 'h', '', '[]', '[]', i, 0 FROM n",
        )
        .await;
    let uses: Vec<KeyUse> = (1..=450)
        .map(|n| KeyUse { id: format!("k{n}").as_str().into(), count: n, last_used_at: NOW })
        .collect();
    for _ in 0..2 {
        store.add_usage(&uses).await.unwrap();
    }
    let mut raw = place.raw().await;
    let sum: i64 = sqlx::query_scalar(
        "SELECT CAST(SUM(usage_count) AS BIGINT) FROM api_key WHERE last_used_at > 0",
    )
    .fetch_one(&mut raw)
    .await
    .unwrap();
    assert_eq!(sum, 450 * 451);
}
