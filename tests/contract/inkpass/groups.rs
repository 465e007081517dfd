//! `/api/v1/groups` and their members.

use reqwest::Method;
use serde_json::json;

use crate::support::inkpass::{assert_error, assert_invalid, shared};

const PATH: &str = "/api/v1/groups";

#[tokio::test]
async fn a_group_is_made_listed_changed_and_removed() {
    let owner = shared().owner().await;
    let body = json!({"name": "devs", "description": "people"});
    let made = owner.client.post(PATH, body).await.expect(201).json();
    assert_eq!(made["organization_id"], owner.organization);
    assert_eq!((&made["name"], &made["description"]), (&json!("devs"), &json!("people")));
    assert_eq!(owner.client.get(PATH).await.expect(200).json(), json!([made]));
    let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let changed = owner.client.patch(&one, json!({"name": "ops"})).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("ops"), &json!("people")));
    owner.client.delete(&one).await.expect(200);
    assert_error(&owner.client.patch(&one, json!({})).await, 404, "Group not found");
    assert_error(&owner.client.delete(&one).await, 404, "Group not found");
    assert_invalid(&owner.client.post(PATH, json!({})).await, &["body", "name"]);
}

#[tokio::test]
async fn members_come_and_go_on_both_paths() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let group = owner.group("devs").await;
    let path = format!("{PATH}/{group}/members/{}", member.id);
    owner.client.call(Method::POST, &path, None).await.expect(200);
    owner.client.call(Method::POST, &path, None).await.expect(200);
    owner.client.delete(&path).await.expect(200);
    let gone = owner.client.delete(&path).await;
    assert_error(&gone, 404, "Group, user, or membership not found");
    let named = format!("{PATH}/{group}/users");
    owner.client.post(&named, json!({"user_id": member.id})).await.expect(200);
    let unknown = owner.client.post(&named, json!({"user_id": "x"})).await;
    assert_error(&unknown, 404, "Group or user not found");
}

#[tokio::test]
async fn each_change_needs_its_own_permission() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let group = owner.group("devs").await;
    let one = format!("{PATH}/{group}");
    let within = format!("{one}/members/{}", member.id);
    let client = &member.client;
    let create = client.post(PATH, json!({"name": "x"})).await;
    assert_error(&create, 403, "Permission denied: groups:create");
    let manage = "Permission denied: groups:manage";
    assert_error(&client.patch(&one, json!({})).await, 403, manage);
    assert_error(&client.call(Method::POST, &within, None).await, 403, manage);
    assert_error(&client.delete(&within).await, 403, manage);
    assert_error(&client.delete(&one).await, 403, "Permission denied: groups:delete");
    client.get(PATH).await.expect(200);
}
