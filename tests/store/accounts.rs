//! Accounts.

use portcullis::{
    model::secret::ExposeSecret,
    store::{
        AccountRecord, AccountStatus, Ciphertext, Inserted, PasswordChange, Spare, StoreError,
        fold_name,
    },
};

use super::support::*;

#[tokio::test]
async fn an_account_comes_back_as_it_went_in() {
    let (_place, store) = fresh().await;
    let whole = AccountRecord {
        tenant: Some("acme".into()),
        full_name: Some("Ada L".into()),
        first_name: Some("Ada".into()),
        last_name: Some("L".into()),
        email_verified: true,
        totp_secret: Some(Ciphertext(vec![1, 2])),
        totp_enabled_at: Some(NOW),
        preferences: serde_json::json!({ "theme": "dark" }),
        password_changed_at: Some(NOW),
        ..account("ada")
    };
    store.insert_account(&whole, &[event("ACCOUNT_CREATED")]).await.unwrap();
    let read = store.account(&whole.id).await.unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{whole:?}"));
    assert_eq!(read.password_hash.unwrap().expose_secret(), "$argon2id$old");
    assert!(!format!("{whole:?}").contains("argon2id"));
}

#[tokio::test]
async fn names_are_found_in_any_case_by_name_or_address() {
    let (_place, store, _) = with_account("Ada").await;
    for name in ["ada", " ADA ", "ADA@Example.COM"] {
        let found = store.account_by_login(&realm(), name).await.unwrap();
        assert_eq!(found.unwrap().id.as_str(), "Ada", "{name}");
    }
    assert!(store.account_by_login(&realm(), "bob").await.unwrap().is_none());
    assert!(store.account_by_login(&"other".into(), "ada").await.unwrap().is_none());
}

#[tokio::test]
async fn a_taken_name_or_address_is_named() {
    let (_place, store, _) = with_account("ada").await;
    let same_name = AccountRecord { username: Some("ADA".into()), ..account("x") };
    let same_address = AccountRecord { email: Some("Ada@example.com".into()), ..account("x") };
    let name_is_an_address =
        AccountRecord { username: Some("ada@example.com".into()), ..account("x") };
    let same_id = AccountRecord { id: "ada".into(), ..account("x") };
    for (account, field) in [
        (same_name, "username"),
        (same_address, "email"),
        (name_is_an_address, "username"),
        (same_id, "id"),
    ] {
        let refused = store.insert_account(&account, &[event("ACCOUNT_CREATED")]).await;
        assert_eq!(refused, Err(StoreError::Conflict { field }));
    }
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED"], "a refused change records nothing");
}

#[tokio::test]
async fn realms_do_not_share_names() {
    let (_place, store, _) = with_account("ada").await;
    let elsewhere = AccountRecord { id: "ada2".into(), realm: "other".into(), ..account("ada") };
    store.insert_account(&elsewhere, &[]).await.unwrap();
}

