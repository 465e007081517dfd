//! How long a session lasts, and whom the store lets in. The way over the wire is played in `tests/oidc`.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::OidcSettings;
use crate::{
    identity::{
        Actor, Lookup, MountSettings,
        oauth::session_record,
        test_kit::{Kit, START, mount, realm},
    },
    model::{AccountId, Clock, Digest},
    pipeline::{SessionEvidence, jwt::RelyingParty},
    store::{AccountRecord, ForeignKey, Joined, OidcLogged, OidcLogin},
};

const ISSUER: &str = "https://op.example";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn settings() -> OidcSettings {
    OidcSettings {
        provider: "api.oidc_login".into(),
        party: RelyingParty { issuer: ISSUER.into(), client_id: "rp".into(), leeway: MINUTE / 2 },
        redirect_uri: "https://a.example/oidc/callback".into(),
        scopes: "openid".into(),
        origin: "https://a.example".into(),
        prefix: "".into(),
        cookie: "__Host-s".into(),
        create: Some(vec!["USER".into()]),
        join_by_email: false,
        idle: 30 * MINUTE,
        lifetime: 60 * MINUTE,
        after_logout: "/".into(),
    }
}

fn api(oidc: OidcSettings) -> MountSettings {
    MountSettings { oidc: Some(Arc::new(oidc)), ..mount("api", "main") }
}

async fn kit() -> Kit {
    Kit::open(|own| own.mounts = vec![api(settings())]).await
}

fn login(secret: &str, subject: &str) -> OidcLogin {
    let digest = Digest::of(secret.as_bytes());
    let record = session_record(
        &api(settings()),
        secret.into(),
        digest,
        START,
        60 * MINUTE,
        &Actor::operator(),
    );
    OidcLogin {
        key: ForeignKey { realm: realm(), provider: ISSUER.into(), subject: subject.into() },
        profile: json!({ "email": "ada@corp.example", "email_verified": true }),
        create: Some(AccountRecord::new(format!("a-{secret}").into(), realm(), START)),
        join: None,
        session: record,
        sid: None,
        replaces: None,
    }
}

async fn open(kit: &Kit, login: &OidcLogin) -> OidcLogged {
    let told = |_: &AccountId, _: Joined| Vec::new();
    kit.identity.inner.store.oidc_login(login, kit.clock.now(), told).await.unwrap()
}

async fn evidence(kit: &Kit, secret: &str) -> Option<Arc<SessionEvidence>> {
    Lookup::session(&kit.identity, &"api".into(), &Digest::of(secret.as_bytes())).await.unwrap()
}

/// Whether it is over, by the two ends that the edge holds against each request.
async fn is_over(kit: &Kit, secret: &str) -> bool {
    let (found, now) = (evidence(kit, secret).await.unwrap(), kit.clock.now());
    assert!(!found.ended);
    found.idle_until.unwrap() <= now || found.principal.expires_at.unwrap() <= now
}

// requirement: 30
#[tokio::test]
async fn a_session_ends_when_it_rests_and_in_any_case() {
    let kit = kit().await;
    let secret = "s1";
    assert!(matches!(open(&kit, &login(secret, "ada")).await, OidcLogged::Done { .. }));
    kit.clock.advance(29 * MINUTE);
    assert!(!is_over(&kit, secret).await);
    // Nobody came.
    kit.clock.advance(MINUTE);
    assert!(is_over(&kit, secret).await);

    let kit = self::kit().await;
    open(&kit, &login(secret, "ada")).await;
    for _ in 0..5 {
        kit.clock.advance(11 * MINUTE);
        assert!(!is_over(&kit, secret).await);
        kit.identity.seen(&secret.into(), kit.clock.now());
        kit.identity.flush_usage().await.unwrap();
    }
    kit.clock.advance(5 * MINUTE);
    assert!(is_over(&kit, secret).await, "used all the time, and over all the same");
}

