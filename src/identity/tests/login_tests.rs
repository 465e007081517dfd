//! Login: order of checks, lock, throttle, rehash.

use std::time::Duration;

use crate::{
    identity::{IdentityError, LoginThrottle, PasswordPolicy, test_kit::*},
    model::secret::ExposeSecret,
};

const LOCK: Duration = Duration::from_secs(1800);

fn locked_for(seconds: u64) -> IdentityError {
    IdentityError::Locked { retry_after: LOCK - Duration::from_secs(seconds), by_this: false }
}

fn locked_now() -> IdentityError {
    IdentityError::Locked { retry_after: LOCK, by_this: true }
}

#[tokio::test]
async fn the_right_password_opens_a_session_by_name_and_by_address_in_any_case() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    let one = kit.login("Ada", GOOD).await.unwrap();
    let two = kit.login("ADA@example.org", GOOD).await.unwrap();
    assert_eq!(one.account.id, ada.id);
    assert_eq!(one.expires_in, 3600);
    assert_eq!(one.account.last_login_at, Some(START));
    assert_ne!(one.access_token.expose_secret(), two.access_token.expose_secret());
    assert_ne!(refresh_of(&one), refresh_of(&two));
    let claims = kit.claims(&one).unwrap();
    assert_eq!(claims["sub"], ada.id.as_str());
    assert_eq!(claims["agent_namespace"], "default");
    assert!(claims["jti"].as_str().unwrap().len() >= 16);
    let (id, secret) = refresh_of(&one).split_once('.').unwrap();
    assert!(id.len() >= 32 && secret.len() >= 32);
    assert_eq!(kit.events().await, ["ACCOUNT_CREATED", "LOGIN_SUCCESS", "LOGIN_SUCCESS"]);
}

// requirement: 28
#[tokio::test]
async fn unknown_names_and_wrong_passwords_answer_alike_and_lock_alike() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    for name in ["ada", "nobody"] {
        for _ in 0..4 {
            let failed = kit.login(name, "wrong").await.unwrap_err();
            assert_eq!(failed, IdentityError::InvalidCredentials);
        }
        assert_eq!(kit.login(name, "wrong").await.unwrap_err(), locked_now(), "the fifth locks");
        kit.advance(60);
        assert_eq!(kit.login(name, GOOD).await.unwrap_err(), locked_for(60), "even the right one");
    }
    let events = kit.events().await;
    assert_eq!(events.iter().filter(|event| *event == "LOGIN_FAILED").count(), 10);
    assert_eq!(events.iter().filter(|event| *event == "ACCOUNT_LOCKED").count(), 2);
}

#[tokio::test]
async fn a_lock_ends_by_itself_and_success_resets_the_count() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    for _ in 0..5 {
        kit.login("ada", "wrong").await.unwrap_err();
    }
    kit.advance(1799);
    assert!(matches!(kit.login("ada", GOOD).await, Err(IdentityError::Locked { .. })));
    kit.advance(1);
    kit.login("ada", GOOD).await.unwrap();
    for _ in 0..2 {
        kit.limiter.forget();
        for _ in 0..4 {
            let failed = kit.login("ada", "wrong").await.unwrap_err();
            assert_eq!(failed, IdentityError::InvalidCredentials);
        }
        kit.login("ada", GOOD).await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_tells_nobody_which_address_belongs_to_which_name() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    for name in ["ada", "ADA", " Ada", "aDa"] {
        kit.login(name, "wrong").await.unwrap_err();
    }
    assert_eq!(kit.login("ada", "wrong").await.unwrap_err(), locked_now(), "one name, any case");
    let other = kit.login("ada@example.org", "wrong").await.unwrap_err();
    assert_eq!(other, IdentityError::InvalidCredentials);
}

#[tokio::test]
async fn a_success_under_one_name_clears_the_counts_of_both() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    for good in ["ada", "Ada@Example.org"] {
        kit.limiter.forget();
        for name in ["ada", "ada@example.org"] {
            for _ in 0..4 {
                kit.login(name, "wrong").await.unwrap_err();
            }
        }
        kit.login(good, GOOD).await.unwrap();
    }
    let failed = kit.login("ada", "wrong").await.unwrap_err();
    assert_eq!(failed, IdentityError::InvalidCredentials);
}

#[tokio::test]
async fn the_throttle_counts_failures_only_and_per_address_and_name() {
    let kit = Kit::open(|all| all.realms[0].rules.lockout = None).await;
    kit.user("ada", &["USER"]).await;
    for _ in 0..30 {
        kit.login("ada", GOOD).await.unwrap();
    }
    for _ in 0..10 {
        assert_eq!(kit.login("ada", "x").await.unwrap_err(), IdentityError::InvalidCredentials);
    }
    assert!(matches!(kit.login("ada", GOOD).await, Err(IdentityError::Throttled(_))));
    kit.login_from("198.51.100.7", "ada", GOOD).await.unwrap();
    assert_eq!(kit.login("bob", "x").await.unwrap_err(), IdentityError::InvalidCredentials);
    kit.limiter.forget();
    kit.login("ada", GOOD).await.unwrap();
}

