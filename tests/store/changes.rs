//! What other nodes must hear of is told in the transaction that changes it, and nothing else is.

use std::collections::BTreeSet;

use portcullis::{
    model::ScopeSet,
    store::{
        AccountStatus, Announcement, ChangeKind, Ciphertext, Grantee, PasswordChange, RevokedToken,
        SessionsToEnd, SigningKeyRecord, Spare, Store,
    },
};
use sqlx::Row;

use super::support::*;
use crate::postgres;

/// Tables of which no node holds anything in memory that another could change; what is held is told of by others.
const UNTOLD: [&str; 28] = [
    "_sqlx_migrations",
    "agent_token",
    "allow_entry",
    "audit",
    "audit_head",
    "change",
    "change_head",
    "foreign_identity",
    "foreign_key_set",
    "foreign_profile",
    "lease",
    "login_failure",
    "meta",
    "named_secret",
    "node",
    "oauth_assertion",
    "oauth_client",
    "oauth_session",
    "oauth_token",
    "oidc_session",
    "one_time_code",
    "organisation",
    "outbox",
    "refresh_family",
    "refresh_token",
    "webhook",
    "webhook_delivery",
    "webhook_place",
];
const TOLD: [&str; 9] = [
    "account",
    "api_key",
    "membership",
    "permission",
    "permission_grant",
    "revoked_token",
    "session",
    "signing_key",
    "team_member",
];

/// What was told since, as kind and subject.
async fn told(store: &Store, since: &mut u64) -> Vec<(ChangeKind, String)> {
    let page = store.changes_since(*since, 1000).await.unwrap();
    let numbers = page.changes.iter().map(|change| change.seq);
    assert!(numbers.eq((*since + 1)..=page.head), "no gaps: {page:?}");
    assert_eq!(store.change_head().await.unwrap(), page.head);
    *since = page.head;
    page.changes.into_iter().map(|change| (change.kind, change.subject)).collect()
}

fn one(kind: ChangeKind, subject: &str) -> (ChangeKind, String) {
    (kind, subject.to_owned())
}

#[tokio::test]
async fn every_table_is_told_of_or_known_to_be_held_by_nobody() {
    if !postgres::is_there() {
        return;
    }
    let (place, store) = fresh().await;
    let mut raw = place.raw().await;
    let names = async |sql: &'static str, raw: &mut sqlx::AnyConnection| -> BTreeSet<String> {
        let rows = sqlx::query(sql).fetch_all(raw).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    };
    let tables = "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'";
    let tables = names(tables, &mut raw).await;
    let told = "SELECT DISTINCT CAST(c.relname AS TEXT) FROM pg_trigger t \
                JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal";
    let mut told = names(told, &mut raw).await;
    // Of a team only its end is: it is nothing without members.
    told.remove("team");
    assert_eq!(told, TOLD.map(str::to_owned).into());
    let untold: BTreeSet<String> = tables.difference(&told).cloned().collect();
    let known: BTreeSet<String> = UNTOLD.map(str::to_owned).into_iter().collect();
    let new: Vec<_> = untold.difference(&known).filter(|name| *name != "team").collect();
    assert!(
        new.is_empty(),
        "{new:?}: does a node hold any of it in memory? Write a trigger, or name it"
    );
    store.close().await;
}

#[tokio::test]
async fn every_verb_that_ends_or_changes_something_tells_of_it() {
    if !postgres::is_there() {
        return;
    }
    let (_place, store, ada) = with_account("ada").await;
    let mut since = 0;
    for id in ["s1", "s2", "s3"] {
        store.open_session(&login(id, &ada), &[]).await.unwrap();
    }
    store.insert_key(&key("k1", &ada.id), &[]).await.unwrap();
    store.touch_session(&"s1".into(), NOW, &[]).await.unwrap();
    let use_of = portcullis::store::KeyUse { id: "k1".into(), count: 3, last_used_at: NOW };
    store.add_usage(&[use_of]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [], "nobody can hold what is new, or its use");

    let token = RevokedToken { id: "t1".into(), expires_at: NOW + HOUR };
    store.revoke_token(&token, &[]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [one(ChangeKind::Token, "t1")]);
    store.revoke_token(&token, &[]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [], "it had ended");

    let which = SessionsToEnd::One("s1".into());
    store.end_sessions(&which, None, NOW, &[]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [one(ChangeKind::Session, "s1")]);

    let scopes = ScopeSet::new(["READ"]);
    store.set_key_scopes(&mount(), &"k1".into(), &scopes, &[]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [one(ChangeKind::Key, "k1")]);
    store.rotate_key(&"k1".into(), &key("k2", &ada.id), NOW + HOUR, NOW, &[]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [one(ChangeKind::Key, "k1")]);
    store.revoke_key(&mount(), &"k2".into(), NOW, &[]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [one(ChangeKind::Key, "k2")]);

    let change = PasswordChange {
        account: ada.id.clone(),
        hash: "$argon2id$new".into(),
        expected_version: None,
        end: Some(Spare::One("s2".into())),
        clear_failures: Vec::new(),
        now: NOW,
    };
    store.set_password(&change, &[]).await.unwrap();
    let mut found = told(&store, &mut since).await;
    found.sort_by_key(|(kind, _)| kind.as_str());
    assert_eq!(found, [one(ChangeKind::Account, "ada"), one(ChangeKind::Session, "s3")]);
    store.set_roles(&ada.id, &["ADMIN".into()], NOW, &[]).await.unwrap();
    let found = told(&store, &mut since).await;
    assert!(found.contains(&one(ChangeKind::Account, "ada")), "{found:?}");
    store.set_status(&ada.id, AccountStatus::Disabled, NOW, &[]).await.unwrap();
    let found = told(&store, &mut since).await;
    assert!(found.contains(&one(ChangeKind::Account, "ada")), "{found:?}");

    let signing = SigningKeyRecord {
        mount: mount(),
        kid: "one".into(),
        algorithm: "HS256".into(),
        private: Ciphertext(vec![1]),
        public: Vec::new(),
        created_at: NOW,
        retired_at: None,
        expires_at: None,
    };
    store.ensure_signing_key(&signing, &[]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [one(ChangeKind::SigningKeys, "api")]);
    let next = SigningKeyRecord { kid: "two".into(), ..signing };
    store.rotate_signing_key(&next, NOW, NOW + HOUR, &[]).await.unwrap();
    let found = told(&store, &mut since).await;
    assert!(found.iter().all(|found| *found == one(ChangeKind::SigningKeys, "api")), "{found:?}");
    assert!(!found.is_empty());
}

