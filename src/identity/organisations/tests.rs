//! Organisations through the facade: walls, grants, and what a change does to the next question.

use serde_json::{Value, json};

use super::types::*;
use crate::{
    identity::{
        Actor, EventKind, IdentityError,
        test_kit::{Kit, acting, realm},
    },
    model::{AccountId, Principal, ScopeSet},
    pipeline::grants::{Facts, Question},
};

/// An owner with an organisation, and somebody in it who was granted nothing.
struct Wall {
    owner: Principal,
    member: Principal,
    member_id: AccountId,
}

async fn wall(kit: &Kit, name: &str) -> Wall {
    let owner = kit.user(name, &["USER"]).await;
    let owner_token = kit.login(name, crate::identity::test_kit::GOOD).await.unwrap();
    let organisation =
        kit.identity.ensure_organisation(&realm(), &owner.id, &Actor::operator()).await.unwrap();
    let new = NewMember {
        email: format!("{name}-member@example.org"),
        password: crate::identity::test_kit::GOOD.into(),
        first_name: None,
        last_name: None,
    };
    let caller = kit.principal(&owner_token);
    let member = kit.identity.create_member(&caller, new, &acting(&owner.id)).await.unwrap();
    assert_eq!(member.organisation, organisation.id);
    let login = format!("{name}-member@example.org");
    let token = kit.login(&login, crate::identity::test_kit::GOOD).await.unwrap();
    Wall { owner: caller, member: kit.principal(&token), member_id: member.account.id }
}

fn facts(value: Value) -> Facts {
    value.as_object().unwrap().clone()
}

async fn may(kit: &Kit, who: &Principal, resource: &str, action: &str, context: Value) -> bool {
    let context = facts(context);
    let question = Question { resource, action, context: &context };
    kit.identity.may(who, &question).await.unwrap()
}

fn by(who: &Principal) -> Actor {
    acting(&who.subject)
}

async fn permission(kit: &Kit, who: &Principal, named: &str, conditions: Value) -> Permission {
    let (resource, action) = named.split_once(':').unwrap();
    let new = NewPermission {
        resource: resource.into(),
        action: action.into(),
        conditions: facts(conditions),
    };
    kit.identity.create_permission(who, new, &by(who)).await.unwrap()
}

#[tokio::test]
async fn the_owner_may_everything_and_a_member_what_was_granted() {
    let kit = Kit::open(|_| ()).await;
    let wall = wall(&kit, "ada").await;
    assert!(may(&kit, &wall.owner, "any", "thing", json!({})).await);
    assert!(!may(&kit, &wall.member, "docs", "read", json!({})).await);

    let granted = permission(&kit, &wall.owner, "docs:read", json!({"team": "a"})).await;
    let to = Grantee::Account(wall.member_id.clone());
    kit.identity
        .grant_permission(&wall.owner, &granted.id, to.clone(), &by(&wall.owner))
        .await
        .unwrap();
    assert!(may(&kit, &wall.member, "docs", "read", json!({"team": "a"})).await, "at once");
    assert!(!may(&kit, &wall.member, "docs", "read", json!({})).await);

    let change = PermissionChange { conditions: Some(Facts::new()), ..Default::default() };
    kit.identity
        .change_permission(&wall.owner, &granted.id, change, &by(&wall.owner))
        .await
        .unwrap();
    assert!(may(&kit, &wall.member, "docs", "read", json!({})).await);

    kit.identity.grant_permission(&wall.owner, &granted.id, to, &by(&wall.owner)).await.unwrap();
    kit.identity.delete_permission(&wall.owner, &granted.id, &by(&wall.owner)).await.unwrap();
    assert!(!may(&kit, &wall.member, "docs", "read", json!({})).await);

    let events = kit.events().await;
    let count = |kind: EventKind| events.iter().filter(|event| *event == kind.as_str()).count();
    assert_eq!(count(EventKind::PermissionChanged), 3);
    assert_eq!(count(EventKind::PermissionGranted), 1, "a repetition is no second grant");
}

