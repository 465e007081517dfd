//! Keys of the standard issuer: published before they sign, replaced on a schedule, kept until their last token has ended.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use crate::identity::{Actor, AuthorizationServerSettings, Settings, issuer_keys, test_kit::*};

const DAY: u64 = 24 * 3600;

fn with_issuer(settings: &mut Settings) {
    settings.mounts[0].authorization_server = Some(Arc::new(AuthorizationServerSettings {
        issuer: "https://auth.example.org".into(),
        audience: "https://auth.example.org".into(),
        algorithm: Algorithm::ES256,
        access_lifetime: Duration::from_secs(3600),
        refresh_lifetime: Duration::from_secs(3600),
        rotate_every: Some(Duration::from_secs(DAY)),
        publish_ahead: Duration::from_secs(600),
        login: true,
        bind_certificates: false,
        includes: Vec::new(),
    }));
}

fn signing(kit: &Kit) -> String {
    let (_, keys) = kit.identity.key_facts(&api()).unwrap().pop().unwrap();
    keys.into_iter().find(|key| key.signs).unwrap().kid.to_string()
}

#[tokio::test]
async fn a_key_is_published_for_its_time_before_it_signs_and_a_restart_changes_nothing() {
    let kit = Kit::open(with_issuer).await;
    let set = issuer_keys(&api());
    let known = |kit: &Kit| kit.identity.verification_keys(&set).len();
    let first = signing(&kit);
    let second = kit.identity.rotate_signing_key(&set, &Actor::operator()).await.unwrap();
    kit.identity.sign_with_newest(&set).await;
    assert_eq!((signing(&kit), known(&kit)), (first.clone(), 2));
    kit.advance(599);
    let kit = kit.reopen(with_issuer).await;
    assert_eq!(signing(&kit), first);
    kit.advance(1);
    assert_eq!(signing(&kit), second);
    kit.advance(3600 + 59);
    assert_eq!(known(&kit), 2, "a token of the last moment may still live");
    kit.advance(2);
    assert_eq!(known(&kit), 1);
    // The contract's own key is another one.
    assert_eq!(kit.identity.verification_keys(&api()).len(), 1);
}

#[tokio::test]
async fn a_key_never_signs_before_the_edge_knows_it() {
    let kit = Kit::open(with_issuer).await;
    let set = issuer_keys(&api());
    let first = signing(&kit);
    let second = kit.identity.rotate_signing_key(&set, &Actor::operator()).await.unwrap();
    kit.advance(1200);
    assert_eq!(signing(&kit), first);
    kit.identity.sign_with_newest(&set).await;
    assert_eq!(signing(&kit), second);
}

#[tokio::test]
async fn a_key_is_due_when_it_is_as_old_as_the_schedule_says() {
    let kit = Kit::open(with_issuer).await;
    let set = issuer_keys(&api());
    let age = |kit: &Kit| {
        let ages = kit.identity.key_ages();
        ages.into_iter().find(|(name, _)| *name == set).unwrap().1.as_secs()
    };
    assert_eq!(age(&kit), 0);
    kit.advance(DAY - 1);
    assert!(kit.identity.keys_due().is_empty());
    kit.advance(1);
    assert_eq!(age(&kit), DAY);
    assert_eq!(kit.identity.keys_due(), std::slice::from_ref(&set));
    kit.identity.rotate_signing_key(&set, &Actor::operator()).await.unwrap();
    assert!(kit.identity.keys_due().is_empty(), "also while it does not sign yet");
    assert_eq!(age(&kit), 0);
}
