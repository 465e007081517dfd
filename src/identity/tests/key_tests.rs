//! API keys: made within one's rights, evident to the edge, rotated, revoked, counted.

use std::time::Duration;

use crate::{
    identity::{ApiKey, IdentityError, NewKey, NewKeyText, test_kit::*},
    model::{AuthMethod, api_key, secret::ExposeSecret},
    pipeline::KeyEvidence,
};

async fn evidence(kit: &Kit, key: &ApiKey) -> Option<std::sync::Arc<KeyEvidence>> {
    kit.identity.lookup().key(&api(), &key.id).await.unwrap()
}

async fn made(kit: &Kit, roles: &[&str], new: NewKey) -> NewKeyText {
    let owner = kit.user("ada", roles).await;
    kit.identity.create_key(&api(), &owner.id, new, &acting(&owner.id)).await.unwrap()
}

#[tokio::test]
async fn a_new_key_is_evident_to_the_edge_with_all_its_bounds() {
    let kit = Kit::open(|_| ()).await;
    let asked = NewKey {
        lifetime: Some(Duration::from_secs(86_400)),
        allowed_ips: vec!["10.0.0.0/8".into()],
        rate_limit_per_hour: Some(7),
        ..new_key(&["read", "WRITE"])
    };
    let NewKeyText { key, text } = made(&kit, &["USER"], asked).await;
    assert!(key.active && key.id.as_str().starts_with("tmws_key_"));
    assert_eq!(key.expires_at, Some(START + Duration::from_secs(86_400)));
    let presented = api_key::parse(&"tmws_key_".into(), text.expose_secret()).unwrap();
    assert_eq!(presented.id, key.id);
    let seen = evidence(&kit, &key).await.unwrap();
    assert!(seen.digest == presented.digest && !seen.revoked);
    assert_eq!(seen.expires_at, key.expires_at);
    let who = &seen.principal;
    assert_eq!(
        (who.method, &who.subject, &who.key),
        (AuthMethod::ApiKey, &key.owner, &Some(key.id.clone()))
    );
    assert_eq!(who.roles, [std::sync::Arc::<str>::from("USER")]);
    assert_eq!(who.scopes.as_ref().unwrap().joined(), "READ WRITE");
    assert_eq!((who.rate_limit_per_hour, who.tenant.as_deref()), (Some(7), Some("default")));
    assert_eq!(who.allowed_ips[0].to_string(), "10.0.0.0/8");
    let foreign = kit.identity.lookup().key(&"other".into(), &key.id).await.unwrap();
    assert!(foreign.is_none(), "a key is of one mount");
}

#[tokio::test]
async fn a_key_cannot_exceed_its_owners_roles() {
    let kit = Kit::open(|_| ()).await;
    let reader = kit.user("reader", &["READONLY"]).await;
    let boss = kit.user("boss", &["ADMIN"]).await;
    let make = async |owner: &crate::identity::Account, scopes: &[&str]| {
        let by = acting(&owner.id);
        kit.identity.create_key(&api(), &owner.id, new_key(scopes), &by).await.map(|_| ())
    };
    make(&reader, &["READ"]).await.unwrap();
    let forbidden = Err(IdentityError::Forbidden { action: "create" });
    assert_eq!(make(&reader, &["READ", "WRITE"]).await, forbidden);
    make(&boss, &["FULL", "ADMIN"]).await.unwrap();
    assert!(matches!(make(&boss, &["KING"]).await, Err(IdentityError::Invalid(_))));
}

#[tokio::test]
async fn a_revoked_key_is_revoked_at_once_and_only_by_its_owner() {
    let kit = Kit::open(|_| ()).await;
    let NewKeyText { key, .. } = made(&kit, &["USER"], new_key(&["READ"])).await;
    let eve = kit.user("eve", &["USER"]).await;
    let stranger = kit.identity.revoke_key(&api(), Some(&eve.id), &key.id, &acting(&eve.id)).await;
    assert_eq!(stranger.unwrap_err(), IdentityError::NotFound);
    let epoch = kit.identity.lookup().epoch();
    for _ in 0..2 {
        let by = acting(&key.owner);
        let gone = kit.identity.revoke_key(&api(), Some(&key.owner), &key.id, &by).await.unwrap();
        assert!(!gone.active && gone.revoked_at == Some(START));
    }
    assert_ne!(kit.identity.lookup().epoch(), epoch);
    assert!(evidence(&kit, &key).await.unwrap().revoked);
    let listed = kit.identity.keys_of(&api(), &key.owner).await.unwrap();
    assert_eq!((listed.len(), listed[0].active), (1, false), "revoked ones stay in the list");
    let events = kit.events().await;
    assert_eq!(events.iter().filter(|event| *event == "API_KEY_REVOKED").count(), 1);
}