#[tokio::test]
async fn groups_pass_their_permissions_on() {
    let kit = Kit::open(|_| ()).await;
    let wall = wall(&kit, "ada").await;
    let (owner, act) = (&wall.owner, by(&wall.owner));
    let team = kit.identity.create_team(owner, "devs".into(), None, &act).await.unwrap();
    let granted = permission(&kit, owner, "builds:*", json!({})).await;
    kit.identity
        .grant_permission(owner, &granted.id, Grantee::Team(team.id.clone()), &act)
        .await
        .unwrap();
    assert!(!may(&kit, &wall.member, "builds", "start", json!({})).await);
    kit.identity.join_team(owner, &team.id, &wall.member_id, &act).await.unwrap();
    kit.identity.join_team(owner, &team.id, &wall.member_id, &act).await.unwrap();
    assert!(may(&kit, &wall.member, "builds", "start", json!({})).await);
    let held = kit.identity.permissions_of(owner, &wall.member_id).await.unwrap();
    assert_eq!(held.iter().map(|p| &p.id).collect::<Vec<_>>(), [&granted.id]);

    kit.identity.leave_team(owner, &team.id, &wall.member_id, &act).await.unwrap();
    assert!(!may(&kit, &wall.member, "builds", "start", json!({})).await);
    assert_eq!(
        kit.identity.leave_team(owner, &team.id, &wall.member_id, &act).await,
        Err(IdentityError::NotFound)
    );

    kit.identity.join_team(owner, &team.id, &wall.member_id, &act).await.unwrap();
    kit.identity.delete_team(owner, &team.id, &act).await.unwrap();
    assert!(!may(&kit, &wall.member, "builds", "start", json!({})).await);
}