#[tokio::test]
async fn a_session_rests_from_its_last_use_here_at_once_and_for_other_nodes_soon() {
    let kit = kit().await;
    let secret = "s1";
    open(&kit, &login(secret, "ada")).await;
    let stored = async || {
        let digest = Digest::of(secret.as_bytes());
        let found = kit.identity.inner.store.oidc_session(&"api".into(), &digest).await.unwrap();
        found.unwrap().session.last_seen_at
    };
    let opened = stored().await;
    assert!(!is_over(&kit, secret).await);
    kit.clock.advance(10 * SECOND);
    kit.identity.seen(&secret.into(), kit.clock.now());
    kit.identity.flush_usage().await.unwrap();
    assert_eq!(stored().await, opened, "it is not worth a write yet");
    kit.clock.advance(10 * SECOND);
    kit.identity.flush_usage().await.unwrap();
    assert_eq!(stored().await, opened + 10 * SECOND, "though nobody came since");
    // One that was not written is known here, and is written when the process ends.
    kit.clock.advance(5 * SECOND);
    kit.identity.seen(&secret.into(), kit.clock.now());
    kit.clock.advance(30 * MINUTE - SECOND);
    assert!(!is_over(&kit, secret).await);
    kit.identity.flush_all_usage().await.unwrap();
    assert_eq!(stored().await, opened + 25 * SECOND);
    kit.clock.advance(SECOND);
    assert!(is_over(&kit, secret).await);
}

#[tokio::test]
async fn a_session_of_another_provider_is_none_and_one_of_a_removed_link_neither() {
    let kit = kit().await;
    let OidcLogged::Done { account, joined, .. } = open(&kit, &login("s1", "ada")).await else {
        panic!("not in");
    };
    assert_eq!(joined, Joined::Created);
    let found = evidence(&kit, "s1").await.unwrap();
    assert_eq!(found.principal.email.as_deref(), Some("ada@corp.example"));
    let elsewhere = Lookup::session(&kit.identity, &"other".into(), &Digest::of(b"s1")).await;
    assert!(elsewhere.is_err() || elsewhere.unwrap().is_none());

    let by = Actor::operator();
    let links = kit.identity.links(&account).await.unwrap();
    assert_eq!((&*links[0].issuer, &*links[0].subject), (ISSUER, "ada"));
    kit.identity.unlink_account(&realm(), &account, (ISSUER, "ada"), &by).await.unwrap();
    assert!(evidence(&kit, "s1").await.is_none());
    assert!(kit.identity.links(&account).await.unwrap().is_empty());

    let kit = kit
        .reopen(|own| {
            let mut other = settings();
            other.party.issuer = "https://new.example".into();
            own.mounts = vec![api(other)];
        })
        .await;
    open(&kit, &login("s2", "bob")).await;
    assert!(evidence(&kit, "s2").await.is_none(), "the mount relies on somebody else now");
}

// requirement: 34
#[tokio::test]
async fn an_address_joins_the_account_that_has_proven_it_and_once() {
    let kit = kit().await;
    let store = &kit.identity.inner.store;
    for (id, name, email_verified) in [("a1", "ada", true), ("b1", "bob", false)] {
        let account = AccountRecord {
            email: Some(format!("{name}@corp.example")),
            email_verified,
            ..AccountRecord::new(id.into(), realm(), START)
        };
        store.insert_account(&account, &[]).await.unwrap();
    }
    let with = |secret: &str, subject: &str, email: &str| OidcLogin {
        create: None,
        join: Some(email.into()),
        ..login(secret, subject)
    };
    assert_eq!(open(&kit, &with("s1", "u1", "bob@corp.example")).await, OidcLogged::Unknown);
    assert_eq!(open(&kit, &with("s1", "u1", "eve@corp.example")).await, OidcLogged::Unknown);
    let joined = open(&kit, &with("s1", "u1", "ADA@corp.example")).await;
    let OidcLogged::Done { account, joined: Joined::ByEmail, .. } = joined else {
        panic!("{joined:?}")
    };
    assert_eq!(account.as_str(), "a1");
    // From now on it is the person; the address joins nobody else to the account.
    assert_eq!(open(&kit, &with("s2", "u2", "ada@corp.example")).await, OidcLogged::Unknown);
    let again = open(&kit, &OidcLogin { join: None, ..with("s3", "u1", "") }).await;
    assert!(matches!(again, OidcLogged::Done { joined: Joined::Before, .. }), "{again:?}");
}