#[tokio::test]
async fn the_throttle_per_address_folds_ipv6_to_its_network() {
    let kit = Kit::open(|all| {
        let window = crate::pipeline::Window { limit: 3, per: Duration::from_secs(60) };
        all.realms[0].rules.throttle =
            LoginThrottle { per_address: vec![window], ..LoginThrottle::default() };
    })
    .await;
    for name in ["a1", "a2", "a3"] {
        let address = format!("2001:db8::{}", &name[1..]);
        let failed = kit.login_from(&address, name, "x").await.unwrap_err();
        assert_eq!(failed, IdentityError::InvalidCredentials);
    }
    let refused = kit.login_from("2001:db8::ffff", "a4", "x").await.unwrap_err();
    assert!(matches!(refused, IdentityError::Throttled(_)));
    let other = kit.login_from("2001:db8:0:1::1", "a4", "x").await.unwrap_err();
    assert_eq!(other, IdentityError::InvalidCredentials);
}

#[tokio::test]
async fn locked_is_said_before_throttled() {
    let kit = Kit::open(|all| {
        let window = crate::pipeline::Window { limit: 5, per: Duration::from_secs(60) };
        all.realms[0].rules.throttle.per_address_and_name = vec![window];
    })
    .await;
    for _ in 0..5 {
        kit.login("nobody", "x").await.unwrap_err();
    }
    assert_eq!(kit.login("nobody", "x").await.unwrap_err(), locked_for(0));
}

#[tokio::test]
async fn a_disabled_account_is_named_only_to_who_knows_the_password() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    kit.identity.set_enabled(&realm(), &ada.id, false, &op()).await.unwrap();
    assert_eq!(kit.login("ada", "wrong").await.unwrap_err(), IdentityError::InvalidCredentials);
    assert_eq!(kit.login("ada", GOOD).await.unwrap_err(), IdentityError::Disabled);
    kit.identity.set_enabled(&realm(), &ada.id, true, &op()).await.unwrap();
    kit.login("ada", GOOD).await.unwrap();
}

#[tokio::test]
async fn parallel_guesses_never_get_more_answers_than_the_lock_allows() {
    let kit = Kit::open(|all| {
        all.realms[0].rules.throttle = LoginThrottle::default();
        all.hashing.permits = 4;
    })
    .await;
    kit.user("ada", &["USER"]).await;
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..24 {
        let identity = kit.identity.clone();
        guesses.spawn(async move {
            let password = format!("guess {number}").into();
            let request = crate::identity::Login {
                name: "ada".into(),
                password,
                device: None,
                remember: false,
                second_factor: None,
            };
            identity.login(&api(), request, &from("192.0.2.1")).await.unwrap_err()
        });
    }
    let answers = guesses.join_all().await;
    let judged = |error: &&IdentityError| **error == IdentityError::InvalidCredentials;
    assert_eq!(answers.iter().filter(judged).count(), 4, "the other twenty hear of the lock");
    let events = kit.events().await;
    assert_eq!(events.iter().filter(|event| *event == "ACCOUNT_LOCKED").count(), 1);
}

// requirement: 26
#[tokio::test]
async fn an_imported_bcrypt_hash_is_replaced_at_the_first_login() {
    let kit = Kit::open(|_| ()).await;
    let hash = bcrypt::hash("legacy secret", 10).unwrap();
    let line = format!("{{\"username\":\"old\",\"password_hash\":\"{hash}\"}}");
    let report = kit.identity.import(&realm(), &line, &op()).await.unwrap();
    assert_eq!((report.imported, report.refused.len()), (1, 0));
    let stored = async || {
        let found = kit.identity.inner.store.account_by_login(&realm(), "old").await.unwrap();
        found.unwrap().password_hash.unwrap().expose_secret().to_owned()
    };
    kit.login("old", "Legacy secret").await.unwrap_err();
    assert_eq!(stored().await, hash);
    kit.login("old", "legacy secret").await.unwrap();
    let new = stored().await;
    assert!(new.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{new:.30}");
    kit.login("old", "legacy secret").await.unwrap();
    assert_eq!(stored().await, new, "good enough hashes stay");
}

#[tokio::test]
async fn a_set_password_lifts_the_lock() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    for name in ["ada", "ada@example.org"] {
        for _ in 0..5 {
            kit.login(name, "wrong").await.unwrap_err();
        }
    }
    kit.limiter.forget();
    let new = "An0ther-Enough!".into();
    let policy = PasswordPolicy::Enforce;
    kit.identity.set_password(&realm(), &ada.id, &new, policy, &op()).await.unwrap();
    kit.login("ada", "An0ther-Enough!").await.unwrap();
    kit.login("ada@example.org", "An0ther-Enough!").await.unwrap();
}

#[tokio::test]
async fn odd_names_and_passwords_are_simply_wrong() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let long = "x".repeat(5000);
    for (name, password) in [("", ""), ("\u{0}", "x"), (&long, "x"), ("ada", &long)] {
        let failed = kit.login(name, password).await.unwrap_err();
        assert_eq!(failed, IdentityError::InvalidCredentials);
    }
}

fn op() -> crate::identity::Actor {
    crate::identity::Actor::operator()
}