#[tokio::test]
async fn whoever_was_not_granted_it_changes_nothing() {
    let kit = Kit::open(|_| ()).await;
    let wall = wall(&kit, "ada").await;
    let (who, act) = (&wall.member, by(&wall.member));
    let refused = |action| IdentityError::Forbidden { action };
    let new = NewPermission { resource: "a".into(), action: "b".into(), ..Default::default() };
    assert_eq!(
        kit.identity.create_permission(who, new, &act).await.unwrap_err(),
        refused("permissions:create")
    );
    assert_eq!(
        kit.identity.create_team(who, "x".into(), None, &act).await.unwrap_err(),
        refused("groups:create")
    );
    assert_eq!(kit.identity.members(who).await.unwrap_err(), refused("users:view"));
    assert_eq!(
        kit.identity.delete_member(who, &wall.owner.subject, &act).await.unwrap_err(),
        refused("users:delete")
    );
    let view = permission(&kit, &wall.owner, "users:view", json!({})).await;
    let to = Grantee::Account(wall.member_id.clone());
    kit.identity.grant_permission(&wall.owner, &view.id, to, &by(&wall.owner)).await.unwrap();
    assert_eq!(kit.identity.members(who).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_anothers_is_not_found() {
    let kit = Kit::open(|_| ()).await;
    let (ours, theirs) = (wall(&kit, "ada").await, wall(&kit, "eve").await);
    let (eve, act) = (&theirs.owner, by(&theirs.owner));
    let team =
        kit.identity.create_team(&ours.owner, "devs".into(), None, &by(&ours.owner)).await.unwrap();
    let own_team = kit.identity.create_team(eve, "evil".into(), None, &act).await.unwrap();
    let granted = permission(&kit, &ours.owner, "docs:read", json!({})).await;
    let own = permission(&kit, eve, "docs:read", json!({})).await;

    let missing = Err(IdentityError::NotFound);
    let id = &kit.identity;
    assert_eq!(id.change_team(eve, &team.id, TeamChange::default(), &act).await.map(drop), missing);
    assert_eq!(id.delete_team(eve, &team.id, &act).await, missing);
    assert_eq!(id.join_team(eve, &team.id, &theirs.member_id, &act).await, missing);
    assert_eq!(id.join_team(eve, &own_team.id, &ours.member_id, &act).await, missing);
    assert_eq!(id.delete_permission(eve, &granted.id, &act).await, missing);
    let change = PermissionChange { resource: Some("x".into()), ..Default::default() };
    assert_eq!(id.change_permission(eve, &granted.id, change, &act).await.map(drop), missing);
    for to in [Grantee::Account(ours.member_id.clone()), Grantee::Team(team.id.clone())] {
        assert_eq!(id.grant_permission(eve, &own.id, to.clone(), &act).await, missing, "{to:?}");
        assert_eq!(id.grant_permission(eve, &granted.id, to, &act).await, missing);
    }
    assert_eq!(id.permissions_of(eve, &ours.member_id).await.map(drop), missing);
    assert_eq!(id.member(eve, &ours.member_id).await.map(drop), missing);
    assert_eq!(
        id.change_member(eve, &ours.member_id, MemberChange::default(), &act).await.map(drop),
        missing
    );
    assert_eq!(id.delete_member(eve, &ours.member_id, &act).await, missing);
    assert!(
        id.members(eve).await.unwrap().iter().all(|member| member.account.id != ours.member_id)
    );
    assert_eq!(id.teams(eve).await.unwrap().len(), 1);
    assert_eq!(id.permissions(eve).await.unwrap().len(), 1);
    assert!(!may(&kit, &ours.member, "docs", "read", json!({})).await);
}

#[tokio::test]
async fn a_key_may_what_its_scopes_say_and_no_more_than_that() {
    let kit = Kit::open(|_| ()).await;
    let wall = wall(&kit, "ada").await;
    let key = Principal {
        key: Some("inkpass_1".into()),
        scopes: Some(ScopeSet::exact(["docs:read", "mail:*"])),
        ..wall.owner.clone()
    };
    assert!(may(&kit, &key, "docs", "read", json!({})).await);
    assert!(!may(&kit, &key, "docs", "write", json!({})).await, "though its owner may");
    assert!(may(&kit, &key, "mail", "send", json!({})).await);
}

#[tokio::test]
async fn questions_are_answered_from_memory_also_after_a_restart() {
    let kit = Kit::open(|_| ()).await;
    let wall = wall(&kit, "ada").await;
    let granted = permission(&kit, &wall.owner, "docs:read", json!({})).await;
    let to = Grantee::Account(wall.member_id.clone());
    kit.identity.grant_permission(&wall.owner, &granted.id, to, &by(&wall.owner)).await.unwrap();
    let kit = kit.reopen(|_| ()).await;
    // Who was here last was read at start: the store is not asked for the answer.
    kit.identity.inner.store.close().await;
    assert!(may(&kit, &wall.member, "docs", "read", json!({})).await);
    assert!(!may(&kit, &wall.member, "docs", "write", json!({})).await);
    assert!(may(&kit, &wall.owner, "docs", "write", json!({})).await);
    // Of whom nothing is known nothing is said.
    let stranger = Principal { subject: "nobody".into(), ..wall.member };
    let context = Facts::new();
    let question = Question { resource: "docs", action: "read", context: &context };
    assert_eq!(kit.identity.may(&stranger, &question).await, Err(IdentityError::Unavailable));
}

#[tokio::test]
async fn an_organisation_holds_a_bounded_number_of_things_and_slugs_differ() {
    let kit = Kit::open(|_| ()).await;
    let (one, two) = (wall(&kit, "ada").await, wall(&kit, "bob").await);
    let first = kit.identity.organisation(&one.owner).await.unwrap();
    let second = kit.identity.organisation(&two.owner).await.unwrap();
    assert_eq!(first.name, "Example Organization");
    assert_eq!((&*first.slug, &*second.slug), ("example-organization", "example-organization-1"));
    let big: Facts = (0..1000).map(|n| (n.to_string(), json!("some text"))).collect();
    let new = NewPermission { resource: "a".into(), action: "b".into(), conditions: big };
    let refused = kit.identity.create_permission(&one.owner, new, &by(&one.owner)).await;
    assert!(matches!(refused, Err(IdentityError::Invalid(_))), "{refused:?}");
}
