//! What the store promises the logins through a provider. The way over the wire is played in `tests/contract/hh`.

use std::sync::Arc;

use serde_json::json;

use crate::{
    identity::test_kit::{Kit, START, realm},
    model::{AccountId, Digest, Timestamp},
    store::{
        AccountRecord, AuditRecord, Ciphertext, CodeRecord, ForeignKey, ForeignLogin,
        ForeignTokens, LoggedIn, Redeem, Redeemed, SessionRecord, Store, StoreError,
    },
};

fn key(subject: &str) -> ForeignKey {
    ForeignKey { realm: realm(), provider: "p".into(), subject: subject.into() }
}

fn tokens(text: &str) -> ForeignTokens {
    let sealed = Some(Ciphertext(text.as_bytes().to_vec()));
    ForeignTokens { access: sealed.clone(), refresh: sealed, expires_at: None, generation: 0 }
}

fn event() -> AuditRecord {
    AuditRecord::new("LOGIN_SUCCESS", START)
}

fn login(subject: &str, code: &str) -> ForeignLogin {
    let account = AccountRecord {
        username: Some(format!("p:{subject}")),
        ..AccountRecord::new(format!("account-of-{subject}").into(), realm(), START)
    };
    let code = CodeRecord {
        realm: realm(),
        purpose: "exchange".into(),
        digest: Digest::of(code.as_bytes()),
        account: None,
        payload: json!({}),
        created_at: START,
        expires_at: Timestamp(START.0 + 1000),
    };
    ForeignLogin { key: key(subject), account, profile: json!({}), tokens: tokens("a"), code }
}

fn redeem(code: &str, session: &str) -> Redeem {
    let session = SessionRecord {
        id: session.into(),
        secret: Some(Digest::of(session.as_bytes())),
        realm: realm(),
        mount: "m".into(),
        account: AccountId::from(""),
        name: None,
        created_at: START,
        last_seen_at: START,
        expires_at: Timestamp(START.0 + 10_000),
        ended_at: None,
        ip: None,
        user_agent: None,
        device: None,
    };
    let (purpose, spent) = ("exchange".to_owned(), "spent".to_owned());
    Redeem { realm: realm(), purpose, spent, digest: Digest::of(code.as_bytes()), session }
}

async fn redeemed(store: &Store, code: &str, session: &str) -> Result<Redeemed, StoreError> {
    store.redeem_for_session(&redeem(code, session), START, &event(), &event()).await
}

#[tokio::test]
async fn only_who_is_on_the_list_gets_an_account_and_numbers_are_counted() {
    let kit = Kit::open(|_| ()).await;
    let store = &kit.identity.inner.store;
    let first = store.foreign_login(&login("7", "c1"), START, &event()).await.unwrap();
    assert_eq!(first, LoggedIn::NotAllowed);
    assert!(store.foreign_identity(&key("7")).await.unwrap().is_none());

    for (subject, number) in [("7", 1), ("8", 2)] {
        assert_eq!(store.allow(&key(subject), None, START, &[]).await.unwrap().number, number);
        store.foreign_login(&login(subject, subject), START, &event()).await.unwrap();
        let found = store.foreign_identity(&key(subject)).await.unwrap().unwrap();
        assert_eq!((found.number, found.account.username), (number, Some(format!("p:{subject}"))));
    }
    // The same person again: the same account, the tokens replaced, the generation counted.
    let again = store.foreign_login(&login("7", "c2"), START, &event()).await.unwrap();
    assert_eq!(again, LoggedIn::Done("account-of-7".into()));
    assert_eq!(store.foreign_identity(&key("7")).await.unwrap().unwrap().tokens.generation, 1);
    // The same id at another provider is another person.
    let other = ForeignKey { provider: "q".into(), ..key("7") };
    assert!(store.foreign_identity(&other).await.unwrap().is_none());
    store.disallow(&key("7"), false, START, &[]).await.unwrap();
    let gone = store.foreign_login(&login("7", "c3"), START, &event()).await.unwrap();
    assert_eq!(gone, LoggedIn::NotAllowed);
}

