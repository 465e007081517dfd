//! Organisations, groups, permissions: what belongs to one is out of another's reach even if the layers above forget.

use std::sync::Arc;

use portcullis::{
    model::AccountId,
    store::{
        Grantee, NewOrganisation, OrganisationRecord, PermissionRecord, Store, StoreError,
        TeamRecord,
    },
};

use super::support::*;

pub(crate) fn founding(id: &str) -> NewOrganisation {
    NewOrganisation {
        organisation: OrganisationRecord {
            id: id.into(),
            realm: realm(),
            name: id.to_owned(),
            slug: String::new(),
            created_at: NOW,
            updated_at: NOW,
        },
        slugs: vec!["acme".to_owned(), format!("acme-{id}")],
    }
}

/// An account `owner-of-ID` with its organisation `ID`.
async fn found(store: &Store, id: &str) -> AccountId {
    let owner = account(&format!("owner-of-{id}"));
    store.insert_account(&owner, &[]).await.unwrap();
    store.ensure_organisation(&owner.id, &founding(id), &[]).await.unwrap();
    owner.id
}

async fn join(store: &Store, organisation: &str, name: &str) -> AccountId {
    let new = account(name);
    store.insert_member(&new, &organisation.into(), "viewer", &[]).await.unwrap();
    new.id
}

pub(crate) fn team(id: &str, organisation: &str) -> TeamRecord {
    TeamRecord {
        id: id.into(),
        organisation: organisation.into(),
        name: id.to_owned(),
        description: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(crate) fn permission(id: &str, organisation: &str) -> PermissionRecord {
    PermissionRecord {
        id: id.into(),
        organisation: organisation.into(),
        resource: "docs".to_owned(),
        action: id.to_owned(),
        conditions: Arc::default(),
        created_at: NOW,
    }
}

async fn granted(store: &Store, account: &AccountId) -> Vec<String> {
    let access = store.access(account).await.unwrap().unwrap();
    let mut granted: Vec<String> = access.granted.into_iter().map(|one| one.action).collect();
    granted.sort();
    granted
}

#[tokio::test]
async fn an_account_has_one_organisation_and_slugs_are_unique() {
    let (_place, store) = fresh().await;
    let (a, _) = (found(&store, "a").await, found(&store, "b").await);
    let slug = |id: &'static str| {
        let store = store.clone();
        async move { store.organisation(&id.into()).await.unwrap().unwrap().slug }
    };
    assert_eq!((slug("a").await, slug("b").await), ("acme".into(), "acme-b".into()));
    let again = store.ensure_organisation(&a, &founding("c"), &[event("NO")]).await.unwrap();
    assert_eq!(again.id.as_str(), "a");
    assert!(store.organisation(&"c".into()).await.unwrap().is_none());
    assert!(events(&store).await.iter().all(|name| name != "NO"), "nothing was done");
    let nowhere = store.insert_member(&account("x"), &"none".into(), "viewer", &[]).await;
    assert_eq!(nowhere, Err(StoreError::NotFound));
    assert!(store.account(&"x".into()).await.unwrap().is_none(), "nor half of it");
}

#[tokio::test]
async fn grants_reach_directly_and_through_groups_and_go_with_what_they_hang_on() {
    let (_place, store) = fresh().await;
    found(&store, "a").await;
    let ada = join(&store, "a", "ada").await;
    store.insert_team(&team("g", "a"), &[]).await.unwrap();
    for id in ["read", "write"] {
        store.insert_permission(&permission(id, "a"), &[]).await.unwrap();
    }
    let grant = async |id: &str, to: Grantee, row: &str| {
        store.grant_permission(&"a".into(), &id.into(), &to, row, NOW, &[]).await.unwrap();
    };
    grant("read", Grantee::Account(ada.clone()), "1").await;
    grant("write", Grantee::Team("g".into()), "2").await;
    assert_eq!(granted(&store, &ada).await, ["read"]);
    store.add_to_team(&"a".into(), &"g".into(), &ada, &[event("JOINED")]).await.unwrap();
    store.add_to_team(&"a".into(), &"g".into(), &ada, &[event("JOINED")]).await.unwrap();
    assert_eq!(events(&store).await.iter().filter(|name| *name == "JOINED").count(), 1);
    assert_eq!(granted(&store, &ada).await, ["read", "write"]);
    store.remove_from_team(&"a".into(), &"g".into(), &ada, &[]).await.unwrap();
    let twice = store.remove_from_team(&"a".into(), &"g".into(), &ada, &[]).await;
    assert_eq!(twice, Err(StoreError::NotFound));
    store.add_to_team(&"a".into(), &"g".into(), &ada, &[]).await.unwrap();
    store.delete_team(&"a".into(), &"g".into(), &[]).await.unwrap();
    store.delete_permission(&"a".into(), &"read".into(), &[]).await.unwrap();
    assert_eq!(granted(&store, &ada).await, [""; 0]);
}

#[tokio::test]
async fn nothing_crosses_the_wall_between_two_organisations() {
    let (_place, store) = fresh().await;
    for id in ["a", "b"] {
        found(&store, id).await;
    }
    let (ada, bob) = (join(&store, "a", "ada").await, join(&store, "b", "bob").await);
    store.insert_team(&team("g", "a"), &[]).await.unwrap();
    store.insert_permission(&permission("read", "a"), &[]).await.unwrap();
    let (a, b) = (&"a".into(), &"b".into());
    let (g, read) = (&"g".into(), &"read".into());
    assert!(store.member(b, &ada).await.unwrap().is_none());
    assert!(store.teams(b).await.unwrap().is_empty());
    assert!(store.permissions(b).await.unwrap().is_empty());
    let changed = store.update_team(b, g, Some("mine"), None, NOW, &[]).await;
    assert_eq!(changed, Err(StoreError::NotFound));
    let changed = store.update_permission(b, read, Some("mine"), None, None, &[]).await;
    assert_eq!(changed, Err(StoreError::NotFound));
    let ada_too = Grantee::Account(ada.clone());
    let told = [event("NO")];
    for refused in [
        store.delete_team(b, g, &told).await,
        store.delete_permission(b, read, &told).await,
        store.add_to_team(b, g, &bob, &told).await,
        store.add_to_team(a, g, &bob, &told).await,
        store.remove_from_team(b, g, &ada, &told).await,
        store.grant_permission(b, read, &Grantee::Account(bob.clone()), "1", NOW, &told).await,
        store.grant_permission(a, read, &Grantee::Account(bob.clone()), "2", NOW, &told).await,
        store.grant_permission(b, read, &Grantee::Team("g".into()), "3", NOW, &told).await,
        store.grant_permission(b, read, &ada_too, "4", NOW, &told).await,
    ] {
        assert_eq!(refused, Err(StoreError::NotFound));
    }
    assert!(granted(&store, &bob).await.is_empty());
    assert!(events(&store).await.iter().all(|name| name != "NO"));
    assert_eq!(store.teams(a).await.unwrap(), [team("g", "a")]);
    assert_eq!(store.permissions(a).await.unwrap(), [permission("read", "a")]);
}
