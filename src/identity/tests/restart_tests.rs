//! What survives a stop: sessions, revocations, signing keys; and how settings and keys change while running.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::{
    identity::{Actor, Granted, IdentityError, test_kit::*},
    model::secret::ExposeSecret,
    pipeline::jwt::VerificationKey,
};

#[tokio::test]
async fn tokens_and_their_ends_survive_a_restart() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let lives = kit.login("ada", GOOD).await.unwrap();
    let spent = kit.login("ada", GOOD).await.unwrap();
    let next = kit.refresh(refresh_of(&spent)).await.unwrap();
    let ended = kit.login("ada", GOOD).await.unwrap();
    kit.identity.logout(&kit.principal(&ended), None, &from("192.0.2.1")).await.unwrap();

    let kit = kit.reopen(|_| ()).await;
    assert!(kit.claims(&lives).is_some(), "the signing key is the same");
    assert!(kit.is_revoked(&ended) && !kit.is_revoked(&lives));
    let again = kit.refresh(refresh_of(&spent)).await.unwrap();
    assert_eq!(refresh_of(&again), refresh_of(&next), "the grace window outlives a restart");
    kit.refresh(refresh_of(&lives)).await.unwrap();
    let unwritten = kit.identity.gauges().revocations;
    assert_eq!(unwritten, 2, "a token and its session");
}

#[tokio::test]
async fn a_new_signing_key_logs_nobody_out_until_their_tokens_have_expired() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let before = kit.login("ada", GOOD).await.unwrap();
    let kid = kit.identity.rotate_signing_key(&api(), &Actor::operator()).await.unwrap();
    let keys = kit.identity.verification_keys(&api());
    assert_eq!((keys.len(), &*keys[0].kid), (2, kid.as_str()), "newest first");
    let between = kit.login("ada", GOOD).await.unwrap();
    assert!(!verifies(&between, &keys[0]), "the edge does not know the new key yet");
    kit.identity.sign_with_newest(&api()).await;
    let after = kit.login("ada", GOOD).await.unwrap();
    assert!(verifies(&after, &keys[0]));
    assert!(kit.claims(&before).is_some() && kit.claims(&after).is_some());
    kit.advance(3600 + 59);
    assert!(kit.claims(&before).is_some(), "within the edge's leeway");
    kit.advance(1);
    assert!(kit.claims(&before).is_none() && kit.claims(&after).is_some());
    assert_eq!(kit.identity.verification_keys(&api()).len(), 1);
    assert_eq!(kit.events().await.iter().filter(|e| *e == "SIGNING_KEY_ROTATED").count(), 1);

    let kit = kit.reopen(|_| ()).await;
    assert!(kit.claims(&after).is_some());
}

fn verifies(granted: &Granted, key: &VerificationKey) -> bool {
    let (message, signature) = granted.access_token.expose_secret().rsplit_once('.').unwrap();
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, key.algorithm).unwrap()
}

#[tokio::test]
async fn mounts_never_share_a_signing_key() {
    let kit = Kit::open(|_| ()).await;
    let own = kit.identity.verification_keys(&api());
    let other = kit.identity.verification_keys(&"other".into());
    assert_ne!(own[0].kid, other[0].kid);
    assert_ne!(own[0].key.try_get_as_bytes().unwrap(), other[0].key.try_get_as_bytes().unwrap());
    assert!(kit.identity.verification_keys(&"unknown".into()).is_empty());
}

#[tokio::test]
async fn a_change_of_algorithm_makes_a_key_and_never_mixes_the_kinds() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let with = |algorithm: Algorithm| {
        let mut all = settings();
        all.mounts[0].tokens.algorithm = algorithm;
        all
    };
    let algorithms = |kit: &Kit| {
        let keys = kit.identity.verification_keys(&api());
        keys.iter().map(|key| key.algorithm).collect::<Vec<_>>()
    };
    kit.identity.reconfigure(with(Algorithm::ES256)).await.unwrap();
    assert_eq!(algorithms(&kit), [Algorithm::ES256]);
    let token = kit.login("ada", GOOD).await.unwrap();
    kit.advance(1);
    kit.identity.reconfigure(with(Algorithm::EdDSA)).await.unwrap();
    assert_eq!(algorithms(&kit), [Algorithm::EdDSA, Algorithm::ES256]);
    assert!(kit.claims(&token).is_some());
    let token = kit.login("ada", GOOD).await.unwrap();
    assert!(kit.claims(&token).is_some());
}

#[tokio::test]
async fn an_operators_secret_is_used_as_it_is() {
    let secret = "an operator's secret of enough bytes";
    let kit = Kit::open(|all| all.mounts[0].tokens.secret = Some(secret.into())).await;
    kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    let token = granted.access_token.expose_secret();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
    let good = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::HS256);
    assert_eq!(good.ok(), Some(true));
    let refused = kit.identity.rotate_signing_key(&api(), &Actor::operator()).await;
    assert!(matches!(refused, Err(IdentityError::Invalid(_))));
    let mut short = settings();
    short.mounts[0].tokens.secret = Some("short".into());
    assert_eq!(kit.identity.reconfigure(short).await, Err(IdentityError::Internal));
    kit.login("ada", GOOD).await.unwrap();
}

#[tokio::test]
async fn a_mount_that_changes_its_realm_takes_nobody_along() {
    let moved = || {
        let mut all = settings();
        all.realms.push(crate::identity::RealmSettings { name: "new".into(), rules: rules() });
        all.mounts[0].realm = "new".into();
        all
    };
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let before = kit.login("ada", GOOD).await.unwrap();
    kit.identity.reconfigure(moved()).await.unwrap();
    assert!(kit.is_revoked(&before));
    assert_eq!(
        kit.refresh(refresh_of(&before)).await.unwrap_err(),
        IdentityError::InvalidRefreshToken
    );
    assert_eq!(kit.events().await.last().map(String::as_str), Some("SESSION_ENDED"));
    // Nor after the way back: what has ended stays so.
    kit.identity.reconfigure(settings()).await.unwrap();
    assert!(kit.is_revoked(&before));
    kit.refresh(refresh_of(&before)).await.unwrap_err();

    let before = kit.login("ada", GOOD).await.unwrap();
    let kit = kit.reopen(|all| *all = moved()).await;
    assert!(kit.is_revoked(&before), "also when the file changed between two runs");
}

#[tokio::test]
async fn new_settings_hold_from_the_next_call_on() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let mut all = settings();
    all.mounts.push(mount("third", "main"));
    all.mounts[0].tokens.access_lifetime = Duration::from_secs(600);
    all.hashing.iterations = 2;
    kit.identity.reconfigure(all).await.unwrap();
    assert_eq!(kit.login("ada", GOOD).await.unwrap().expires_in, 600);
    assert_eq!(kit.identity.verification_keys(&"third".into()).len(), 1);
}
