//! The second factor in the store: a code is taken once, and what was replaced opens nothing.

use portcullis::{
    model::Digest,
    store::{Ciphertext, Factor, SpentFactor, StoreError},
};

use super::support::*;

fn seed(text: &str) -> Ciphertext {
    Ciphertext(text.as_bytes().to_vec())
}

fn backup(text: &str) -> SpentFactor {
    SpentFactor { factor: Factor::Backup(Digest::of(text.as_bytes())), now: NOW }
}

fn step(step: i64) -> SpentFactor {
    SpentFactor { factor: Factor::Step(step), now: NOW }
}

#[tokio::test]
async fn a_factor_is_prepared_switched_on_once_and_off() {
    let (_place, store, ada) = with_account("ada").await;
    let codes = [Digest::of(b"one"), Digest::of(b"two")];
    let enable = async |prepared: &str| {
        store.enable_factor(&ada.id, &seed(prepared), 7, &codes, NOW, &[event("ON")]).await
    };
    assert_eq!(enable("first").await, Err(StoreError::Changed), "nothing was prepared");
    store.prepare_factor(&ada.id, &seed("first"), NOW).await.unwrap();
    store.prepare_factor(&ada.id, &seed("second"), NOW).await.unwrap();
    assert_eq!(enable("first").await, Err(StoreError::Changed), "another one was prepared since");
    enable("second").await.unwrap();
    assert_eq!(enable("second").await, Err(StoreError::Changed));
    let over = store.prepare_factor(&ada.id, &seed("third"), NOW).await;
    assert_eq!(over, Err(StoreError::Changed), "it is on");
    let state = store.factor(&ada.id).await.unwrap();
    assert_eq!((state.enabled_at, state.last_step, state.backup_codes), (Some(NOW), Some(7), 2));
    assert_eq!(events(&store).await.iter().filter(|name| *name == "ON").count(), 1);
    store.disable_factor(&ada.id, None, NOW, &[]).await.unwrap();
    let state = store.factor(&ada.id).await.unwrap();
    assert_eq!((state.enabled_at, state.last_step, state.backup_codes), (None, None, 0));
    assert!(state.secret.is_none());
}

#[tokio::test]
async fn a_code_is_taken_once_however_many_present_it() {
    let (_place, store, ada) = with_account("ada").await;
    store.prepare_factor(&ada.id, &seed("s"), NOW).await.unwrap();
    let codes = [Digest::of(b"one"), Digest::of(b"two")];
    store.enable_factor(&ada.id, &seed("s"), 7, &codes, NOW, &[]).await.unwrap();
    for (good, bad) in [(step(8), step(7)), (backup("one"), backup("three"))] {
        let spent = store.spend_factor(&ada.id, &bad, &[event("NO")]).await;
        assert_eq!(spent, Err(StoreError::Spent));
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, id, good) = (store.clone(), ada.id.clone(), good.clone());
            tries.spawn(async move { store.spend_factor(&id, &good, &[]).await });
        }
        let taken = tries.join_all().await.into_iter().filter(Result::is_ok).count();
        assert_eq!(taken, 1);
    }
    assert!(events(&store).await.iter().all(|name| name != "NO"));
    // What was taken switches nothing off and brings no new codes.
    let off = store.disable_factor(&ada.id, Some(&backup("one")), NOW, &[]).await;
    assert_eq!(off, Err(StoreError::Spent));
    let renewed = [Digest::of(b"new")];
    let with = async |spent: &SpentFactor| {
        store.replace_backup_codes(&ada.id, Some(spent), &renewed, NOW, &[]).await
    };
    assert_eq!(with(&step(8)).await, Err(StoreError::Spent));
    with(&step(9)).await.unwrap();
    let old = store.spend_factor(&ada.id, &backup("two"), &[]).await;
    assert_eq!(old, Err(StoreError::Spent), "replaced");
    store.spend_factor(&ada.id, &backup("new"), &[]).await.unwrap();
}