#[tokio::test]
async fn a_name_that_somebody_has_is_left_out_and_joins_nobody() {
    let kit = Kit::open(|_| ()).await;
    let store = &kit.identity.inner.store;
    let taken = AccountRecord {
        username: Some("P:7".into()),
        ..AccountRecord::new("somebody".into(), realm(), START)
    };
    store.insert_account(&taken, &[]).await.unwrap();
    store.allow(&key("7"), None, START, &[]).await.unwrap();
    store.foreign_login(&login("7", "c"), START, &event()).await.unwrap();
    let found = store.foreign_identity(&key("7")).await.unwrap().unwrap();
    assert_ne!(found.account.id, taken.id);
    assert_eq!(found.account.username, None);
}

// requirement: 34
#[tokio::test]
async fn of_many_trades_of_one_code_one_opens_a_session() {
    let kit = Kit::open(|_| ()).await;
    let store = kit.identity.inner.store.clone();
    store.allow(&key("7"), None, START, &[]).await.unwrap();
    store.foreign_login(&login("7", "c"), START, &event()).await.unwrap();
    let mut trading = tokio::task::JoinSet::new();
    for number in 0..10 {
        let store = store.clone();
        trading.spawn(async move { redeemed(&store, "c", &format!("s{number}")).await.unwrap() });
    }
    let (mut opened, mut again) = (0, 0);
    while let Some(done) = trading.join_next().await {
        match done.unwrap() {
            Redeemed::Opened(_) => opened += 1,
            Redeemed::Again(who) => {
                assert_eq!(who, Some("account-of-7".into()));
                again += 1;
            }
            Redeemed::Unknown => panic!("it is known"),
        }
    }
    assert_eq!((opened, again), (1, 9));
    assert_eq!(store.live_sessions(None, None, START, 100).await.unwrap().len(), 1);
    assert_eq!(redeemed(&store, "other", "s").await, Ok(Redeemed::Unknown));
}

#[tokio::test]
async fn a_code_of_an_account_that_was_disabled_meanwhile_opens_nothing() {
    let kit = Kit::open(|_| ()).await;
    let store = &kit.identity.inner.store;
    store.allow(&key("7"), None, START, &[]).await.unwrap();
    store.foreign_login(&login("7", "c"), START, &event()).await.unwrap();
    let status = crate::store::AccountStatus::Disabled;
    store.set_status(&"account-of-7".into(), status, START, &[]).await.unwrap();
    assert_eq!(redeemed(store, "c", "s").await, Err(StoreError::Changed));
    assert!(store.live_sessions(None, None, START, 100).await.unwrap().is_empty());
    let refused = store.foreign_login(&login("7", "c2"), START, &event()).await.unwrap();
    assert_eq!(refused, LoggedIn::Disabled("account-of-7".into()));
}

#[tokio::test]
async fn tokens_are_replaced_only_by_who_has_seen_the_present_ones() {
    let kit = Kit::open(|_| ()).await;
    let store = Arc::new(kit.identity.inner.store.clone());
    store.allow(&key("7"), None, START, &[]).await.unwrap();
    store.foreign_login(&login("7", "c"), START, &event()).await.unwrap();
    let replace = |seen, text: &'static str| {
        let store = store.clone();
        async move { store.replace_foreign_tokens(&key("7"), seen, &tokens(text), START, &[]).await }
    };
    assert_eq!(replace(0, "b").await, Ok(true));
    assert_eq!(replace(0, "c").await, Ok(false));
    let found = store.foreign_identity(&key("7")).await.unwrap().unwrap();
    assert_eq!(found.tokens, ForeignTokens { generation: 1, ..tokens("b") });
}

#[tokio::test]
async fn the_tokens_go_with_the_last_session() {
    let kit = Kit::open(|_| ()).await;
    let store = &kit.identity.inner.store;
    store.allow(&key("7"), None, START, &[]).await.unwrap();
    for (code, session) in [("c1", "s1"), ("c2", "s2")] {
        store.foreign_login(&login("7", code), START, &event()).await.unwrap();
        redeemed(store, code, session).await.unwrap();
    }
    let account = AccountId::from("account-of-7");
    for (session, left) in [("s1", true), ("s2", false)] {
        assert!(store.end_foreign_session(&session.into(), &account, START, &[]).await.unwrap());
        let found = store.foreign_identity(&key("7")).await.unwrap().unwrap();
        assert_eq!(found.tokens.access.is_some(), left, "{session}");
    }
    assert!(!store.end_foreign_session(&"s2".into(), &account, START, &[]).await.unwrap());
}