#[tokio::test]
async fn accounts_without_a_name_or_address_do_not_collide() {
    let (_place, store) = fresh().await;
    for id in ["a", "b"] {
        store.insert_account(&AccountRecord::new(id.into(), realm(), NOW), &[]).await.unwrap();
    }
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_name() {
    let (_place, store) = fresh().await;
    let tasks = (0..16).map(|n| {
        let store = store.clone();
        let account = AccountRecord { id: format!("id{n}").into(), ..account("ada") };
        tokio::spawn(async move { store.insert_account(&account, &[]).await })
    });
    let mut won = 0;
    for task in tasks.collect::<Vec<_>>() {
        won += usize::from(task.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_names_every_obstacle() {
    let (_place, store, _) = with_account("ada").await;
    let batch =
        [account("bob"), account("ada"), AccountRecord { id: "c".into(), ..account("BOB") }];
    let answer = store.insert_accounts(&batch, &[event("ACCOUNTS_IMPORTED")]).await.unwrap();
    assert_eq!(answer, Inserted::None(vec![(1, "username"), (2, "username")]));
    assert!(store.account(&"bob".into()).await.unwrap().is_none());
    let answer = store.insert_accounts(&batch[..1], &[event("ACCOUNTS_IMPORTED")]).await.unwrap();
    assert_eq!(answer, Inserted::All);
    assert_eq!(events(&store).await, ["ACCOUNT_CREATED", "ACCOUNTS_IMPORTED"]);
}

#[tokio::test]
async fn listing_goes_on_behind_the_last_one() {
    let (_place, store) = fresh().await;
    for (n, name) in ["c", "a", "b"].into_iter().enumerate() {
        let created_at = NOW + HOUR * u32::try_from(n).unwrap();
        store.insert_account(&AccountRecord { created_at, ..account(name) }, &[]).await.unwrap();
    }
    let ids = |accounts: Vec<AccountRecord>| -> Vec<String> {
        accounts.iter().map(|account| account.id.to_string()).collect()
    };
    let first = ids(store.accounts(Some(&realm()), None, 2).await.unwrap());
    assert_eq!(first, ["c", "a"]);
    let rest = ids(store.accounts(None, Some(&"a".into()), 2).await.unwrap());
    assert_eq!(rest, ["b"]);
    assert!(store.accounts(Some(&"other".into()), None, 9).await.unwrap().is_empty());
}

// requirement: 32
#[tokio::test]
async fn disabling_ends_sessions_and_enabling_brings_none_back() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    let change =
        store.set_status(&account.id, AccountStatus::Disabled, NOW, &[event("OFF")]).await.unwrap();
    assert_eq!(change.ended, ["s1".into()]);
    assert!(!change.account.enabled());
    assert_eq!(change.account.version, 1);
    let change =
        store.set_status(&account.id, AccountStatus::Active, NOW, &[event("ON")]).await.unwrap();
    assert!(change.ended.is_empty() && change.account.enabled());
    assert!(store.session(&"s1".into()).await.unwrap().unwrap().ended_at.is_some());
    assert!(store.refresh_lookup("s1-0").await.unwrap().unwrap().family.ended_at.is_some());
}

// requirement: 32
#[tokio::test]
async fn new_roles_end_sessions() {
    let (_place, store, account) = with_account("ada").await;
    store.open_session(&login("s1", &account), &[]).await.unwrap();
    let change = store.set_roles(&account.id, &["ADMIN".into()], NOW, &[event("R")]).await.unwrap();
    assert_eq!(change.account.roles, ["ADMIN"]);
    assert_eq!(change.ended, ["s1".into()]);
}

#[tokio::test]
async fn changing_somebody_unknown_is_not_found_and_records_nothing() {
    let (_place, store) = fresh().await;
    let refused = store.set_roles(&"x".into(), &[], NOW, &[event("R")]).await;
    assert_eq!(refused.unwrap_err(), StoreError::NotFound);
    assert!(events(&store).await.is_empty());
}

#[tokio::test]
async fn a_new_password_spares_the_session_it_is_told_to() {
    let (_place, store, account) = with_account("ada").await;
    for id in ["s1", "s2"] {
        store.open_session(&login(id, &account), &[]).await.unwrap();
    }
    let change = PasswordChange {
        account: account.id.clone(),
        hash: "$argon2id$new".into(),
        expected_version: Some(0),
        end: Some(Spare::One("s1".into())),
        clear_failures: Vec::new(),
        now: NOW,
    };
    let done = store.set_password(&change, &[event("PASSWORD_CHANGE")]).await.unwrap();
    assert_eq!(done.ended, ["s2".into()]);
    assert_eq!(done.account.password_changed_at, Some(NOW));
    let again = store.set_password(&change, &[event("PASSWORD_CHANGE")]).await;
    assert_eq!(again.unwrap_err(), StoreError::Changed, "judged against an older version");
}

#[tokio::test]
async fn a_rehash_does_not_undo_a_change() {
    let (_place, store, account) = with_account("ada").await;
    let (old, better) = ("$argon2id$old".into(), "$argon2id$better".into());
    assert!(store.rehash(&account.id, &old, &better).await.unwrap());
    assert!(!store.rehash(&account.id, &old, &"$argon2id$third".into()).await.unwrap());
    let read = store.account(&account.id).await.unwrap().unwrap();
    assert_eq!(read.password_hash.unwrap().expose_secret(), "$argon2id$better");
    assert_eq!(read.version, 0);
}

#[test]
fn folding_ignores_case_and_outer_blanks() {
    assert_eq!(fold_name(" ÄDA@x "), "äda@x");
}
