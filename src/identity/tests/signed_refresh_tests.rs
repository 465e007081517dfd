//! Refresh tokens that are signed and may be used again, mounts without any, and the limit on rejected tries.

use std::time::Duration;

use crate::{
    identity::{IdentityError, RefreshForm, Settings, test_kit::*},
    pipeline::{Window, jwt::TokenProfile},
};

fn signed(settings: &mut Settings) {
    for mount in &mut settings.mounts {
        let tokens = &mut mount.tokens;
        tokens.refresh_form = RefreshForm::Jwt;
        tokens.refresh_rotates = false;
        tokens.remembered_lifetime = Some(Duration::from_secs(60 * 24 * 3600));
        tokens.refresh_rejections = vec![Window { limit: 3, per: Duration::from_secs(60) }];
        tokens.access_claims = crate::identity::TokenSettings::strict("x").access_claims;
    }
}

/// What the edge verifies access tokens with.
fn edge(kit: &Kit) -> TokenProfile {
    TokenProfile {
        issuer: "tmws-auth-service".into(),
        audience: Some("tmws-api".into()),
        token_type: Some("access".into()),
        standard: false,
        agent_audience: None,
        tenant_claim: None,
        keys: kit.identity.verification_keys(&api()),
        leeway: Duration::ZERO,
        mount: api(),
        realm: realm(),
    }
}

#[tokio::test]
async fn a_signed_refresh_token_is_good_until_its_session_ends() {
    let kit = Kit::open(signed).await;
    kit.user("ada", &["USER"]).await;
    let first = kit.login("ada", GOOD).await.unwrap();
    let token = refresh_of(&first).to_owned();
    assert_eq!(token.split('.').count(), 3);
    for _ in 0..3 {
        kit.advance(600);
        let again = kit.refresh(&token).await.unwrap();
        assert_eq!(refresh_of(&again), token, "the same one comes back");
        assert_eq!(again.session, first.session);
        assert!(!kit.is_revoked(&again));
    }
    kit.identity.logout(&kit.principal(&first), None, &from("192.0.2.1")).await.unwrap();
    assert_eq!(kit.refresh(&token).await.unwrap_err(), IdentityError::InvalidRefreshToken);
}

// requirement: 7
#[tokio::test]
async fn one_kind_of_token_is_never_taken_for_the_other() {
    let kit = Kit::open(signed).await;
    kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    let access =
        crate::model::secret::ExposeSecret::expose_secret(&granted.access_token).to_owned();
    assert_eq!(kit.refresh(&access).await.unwrap_err(), IdentityError::InvalidRefreshToken);
    let now = crate::model::Clock::now(&*kit.clock);
    assert!(edge(&kit).verify(&access, now).is_ok());
    assert!(edge(&kit).verify(refresh_of(&granted), now).is_err());
    let other = "other".into();
    let foreign =
        kit.identity.refresh(&other, &refresh_of(&granted).into(), &from("192.0.2.1")).await;
    assert_eq!(foreign.unwrap_err(), IdentityError::InvalidRefreshToken);
}

#[tokio::test]
async fn it_outlives_a_change_of_the_signing_key_and_a_restart_but_not_its_time() {
    let kit = Kit::open(signed).await;
    kit.user("ada", &["USER"]).await;
    let token = refresh_of(&kit.login("ada", GOOD).await.unwrap()).to_owned();
    let by = crate::identity::Actor::operator();
    kit.identity.rotate_signing_key(&api(), &by).await.unwrap();
    kit.identity.sign_with_newest(&api()).await;
    kit.advance(7 * 24 * 3600);
    kit.refresh(&token).await.unwrap();
    let kit = kit.reopen(signed).await;
    kit.refresh(&token).await.unwrap();
    kit.advance(23 * 24 * 3600);
    assert_eq!(kit.refresh(&token).await.unwrap_err(), IdentityError::InvalidRefreshToken);
}

#[tokio::test]
async fn who_asks_to_be_remembered_has_a_longer_session() {
    let kit = Kit::open(signed).await;
    kit.user("ada", &["USER"]).await;
    let short = kit.login("ada", GOOD).await.unwrap();
    assert_eq!(short.session_expires_in, 30 * 24 * 3600);
    let request = crate::identity::Login {
        name: "ada".into(),
        password: GOOD.into(),
        device: None,
        remember: true,
        second_factor: None,
    };
    let long = kit.identity.login(&api(), request, &from("192.0.2.1")).await.unwrap();
    assert_eq!(long.session_expires_in, 60 * 24 * 3600);
    kit.advance(45 * 24 * 3600);
    kit.refresh(refresh_of(&long)).await.unwrap();
}

#[tokio::test]
async fn the_fourth_rejected_refresh_in_a_minute_meets_a_limit_and_good_ones_do_not() {
    let kit = Kit::open(signed).await;
    kit.user("ada", &["USER"]).await;
    let good = kit.login("ada", GOOD).await.unwrap();
    for _ in 0..3 {
        let refused = kit.refresh("a.b.c").await.unwrap_err();
        assert_eq!(refused, IdentityError::InvalidRefreshToken);
    }
    assert!(matches!(kit.refresh("a.b.c").await, Err(IdentityError::Throttled(_))));
    let other = kit.refresh("another.bad.one").await;
    assert!(matches!(other, Err(IdentityError::Throttled(_))), "the address counts too");
    let elsewhere = from("198.51.100.7");
    let refused = kit.identity.refresh(&api(), &"a.b.c".into(), &elsewhere).await;
    assert!(matches!(refused, Err(IdentityError::Throttled(_))), "the token counts anywhere");
    kit.refresh(refresh_of(&good)).await.unwrap();
}

#[tokio::test]
async fn where_there_are_no_refresh_tokens_a_session_lasts_as_long_as_its_access_token() {
    let kit = Kit::open(|settings| {
        settings.mounts[0].tokens.refresh_form = RefreshForm::None;
    })
    .await;
    let ada = kit.user("ada", &["USER"]).await;
    let granted = kit.login("ada", GOOD).await.unwrap();
    assert!(granted.refresh_token.is_none());
    assert_eq!(granted.session_expires_in, granted.expires_in);
    assert_eq!(kit.refresh("a.b").await.unwrap_err(), IdentityError::InvalidRefreshToken);
    kit.identity.logout(&kit.principal(&granted), None, &from("192.0.2.1")).await.unwrap();
    assert!(kit.is_revoked(&granted));
    assert!(kit.identity.sessions(None, Some(&ada.id), 9).await.unwrap().is_empty());
}