// requirement: 10
#[tokio::test]
async fn disabling_the_owner_silences_the_key_at_once() {
    let kit = Kit::open(|_| ()).await;
    let NewKeyText { key, .. } = made(&kit, &["USER"], new_key(&["READ"])).await;
    let epoch = kit.identity.lookup().epoch();
    let op = crate::identity::Actor::operator();
    kit.identity.set_enabled(&realm(), &key.owner, false, &op).await.unwrap();
    assert_ne!(kit.identity.lookup().epoch(), epoch);
    assert!(evidence(&kit, &key).await.unwrap().revoked);
    let refused = kit.identity.create_key(&api(), &key.owner, new_key(&["READ"]), &op).await;
    assert_eq!(refused.unwrap_err(), IdentityError::Disabled, "to the operator");
    let own = acting(&key.owner);
    let refused = kit.identity.create_key(&api(), &key.owner, new_key(&["READ"]), &own).await;
    assert_eq!(refused.unwrap_err(), IdentityError::CredentialEnded, "to its owner");
    kit.identity.set_enabled(&realm(), &key.owner, true, &op).await.unwrap();
    assert!(!evidence(&kit, &key).await.unwrap().revoked);
}

#[tokio::test]
async fn a_rotated_key_lives_on_for_the_overlap_and_its_successor_has_its_bounds() {
    let kit = Kit::open(|_| ()).await;
    let asked = NewKey {
        lifetime: Some(Duration::from_secs(1000)),
        allowed_ips: vec!["10.0.0.1".into()],
        rate_limit_per_hour: Some(9),
        ..new_key(&["READ"])
    };
    let NewKeyText { key: old, .. } = made(&kit, &["USER"], asked).await;
    kit.advance(100);
    let by = acting(&old.owner);
    let rotate = async |overlap: u64| {
        let overlap = Duration::from_secs(overlap);
        kit.identity.rotate_key(&api(), Some(&old.owner), &old.id, overlap, &by).await
    };
    let rotated = rotate(50).await.unwrap();
    assert_eq!(rotated.replaces, old.id);
    assert_eq!(rotated.old_valid_until, START + Duration::from_secs(150));
    let new = &rotated.new.key;
    assert_eq!((new.name.as_str(), &new.scopes), (old.name.as_str(), &old.scopes));
    assert_eq!((&new.allowed_ips, new.rate_limit_per_hour), (&old.allowed_ips, Some(9)));
    assert_eq!(new.expires_at, Some(START + Duration::from_secs(1100)), "a life of its own");
    let seen = evidence(&kit, &old).await.unwrap();
    assert_eq!((seen.expires_at, seen.revoked), (Some(rotated.old_valid_until), false));
    assert!(matches!(rotate(0).await, Err(IdentityError::Invalid(_))), "only once");
    kit.advance(50);
    assert!(!kit.identity.key(&api(), &old.id).await.unwrap().active);
    assert!(kit.identity.key(&api(), &new.id).await.unwrap().active);
    let stranger = "someone".into();
    let refused =
        kit.identity.rotate_key(&api(), Some(&stranger), &new.id, Duration::ZERO, &by).await;
    assert_eq!(refused.unwrap_err(), IdentityError::NotFound);
}

#[tokio::test]
async fn uses_show_before_and_after_they_are_written() {
    let kit = Kit::open(|_| ()).await;
    let NewKeyText { key, .. } = made(&kit, &["USER"], new_key(&["READ"])).await;
    let lookup = kit.identity.lookup();
    lookup.used(&key.id, kit.identity.now());
    kit.advance(5);
    lookup.used(&key.id, kit.identity.now());
    let facts = async || {
        let key = kit.identity.key(&api(), &key.id).await.unwrap();
        (key.usage_count, key.last_used_at)
    };
    let wanted = (2, Some(START + Duration::from_secs(5)));
    assert_eq!(facts().await, wanted);
    kit.identity.flush_usage().await.unwrap();
    kit.identity.flush_usage().await.unwrap();
    assert_eq!(facts().await, wanted);
    lookup.used(&key.id, kit.identity.now());
    assert_eq!(facts().await.0, 3);
}

#[tokio::test]
async fn the_allowance_is_that_of_the_edges_limit_and_costs_nothing() {
    let kit = Kit::open(|_| ()).await;
    let asked = NewKey { rate_limit_per_hour: Some(5), ..new_key(&["READ"]) };
    let NewKeyText { key, .. } = made(&kit, &["USER"], asked).await;
    kit.limiter.charge_key(&key.id, 5).await;
    for _ in 0..2 {
        let toll = kit.identity.key_allowance(&key).await.unwrap().unwrap();
        assert_eq!((toll.window.limit, toll.remaining), (5, 4));
    }
    let unlimited = ApiKey { rate_limit_per_hour: None, ..key };
    assert_eq!(kit.identity.key_allowance(&unlimited).await, Ok(None));
}
