//! Accounts changed by owners and administrators, registration, own sessions.

use serde_json::json;

use crate::identity::{
    Account, AccountChanges, AccountFilter, Actor, Granted, IdentityError, Registration, Settings,
    Spared, test_kit::*,
};

fn open(settings: &mut Settings) {
    settings.realms[0].rules.registration = true;
    settings.realms[0].rules.change_spares_current = true;
}

fn stranger(email: &str) -> Registration {
    Registration {
        username: None,
        email: email.into(),
        password: GOOD.into(),
        full_name: None,
        first_name: Some("Eve".into()),
        last_name: None,
        preferences: None,
        organisation: None,
        send_verification: true,
    }
}

async fn own(
    kit: &Kit,
    granted: &Granted,
    changes: AccountChanges,
) -> Result<Account, IdentityError> {
    let by = acting(&granted.account.id);
    kit.identity.change_own(&kit.principal(granted), changes, &by).await
}

#[tokio::test]
async fn strangers_register_where_the_realm_is_open() {
    let kit = Kit::open(|_| ()).await;
    let by = from("192.0.2.1");
    let closed = kit.identity.register(&api(), stranger("eve@example.org"), &by).await;
    assert_eq!(closed.unwrap_err(), IdentityError::Forbidden { action: "register" });

    let kit = Kit::open(open).await;
    let eve = kit.identity.register(&api(), stranger("Eve@example.org"), &by).await.unwrap();
    assert_eq!((eve.roles.as_slice(), eve.email_verified), (&["USER".to_owned()][..], false));
    assert_eq!(eve.first_name.as_deref(), Some("Eve"));
    let mails = kit.mails().await;
    assert_eq!((mails[0].0.as_str(), mails[0].1.as_str()), ("verify_email", "Eve@example.org"));
    kit.login("eve@example.ORG", GOOD).await.unwrap();

    let taken = kit.identity.register(&api(), stranger("eve@EXAMPLE.org"), &by).await;
    assert_eq!(taken.unwrap_err(), IdentityError::AlreadyExists { field: "email" });
    let weak = Registration { password: "weak".into(), ..stranger("bob@example.org") };
    let weak = kit.identity.register(&api(), weak, &by).await;
    assert!(matches!(weak, Err(IdentityError::WeakPassword(_))));
    let odd = Registration { preferences: Some(json!([])), ..stranger("no address") };
    let Err(IdentityError::Invalid(faults)) = kit.identity.register(&api(), odd, &by).await else {
        panic!("accepted");
    };
    assert_eq!(faults.iter().map(|it| it.field).collect::<Vec<_>>(), ["preferences", "email"]);
    assert!(kit.mails().await.is_empty());
    assert!(kit.events().await.contains(&"ACCOUNT_REGISTERED".to_owned()));
}

#[tokio::test]
async fn owners_change_their_profile_and_stay_logged_in() {
    let kit = Kit::open(open).await;
    kit.user("ada", &["USER"]).await;
    let ada = kit.login("ada", GOOD).await.unwrap();
    let changes = AccountChanges {
        full_name: Some("Ada L.".into()),
        preferences: Some(json!({"theme": "dark"})),
        ..AccountChanges::default()
    };
    let changed = own(&kit, &ada, changes).await.unwrap();
    assert_eq!(changed.full_name.as_deref(), Some("Ada L."));
    assert_eq!(changed.preferences, json!({"theme": "dark"}));
    assert!(!kit.is_revoked(&ada));
    let same = own(&kit, &ada, AccountChanges::default()).await.unwrap();
    assert_eq!(same, changed, "nothing asked, nothing changed");
    for changes in [
        AccountChanges { roles: Some(vec!["ADMIN".into()]), ..AccountChanges::default() },
        AccountChanges { email_verified: Some(true), ..AccountChanges::default() },
        AccountChanges { enabled: Some(true), ..AccountChanges::default() },
    ] {
        let refused = own(&kit, &ada, changes).await.unwrap_err();
        assert_eq!(refused, IdentityError::Forbidden { action: "update" });
    }
}

