//! Signing keys, named secrets and one-time codes.

use portcullis::{
    model::Digest,
    store::{Ciphertext, CodeRecord, SigningKeyRecord, StoreError},
};

use super::support::*;

fn signing_key(kid: &str) -> SigningKeyRecord {
    SigningKeyRecord {
        mount: mount(),
        kid: kid.into(),
        algorithm: "HS256".into(),
        private: Ciphertext(kid.as_bytes().to_vec()),
        public: Vec::new(),
        created_at: NOW,
        retired_at: None,
        expires_at: None,
    }
}

fn code(text: &str) -> CodeRecord {
    CodeRecord {
        realm: realm(),
        purpose: "reset".into(),
        digest: Digest::of(text.as_bytes()),
        account: None,
        payload: serde_json::json!({ "n": 1 }),
        created_at: NOW,
        expires_at: NOW + HOUR,
    }
}

#[tokio::test]
async fn the_first_signing_key_of_mount_and_algorithm_wins() {
    let (_place, store) = fresh().await;
    for kid in ["one", "two"] {
        let winner = store.ensure_signing_key(&signing_key(kid), &[event("MADE")]).await.unwrap();
        assert_eq!(winner, signing_key("one"));
    }
    let other = SigningKeyRecord { algorithm: "RS256".into(), ..signing_key("rsa") };
    assert_eq!(store.ensure_signing_key(&other, &[]).await.unwrap().kid, "rsa");
    assert_eq!(events(&store).await, ["MADE"]);
    assert_eq!(store.signing_keys(Some(&mount()), NOW).await.unwrap().len(), 2);
    assert!(store.signing_keys(Some(&"other".into()), NOW).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_rotated_signing_key_verifies_until_its_tokens_are_gone() {
    let (_place, store) = fresh().await;
    store.ensure_signing_key(&signing_key("one"), &[]).await.unwrap();
    let new = SigningKeyRecord { created_at: NOW + HOUR, ..signing_key("two") };
    store.rotate_signing_key(&new, new.created_at, NOW + HOUR * 2, &[event("ROT")]).await.unwrap();
    let kids = |keys: Vec<SigningKeyRecord>| keys.into_iter().map(|k| k.kid).collect::<Vec<_>>();
    assert_eq!(kids(store.signing_keys(None, NOW + HOUR).await.unwrap()), ["two", "one"]);
    assert_eq!(kids(store.signing_keys(None, NOW + HOUR * 2).await.unwrap()), ["two"]);
    assert_eq!(store.ensure_signing_key(&signing_key("x"), &[]).await.unwrap().kid, "two");
}

#[tokio::test]
async fn a_named_secret_is_made_once() {
    let (_place, store) = fresh().await;
    let first = Ciphertext(vec![1]);
    assert_eq!(store.ensure_secret("refresh", &first, NOW).await.unwrap(), first);
    assert_eq!(store.ensure_secret("refresh", &Ciphertext(vec![2]), NOW).await.unwrap(), first);
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_code() {
    let (_place, store) = fresh().await;
    store.insert_code(&code("c"), &[event("CODE")]).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let digest = Digest::of(b"c");
                store.take_code(&realm(), "reset", &digest, NOW, &[event("TAKEN")]).await.unwrap()
            })
        })
        .collect();
    let mut got = Vec::new();
    for task in tasks {
        got.extend(task.await.unwrap());
    }
    assert_eq!(got, [code("c")]);
    assert_eq!(events(&store).await, ["CODE", "TAKEN"]);
}

#[tokio::test]
async fn a_code_is_good_for_its_purpose_and_time_only() {
    let (_place, store, account) = with_account("ada").await;
    let mine = CodeRecord { account: Some(account.id.clone()), ..code("c") };
    store.insert_code(&mine, &[]).await.unwrap();
    let taken = store.insert_code(&mine, &[]).await;
    assert_eq!(taken, Err(StoreError::Conflict { field: "id" }));
    let digest = Digest::of(b"c");
    assert!(store.take_code(&realm(), "verify", &digest, NOW, &[]).await.unwrap().is_none());
    assert!(store.take_code(&realm(), "reset", &digest, NOW + HOUR, &[]).await.unwrap().is_none());
    store.void_codes(&account.id, "reset").await.unwrap();
    assert!(store.take_code(&realm(), "reset", &digest, NOW, &[]).await.unwrap().is_none());
}