#[tokio::test]
async fn what_members_may_do_is_told_by_their_organisation() {
    if !postgres::is_there() {
        return;
    }
    let (place, store) = fresh().await;
    let (owner, member) = (account("owner"), account("member"));
    store.insert_account(&owner, &[]).await.unwrap();
    let organisation = super::organisations::founding("acme");
    store.ensure_organisation(&owner.id, &organisation, &[]).await.unwrap();
    store.insert_member(&member, &"acme".into(), "viewer", &[]).await.unwrap();
    let mut since = 0;
    let acme = one(ChangeKind::Access, "acme");
    // Its owner has another tenant now.
    let owner = one(ChangeKind::Account, "owner");
    assert_eq!(told(&store, &mut since).await, [acme.clone(), owner, acme.clone()]);
    store.insert_team(&super::organisations::team("g", "acme"), &[]).await.unwrap();
    let permission = super::organisations::permission("p", "acme");
    store.insert_permission(&permission, &[]).await.unwrap();
    assert_eq!(told(&store, &mut since).await, [], "nobody has it yet");
    for statement in [
        "INSERT INTO team_member (team_id, account_id) VALUES ('g', 'member')",
        "INSERT INTO permission_grant (id, permission_id, team_id, created_at) \
         VALUES ('pg', 'p', 'g', 0)",
        "UPDATE permission SET action = 'other'",
        "DELETE FROM team_member",
        "DELETE FROM permission_grant",
        "DELETE FROM permission",
        "DELETE FROM team",
        "DELETE FROM membership",
    ] {
        place.tamper(statement).await;
        assert_eq!(
            told(&store, &mut since).await.as_slice(),
            std::slice::from_ref(&acme),
            "{statement}"
        );
    }
    let nobody = Grantee::Account("nobody".into());
    let refused = store.grant_permission(&"acme".into(), &"p".into(), &nobody, "x", NOW, &[]).await;
    assert!(refused.is_err());
    assert_eq!(told(&store, &mut since).await, [], "what did not happen is not told");
}

#[tokio::test]
async fn changes_come_in_pages_are_announced_and_removed_from_the_oldest_on() {
    if !postgres::is_there() {
        return;
    }
    let (place, store) = fresh().await;
    let mut announcements = store.announcements();
    assert_eq!(announcements.heard.recv().await, Some(Announcement::Interrupted));
    for number in 0..3 {
        let id = format!("t{number}");
        let token = RevokedToken { id: id.as_str().into(), expires_at: NOW + HOUR };
        store.revoke_token(&token, &[]).await.unwrap();
        let Some(Announcement::Change(heard)) = announcements.heard.recv().await else { panic!() };
        assert_eq!((heard.seq, heard.subject), (number + 1, id));
        assert_eq!(heard.until, Some(NOW + HOUR));
    }
    let page = store.changes_since(1, 1).await.unwrap();
    assert_eq!((page.head, page.changes.len(), page.changes[0].seq), (3, 1, 2));
    // Many at once, and what is too long for an announcement, are only counted.
    place
        .tamper("INSERT INTO revoked_token SELECT 'many' || n, 5 FROM generate_series(1, 100) n")
        .await;
    assert_eq!(announcements.heard.recv().await, Some(Announcement::UpTo(103)));
    place.tamper("INSERT INTO revoked_token SELECT repeat('x', 9000), 5").await;
    assert_eq!(announcements.heard.recv().await, Some(Announcement::UpTo(104)));
    assert_eq!(store.changes_since(103, 10).await.unwrap().changes[0].subject.len(), 9000);
    // What is old goes, and its absence shows.
    place.tamper("UPDATE change SET at = 1 WHERE seq <= 50").await;
    assert_eq!(store.sweep(NOW, HOUR).await.unwrap().changes, 50);
    assert_eq!(store.changes_since(0, 10).await.unwrap().changes[0].seq, 51);
}

#[tokio::test]
async fn very_many_changes_are_removed_in_parts_and_leave_no_gap() {
    if !postgres::is_there() {
        return;
    }
    let (place, store) = fresh().await;
    place
        .tamper(
            "INSERT INTO change (seq, at, kind, subject) \
             SELECT i, 1700000000000 + i, 'key', 'k' || i FROM generate_series(1, 2700) i",
        )
        .await;
    place.tamper("UPDATE change_head SET seq = 2700").await;
    let later = NOW + HOUR + std::time::Duration::from_millis(1600);
    assert_eq!(store.sweep(later, HOUR).await.unwrap().changes, 1600);
    let rest = store.changes_since(0, 5000).await.unwrap();
    assert_eq!((rest.head, rest.changes.len(), rest.changes[0].seq), (2700, 1100, 1601));
    assert_eq!(store.sweep(later, HOUR).await.unwrap().changes, 0);
}