#[tokio::test]
async fn a_new_address_or_password_ends_the_other_sessions_and_old_codes() {
    let kit = Kit::open(open).await;
    kit.user("ada", &["USER"]).await;
    kit.user("bob", &["USER"]).await;
    let (here, there) =
        (kit.login("ada", GOOD).await.unwrap(), kit.login("ada", GOOD).await.unwrap());
    let to =
        |email: &str| AccountChanges { email: Some(email.into()), ..AccountChanges::default() };
    let taken = own(&kit, &here, to("BOB@example.org")).await.unwrap_err();
    assert_eq!(taken, IdentityError::AlreadyExists { field: "email" });
    own(&kit, &here, to("ADA@example.org")).await.unwrap();
    assert!(!kit.is_revoked(&there), "the same address in another spelling");
    let changed = own(&kit, &here, to("lovelace@example.org")).await.unwrap();
    assert_eq!(
        (changed.email.as_deref(), changed.email_verified),
        (Some("lovelace@example.org"), false)
    );
    assert!(kit.is_revoked(&there) && !kit.is_revoked(&here));
    kit.login("lovelace@example.org", GOOD).await.unwrap();

    let new =
        || AccountChanges { password: Some("N3w-Enough-also".into()), ..AccountChanges::default() };
    own(&kit, &here, new()).await.unwrap();
    assert!(!kit.is_revoked(&here));
    kit.login("ada", "N3w-Enough-also").await.unwrap();

    let strict = Kit::open(|_| ()).await;
    strict.user("ada", &["USER"]).await;
    let here = strict.login("ada", GOOD).await.unwrap();
    own(&strict, &here, new()).await.unwrap();
    assert!(strict.is_revoked(&here), "nothing is spared unless the realm says so");
}

#[tokio::test]
async fn administrators_change_and_remove_those_who_stand_no_higher() {
    let kit = Kit::open(open).await;
    let admin = kit.user("boss", &["ADMIN"]).await;
    let root = kit.user("root", &["SUPER_ADMIN"]).await;
    let ada = kit.user("ada", &["USER"]).await;
    let session = kit.login("ada", GOOD).await.unwrap();
    let by = acting(&admin.id);
    let off = || AccountChanges { enabled: Some(false), ..AccountChanges::default() };
    let refused = kit.identity.change_account(&realm(), &root.id, off(), &by).await;
    assert_eq!(refused.unwrap_err(), IdentityError::Forbidden { action: "update" });
    let refused = kit.identity.remove_account(&realm(), &root.id, &by).await;
    assert_eq!(refused.unwrap_err(), IdentityError::Forbidden { action: "update" });
    let up =
        AccountChanges { roles: Some(vec!["SUPER_ADMIN".into()]), ..AccountChanges::default() };
    let refused = kit.identity.change_account(&realm(), &ada.id, up, &by).await;
    assert!(matches!(refused, Err(IdentityError::Forbidden { .. })));

    let seen = AccountChanges { email_verified: Some(true), ..off() };
    let changed = kit.identity.change_account(&realm(), &ada.id, seen, &by).await.unwrap();
    assert!(!changed.enabled && changed.email_verified);
    assert!(kit.is_revoked(&session));
    kit.identity.remove_account(&realm(), &ada.id, &by).await.unwrap();
    let gone = kit.identity.account(&realm(), &ada.id).await;
    assert_eq!(gone.unwrap_err(), IdentityError::NotFound);
    let again = kit.identity.remove_account(&realm(), &ada.id, &by).await;
    assert_eq!(again.unwrap_err(), IdentityError::NotFound);
    let events = kit.events().await;
    for event in ["ACCOUNT_CHANGED", "ACCOUNT_DISABLED", "ACCOUNT_DELETED"] {
        assert!(events.contains(&event.to_owned()), "{event}");
    }
}

