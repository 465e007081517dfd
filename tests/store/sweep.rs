//! What has run out is removed, and nothing else.

use portcullis::{
    model::Digest,
    store::{
        Ciphertext, CodeRecord, LoginFailure, RevokedToken, SessionsToEnd, SigningKeyRecord, Swept,
    },
};

use super::support::*;

#[tokio::test]
async fn a_sweep_takes_what_has_run_out_and_leaves_the_rest() {
    let (_place, store, account) = with_account("ada").await;
    for id in ["live", "ended"] {
        store.open_session(&login(id, &account), &[]).await.unwrap();
    }
    store.rotate(&rotation("live", 0), &[]).await.unwrap();
    store.end_sessions(&SessionsToEnd::One("ended".into()), None, NOW, &[]).await.unwrap();
    for (id, hours) in [("gone", 1), ("stays", 3)] {
        let token = RevokedToken { id: id.into(), expires_at: NOW + HOUR * hours };
        store.revoke_token(&token, &[]).await.unwrap();
        let code = CodeRecord {
            realm: realm(),
            purpose: "reset".into(),
            digest: Digest::of(id.as_bytes()),
            account: None,
            payload: serde_json::Value::Null,
            created_at: NOW,
            expires_at: NOW + HOUR * hours,
        };
        store.insert_code(&code, &[]).await.unwrap();
        let key = SigningKeyRecord {
            mount: mount(),
            kid: id.into(),
            algorithm: "HS256".into(),
            private: Ciphertext(vec![1]),
            public: vec![],
            created_at: NOW,
            retired_at: None,
            expires_at: None,
        };
        store.rotate_signing_key(&key, key.created_at, NOW + HOUR, &[]).await.unwrap();
        let failure = LoginFailure {
            realm: realm(),
            name: Digest::of(id.as_bytes()),
            now: NOW,
            threshold: if id == "stays" { 1 } else { 5 },
            lock_for: HOUR * 3,
        };
        store.login_failed(&failure, &[], &[]).await.unwrap();
    }
    let swept = store.sweep(NOW + HOUR * 2, HOUR).await.unwrap();
    let expected = Swept {
        revocations: 1,
        sessions: 1,
        refresh_tokens: 0,
        codes: 1,
        failures: 1,
        signing_keys: 1,
        parcels: 0,
        deliveries: 0,
        issued: 0,
        assertions: 0,
        changes: 0,
    };
    assert_eq!(swept, expected);
    assert!(store.session(&"ended".into()).await.unwrap().is_none());
    assert!(store.refresh_lookup("ended-0").await.unwrap().is_none(), "tokens go along");
    assert!(store.refresh_lookup("live-0").await.unwrap().is_some(), "a replay is still known");
    assert_eq!(revocations(&store, NOW).await[0].id.as_str(), "stays");
    let again = store.sweep(NOW + HOUR * 2, HOUR).await.unwrap();
    assert_eq!(again, Swept::default());
    let later = store.sweep(NOW + HOUR * 14, HOUR).await.unwrap();
    assert_eq!((later.sessions, later.refresh_tokens), (0, 2));
    assert_eq!(store.audit_verify().await.unwrap().fault, None);
}

#[tokio::test]
async fn more_than_one_batch_goes_in_one_sweep() {
    let (place, store) = fresh().await;
    place
        .tamper(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234) \
             INSERT INTO revoked_token (id, expires_at) SELECT 'j' || i, i FROM n",
        )
        .await;
    assert_eq!(store.sweep(NOW, HOUR).await.unwrap().revocations, 1234);
}

/// Told with as many statements as before a trim of the same size, whatever lies behind it.
#[tokio::test]
async fn the_audit_log_is_trimmed_in_parts_of_one_size() {
    let (_place, store) = fresh().await;
    let many: Vec<_> = (0..5_500).map(|_| event("OLD")).collect();
    for part in many.chunks(500) {
        store.audit_append(part).await.unwrap();
    }
    assert_eq!(store.audit_trim(NOW + HOUR, NOW + HOUR * 2).await.unwrap(), 5_000);
    assert_eq!(store.audit_trim(NOW + HOUR, NOW + HOUR * 2).await.unwrap(), 500);
    assert_eq!(store.audit_trim(NOW + HOUR, NOW + HOUR * 2).await.unwrap(), 0);
    assert_eq!(store.audit_verify().await.unwrap().fault, None);
}
