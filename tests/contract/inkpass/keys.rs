//! `/api/v1/api-keys`.

use serde_json::json;

use crate::support::inkpass::{assert_error, assert_invalid, shared};

const PATH: &str = "/api/v1/api-keys";

// requirement: 14
#[tokio::test]
async fn a_key_is_shown_once_under_both_names_and_never_again() {
    let world = shared();
    let owner = world.owner().await;
    let body = json!({"name": "ci", "scopes": ["docs:read"], "expires_in_days": 30});
    let made = owner.client.post(PATH, body).await.expect(201).json();
    let text = made["key"].as_str().unwrap();
    assert_eq!(made["api_key"], text, "trap 4");
    let secret = text.strip_prefix("inkpass_").expect("its prefix");
    let url_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(secret.len() == 43 && secret.chars().all(url_safe), "{text}");
    assert!(made["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(made["scopes"], json!(["docs:read"]));
    assert_eq!(owner.key(&[]).await["expires_at"], json!(null));

    let list = owner.client.get(PATH).await.expect(200);
    assert!(!list.text().contains(secret));
    let list = list.json();
    let item = list.as_array().unwrap().iter().find(|item| item["id"] == made["id"]).unwrap();
    assert_eq!(item["name"], "ci");
    assert_eq!(item["last_used_at"], json!(null));
    assert!(!world.gateway.output().contains(secret));
}

#[tokio::test]
async fn scopes_change_and_a_revocation_hold_for_the_next_request() {
    let world = shared();
    let owner = world.owner().await;
    let made = owner.key(&["docs:read"]).await;
    let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let client = world.caller().key(made["key"].as_str().unwrap());
    client.get("/echo/x").await.expect(200);
    let changed = owner.client.patch(&one, json!({"scopes": ["mail:*"]})).await.expect(200).json();
    assert_eq!(changed, json!({"id": made["id"], "name": "ci", "scopes": ["mail:*"]}));
    let me = client.get("/api/v1/auth/me").await.expect(200).json();
    assert_eq!(me["scopes"], json!(["mail:*"]));
    let usage = owner.client.get(&format!("{one}/usage")).await.expect(200).json();
    assert_eq!((&usage["id"], &usage["name"]), (&made["id"], &json!("ci")));
    assert!(usage["last_used_at"].is_string() && usage["created_at"].is_string(), "{usage}");

    owner.client.delete(&one).await.expect(200);
    assert_error(&client.get("/echo/x").await, 401, "Authentication required");
    for reply in [
        owner.client.delete(&one).await,
        owner.client.patch(&one, json!({"scopes": []})).await,
        owner.client.get(&format!("{one}/usage")).await,
    ] {
        assert_error(&reply, 404, "API key not found");
    }
    let list = owner.client.get(PATH).await.expect(200).json();
    assert!(list.as_array().unwrap().iter().all(|item| item["id"] != made["id"]));
}

#[tokio::test]
async fn nobody_puts_into_a_key_what_was_not_granted_nor_speaks_for_another() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let denied = "Permission denied: api_keys:create";
    let body = json!({"name": "k"});
    assert_error(&member.client.post(PATH, body.clone()).await, 403, denied);
    owner.grant(&member, "api_keys", "create").await;
    owner.grant(&member, "docs", "*").await;
    member.client.post(PATH, body).await.expect(201);
    for (scopes, status) in [
        (json!(["docs:read"]), 201),
        (json!(["docs:*"]), 201),
        (json!(["mail:read"]), 403),
        (json!(["docs:read", "*"]), 403),
        (json!(["plain-word"]), 201),
    ] {
        let body = json!({"name": "k", "scopes": scopes});
        let reply = member.client.post(PATH, body).await;
        assert_eq!(reply.status, status, "{scopes}: {}", reply.text());
    }
    let body = json!({"name": "k", "user_id": owner.id});
    assert_error(&member.client.post(PATH, body).await, 403, denied);
    let body = json!({"name": "k", "user_id": member.id});
    let made = owner.client.post(PATH, body).await.expect(201).json();
    assert_eq!(made["user_id"], member.id);
    let mine = member.client.get(PATH).await.expect(200).json();
    assert!(mine.as_array().unwrap().iter().all(|item| item["user_id"] == member.id), "{mine}");
}

#[tokio::test]
async fn what_does_not_fit_is_422() {
    let owner = shared().owner().await;
    assert_invalid(&owner.client.post(PATH, json!({})).await, &["body", "name"]);
    let body = json!({"name": "k", "expires_in_days": 0});
    assert_invalid(&owner.client.post(PATH, body).await, &["body", "expires_in_days"]);
    let body = json!({"name": "k", "scopes": "docs:read"});
    assert_invalid(&owner.client.post(PATH, body).await, &["body", "scopes"]);
}