#[tokio::test]
async fn pages_are_searched_filtered_and_counted() {
    let kit = Kit::open(|_| ()).await;
    for name in ["ada", "bob_1", "bobx1", "eve"] {
        kit.user(name, &["USER"]).await;
        kit.advance(1);
    }
    let boss = kit.user("boss", &["ADMIN"]).await;
    kit.identity.set_enabled(&realm(), &boss.id, false, &Actor::operator()).await.unwrap();
    let names = async |filter: AccountFilter, offset, limit| {
        let page = kit.identity.account_page(&realm(), filter, offset, limit).await.unwrap();
        let names = page.accounts.into_iter().map(|it| it.username.unwrap());
        (names.collect::<Vec<_>>().join(" "), page.total)
    };
    let all = AccountFilter::default;
    assert_eq!(names(all(), 0, 10).await, ("ada bob_1 bobx1 eve boss".into(), 5));
    assert_eq!(names(all(), 2, 2).await, ("bobx1 eve".into(), 5));
    let search = |text: &str| AccountFilter { search: Some(text.into()), ..all() };
    assert_eq!(names(search("BOB_"), 0, 10).await, ("bob_1".into(), 1), "no wildcard");
    assert_eq!(names(search("%"), 0, 10).await, (String::new(), 0));
    assert_eq!(names(search("eve@example"), 0, 10).await, ("eve".into(), 1));
    let role = AccountFilter { role: Some("ADMIN".into()), ..all() };
    assert_eq!(names(role, 0, 10).await, ("boss".into(), 1));
    let off = AccountFilter { enabled: Some(false), ..all() };
    assert_eq!(names(off, 0, 10).await, ("boss".into(), 1));
    let on = AccountFilter { enabled: Some(true), ..search("b") };
    assert_eq!(names(on, 0, 10).await, ("bob_1 bobx1".into(), 2));
}

#[tokio::test]
async fn owners_end_their_own_sessions_and_nobody_elses() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    kit.user("bob", &["USER"]).await;
    let mut own = Vec::new();
    for _ in 0..4 {
        own.push(kit.login("ada", GOOD).await.unwrap());
    }
    let bob = kit.login("bob", GOOD).await.unwrap();
    let by = acting(&ada.id);
    let foreign = kit.identity.end_own_session(&ada.id, &bob.session, &by).await;
    assert_eq!(foreign.unwrap_err(), IdentityError::NotFound);
    kit.identity.end_own_session(&ada.id, &own[0].session, &by).await.unwrap();
    assert!(kit.is_revoked(&own[0]) && !kit.is_revoked(&own[1]));
    let again = kit.identity.end_own_session(&ada.id, &own[0].session, &by).await;
    assert_eq!(again.unwrap_err(), IdentityError::NotFound);
    let (mount, realm) = (api(), realm());
    let spare = Spared { session: &own[3].session, mount: &mount, realm: &realm };
    assert_eq!(kit.identity.end_other_sessions(&ada.id, spare, &by).await, Ok(2));
    assert!(kit.is_revoked(&own[1]) && kit.is_revoked(&own[2]));
    assert!(!kit.is_revoked(&own[3]) && !kit.is_revoked(&bob));
    assert_eq!(kit.identity.end_other_sessions(&ada.id, spare, &by).await, Ok(0));
}

#[tokio::test]
async fn the_last_use_of_a_session_is_written_in_batches() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    let session = kit.login("ada", GOOD).await.unwrap().session;
    let seen = async || {
        kit.identity.flush_usage().await.unwrap();
        kit.identity.sessions(None, Some(&ada.id), 9).await.unwrap()[0].last_seen_at
    };
    kit.advance(10);
    kit.identity.lookup().seen(&session, kit.identity.now());
    assert_eq!(seen().await, START, "not worth a write");
    kit.advance(30);
    kit.identity.lookup().seen(&session, kit.identity.now());
    assert_eq!(seen().await.since(START).as_secs(), 40);
}

#[tokio::test]
async fn an_account_with_a_role_that_is_gone_is_the_operators_alone() {
    let kit = Kit::open(|_| ()).await;
    let top = settings().realms[0].rules.roles[0].to_string();
    let admin = kit.user("ada", &[&top]).await;
    let second = settings().realms[0].rules.roles[1].to_string();
    let other = kit.user("bob", &[&second]).await;
    let mut fewer = settings();
    fewer.realms[0].rules.roles.remove(1);
    kit.identity.reconfigure(fewer).await.unwrap();
    let rename = || AccountChanges { full_name: Some("New".into()), ..AccountChanges::default() };
    let change = async |by: Actor| {
        kit.identity.change_account(&realm(), &other.id, rename(), &by).await.map(drop)
    };
    let forbidden = Err(IdentityError::Forbidden { action: "update" });
    assert_eq!(change(acting(&admin.id)).await, forbidden);
    let removed = kit.identity.remove_account(&realm(), &other.id, &acting(&admin.id)).await;
    assert_eq!(removed, forbidden);
    assert_eq!(change(Actor::operator()).await, Ok(()));
}
