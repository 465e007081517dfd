//! `/api/v1/permissions`: made, listed, changed, granted.

use serde_json::json;

use crate::support::inkpass::{assert_error, assert_invalid, shared};

const PATH: &str = "/api/v1/permissions";

#[tokio::test]
async fn a_permission_names_its_organisation_and_its_conditions_are_a_map() {
    let owner = shared().owner().await;
    let made = owner.client.post(PATH, json!({"resource": "docs", "action": "read"})).await;
    let made = made.expect(201).json();
    assert_eq!(made["organization_id"], owner.organization);
    assert_eq!(made["conditions"], json!({}), "trap 5: never null");
    let id = made["id"].as_str().unwrap();
    let list = owner.client.get(PATH).await.expect(200).json();
    assert_eq!(list, json!([made]));

    let change = json!({"action": "write", "conditions": {"a": [1]}});
    let changed = owner.client.patch(&format!("{PATH}/{id}"), change).await.expect(200).json();
    assert_eq!(changed["resource"], "docs");
    assert_eq!(changed["action"], "write");
    assert_eq!(changed["conditions"], json!({"a": [1]}));
    let same = owner.client.patch(&format!("{PATH}/{id}"), json!({"conditions": null})).await;
    assert_eq!(same.expect(200).json(), changed);

    assert!(
        !owner.client.delete(&format!("{PATH}/{id}")).await.expect(200).str("message").is_empty()
    );
    let gone = owner.client.delete(&format!("{PATH}/{id}")).await;
    assert_error(&gone, 404, "Permission not found");
}

#[tokio::test]
async fn each_change_needs_its_own_permission() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let id = owner.permission("docs", "read", json!({})).await;
    let one = format!("{PATH}/{id}");
    let assign = format!("{one}/assign");
    let body = json!({"resource": "a", "action": "b"});
    let to = json!({"user_id": member.id});
    let (client, none) = (&member.client, json!({}));
    assert_error(
        &client.post(PATH, body.clone()).await,
        403,
        "Permission denied: permissions:create",
    );
    assert_error(
        &client.patch(&one, none.clone()).await,
        403,
        "Permission denied: permissions:manage",
    );
    assert_error(&client.delete(&one).await, 403, "Permission denied: permissions:delete");
    assert_error(
        &client.post(&assign, to.clone()).await,
        403,
        "Permission denied: permissions:assign",
    );
    client.get(PATH).await.expect(200);
    for action in ["create", "manage", "assign", "delete"] {
        owner.grant(&member, "permissions", action).await;
    }
    client.post(PATH, body).await.expect(201);
    client.patch(&one, none).await.expect(200);
    client.post(&assign, to).await.expect(200);
    client.delete(&one).await.expect(200);
}

#[tokio::test]
async fn what_does_not_fit_is_told() {
    let owner = shared().owner().await;
    let id = owner.permission("docs", "read", json!({})).await;
    let reply = owner.client.post(PATH, json!({"resource": "docs"})).await;
    assert_invalid(&reply, &["body", "action"]);
    let body = json!({"resource": "a", "action": "b", "conditions": [1]});
    assert_invalid(&owner.client.post(PATH, body).await, &["body", "conditions"]);
    let body = json!({"resource": "", "action": "b"});
    assert_invalid(&owner.client.post(PATH, body).await, &["body", "resource"]);
    let reply = owner.client.post(&format!("{PATH}/{id}/assign"), json!({})).await;
    assert_error(&reply, 400, "Either group_id or user_id must be provided");
    let reply = owner.client.post(&format!("{PATH}/{id}/assign"), json!({"user_id": "x"})).await;
    assert_error(&reply, 404, "Permission, group or user not found");
}

#[tokio::test]
async fn a_key_administers_nothing() {
    let world = shared();
    let owner = world.owner().await;
    let key = owner.key(&["*"]).await;
    let client = world.caller().key(key["key"].as_str().unwrap());
    let reply = client.post(PATH, json!({"resource": "a", "action": "b"})).await;
    assert_error(&reply, 401, "Authentication required");
}
