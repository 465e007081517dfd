//! `POST /api/v1/auth/check` and `/permissions/check`: the answers that this contract is about.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::inkpass::{SERVICE_KEY, assert_error, assert_invalid, shared};

const PATH: &str = "/api/v1/auth/check?resource=docs&action=read";

/// Traps 6 and 9: the question stands in the query, and the whole body is the context.
#[tokio::test]
async fn conditions_are_held_against_the_whole_body() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let conditions = json!({"department": "sales", "level": 2});
    let id = owner.permission("docs", "read", conditions.clone()).await;
    let grant = json!({"user_id": member.id});
    owner.client.post(&format!("/api/v1/permissions/{id}/assign"), grant).await.expect(200);
    for (context, answer) in [
        (conditions.clone(), true),
        (json!({"department": "sales", "level": 2, "more": [1]}), true),
        (json!({"department": "sales"}), false),
        (json!({"department": "sales", "level": "2"}), false),
        (json!({"department": "Sales", "level": 2}), false),
        (json!({}), false),
        (json!({ "context": conditions }), false),
        (json!({"resource": "docs", "action": "read"}), false),
    ] {
        assert_eq!(member.may("docs", "read", context.clone()).await, answer, "{context}");
    }
    assert!(!member.may("docs", "write", conditions).await);
    assert!(!member.may("unheard", "of", json!({})).await, "unknown is no error");
}

#[tokio::test]
async fn the_answer_says_what_was_asked_about_whom() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let reply = member.client.post(PATH, json!({})).await.expect(200);
    assert_eq!(
        reply.json(),
        json!({
            "has_permission": false, "resource": "docs", "action": "read",
            "user_id": member.id, "organization_id": owner.organization,
        })
    );
    let body = json!({"resource": "docs", "action": "read"});
    let reply = owner.client.post("/api/v1/permissions/check", body).await.expect(200);
    assert_eq!(reply.json(), json!({"allowed": true, "resource": "docs", "action": "read"}));
}

#[tokio::test]
async fn an_absent_body_is_no_context() {
    let owner = shared().owner().await;
    let reply = owner.client.call(Method::POST, PATH, None).await.expect(200);
    assert_eq!(reply.json()["has_permission"], true, "the owner may everything");
    let typed = Some(("application/json", Vec::new()));
    owner.client.send(Method::POST, PATH, typed).await.expect(200);
    owner.client.post(PATH, serde_json::Value::Null).await.expect(200);
}

#[tokio::test]
async fn what_cannot_be_read_is_422_and_who_is_nobody_401() {
    let world = shared();
    let owner = world.owner().await;
    let reply = owner.client.post("/api/v1/auth/check", json!({"resource": "a"})).await;
    assert_invalid(&reply, &["query", "resource"]);
    assert_invalid(&reply, &["query", "action"]);
    let reply = owner.client.post(PATH, json!([1])).await;
    assert_invalid(&reply, &["body"]);
    let reply = world.caller().post(PATH, json!({})).await;
    assert_error(&reply, 401, "Authentication required");
    let reply = owner.client.post("/api/v1/permissions/check", json!({})).await;
    assert_invalid(&reply, &["body", "resource"]);
}

#[tokio::test]
async fn wildcards_and_groups_reach_and_what_is_taken_back_is_gone_at_once() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let group = owner.group("devs").await;
    let id = owner.permission("builds", "*", json!({})).await;
    let path = format!("/api/v1/permissions/{id}/groups");
    owner.client.post(&path, json!({"group_id": group})).await.expect(200);
    assert!(!member.may("builds", "start", json!({})).await);
    let path = format!("/api/v1/groups/{group}/members/{}", member.id);
    owner.client.call(Method::POST, &path, None).await.expect(200);
    assert!(member.may("builds", "start", json!({})).await);
    assert!(!member.may("build", "start", json!({})).await);
    owner.client.delete(&path).await.expect(200);
    assert!(!member.may("builds", "start", json!({})).await);

    let id = owner.grant(&member, "*", "*").await;
    assert!(member.may("anything", "at-all", json!({})).await);
    owner.client.delete(&format!("/api/v1/permissions/{id}")).await.expect(200);
    assert!(!member.may("anything", "at-all", json!({})).await);
}

#[tokio::test]
async fn a_key_may_what_its_scopes_say() {
    let world = shared();
    let owner = world.owner().await;
    let made = owner.key(&["docs:read", "mail:*"]).await;
    let client = world.caller().key(made["key"].as_str().unwrap());
    for (resource, action, answer) in [
        ("docs", "read", true),
        ("docs", "write", false),
        ("mail", "send", true),
        ("x", "y", false),
    ] {
        let path = format!("/api/v1/auth/check?resource={resource}&action={action}");
        let reply = client.post(&path, json!({})).await.expect(200).json();
        assert_eq!(reply["has_permission"], answer, "{resource}:{action}");
        assert_eq!(reply["user_id"], owner.id);
    }
    let service = world.caller().key(SERVICE_KEY);
    let ask = |resource: &str| format!("/api/v1/auth/check?resource={resource}&action=read");
    let answers: Vec<Value> = [
        service.post(&ask("reports"), json!({})).await.expect(200).json(),
        service.post(&ask("docs"), json!({})).await.expect(200).json(),
    ]
    .into();
    assert_eq!(
        (&answers[0]["has_permission"], &answers[1]["has_permission"]),
        (&json!(true), &json!(false))
    );
}
