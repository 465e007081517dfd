//! API keys.

use super::*;

#[tokio::test]
async fn a_new_key_is_told_flat_and_nested_and_then_never_again() {
    let kit = Kit::open().await;
    let who = caller(&kit.account("alice", "USER").await);
    let wish = json!({
        "name": "ci", "description": "build", "scopes": ["read", "WRITE"], "expires_days": 30,
        "allowed_ips": ["10.0.0.1", "10.1.0.0/16"], "rate_limit_per_hour": 1000, "color": "red",
    });
    let made = kit.new_key(&who, wish).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.text("key_id").to_owned();
    assert!(id.starts_with("tmws_key_") && made.text("api_key").starts_with(&format!("{id}.")));
    assert_eq!(made.body["scopes"], json!(["READ", "WRITE"]));
    assert_eq!(made.body["allowed_ips"], json!(["10.0.0.1", "10.1.0.0/16"]));
    assert_eq!(made.body["rate_limit_per_hour"], json!(1000));
    assert_eq!(made.body["is_active"], json!(true));
    assert!(made.text("expires_at").ends_with('Z') && made.text("created_at").ends_with('Z'));
    let info = made.body["key_info"].as_object().unwrap();
    for (name, value) in info {
        assert_eq!(&made.body[name], value, "{name}");
    }
    assert!(!info.contains_key("api_key"));

    let list = kit.ask(Some(&who), Method::GET, "/api/v1/auth/api-keys", "").await;
    assert_eq!((list.status, &list.body["total"]), (200, &json!(1)));
    let entry = &list.body["api_keys"][0];
    assert_eq!(entry["key_id"], id.as_str());
    assert_eq!(entry["usage_count"], entry["total_requests"]);
    assert_eq!(entry["last_used_at"], Value::Null);
    let secret = made.text("api_key").split_once('.').unwrap().1;
    assert!(!list.body.to_string().contains(secret));
}

#[tokio::test]
async fn a_key_request_beyond_the_rules_is_422_and_beyond_the_role_403() {
    let kit = Kit::open().await;
    let who = caller(&kit.account("alice", "USER").await);
    let reply = kit.new_key(&who, json!({ "name": "x", "expires_days": 1.5 })).await;
    refused(&reply, 422, "Validation Error");
    assert_eq!(reply.body["details"].as_array().unwrap().len(), 2);
    assert_eq!(reply.body["details"][0]["loc"], json!(["body", "name"]));
    let reply = kit.new_key(&who, json!({ "name": "ci", "scopes": ["NONE"] })).await;
    refused(&reply, 422, "Validation Error");
    let reply = kit.new_key(&who, json!({ "name": "ci", "allowed_ips": ["host"] })).await;
    refused(&reply, 422, "Validation Error");
    let reply = kit.new_key(&who, json!({ "name": "ci", "scopes": ["ADMIN"] })).await;
    refused(&reply, 403, "Permission required: create");
    let reply = kit.new_key(&who, json!({ "name": "ci" })).await;
    assert_eq!((reply.status, &reply.body["scopes"]), (201, &json!(["READ"])));
    assert_eq!(reply.body["expires_at"], Value::Null);
}

#[tokio::test]
async fn only_the_owner_rotates_and_ends_a_key() {
    let kit = Kit::open().await;
    let alice = caller(&kit.account("alice", "USER").await);
    let root = caller(&kit.account("root", "SUPER_ADMIN").await);
    let made = kit.new_key(&alice, json!({ "name": "ci" })).await;
    let path = format!("/api/v1/auth/api-keys/{}", made.text("key_id"));
    let rotate = format!("{path}/rotate");
    for who in [&root, &alice] {
        let own = who.subject == alice.subject;
        let wish = json!({ "overlap_seconds": 60 }).to_string();
        let reply = kit.ask(Some(who), Method::POST, &rotate, wish).await;
        if !own {
            refused(&reply, 404, "Not Found");
            refused(&kit.ask(Some(who), Method::DELETE, &path, "").await, 404, "Not Found");
            continue;
        }
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert_eq!(reply.text("replaces"), made.text("key_id"));
        assert_ne!(reply.text("key_id"), made.text("key_id"));
        assert!(reply.text("old_valid_until").ends_with('Z'));
        assert!(reply.text("api_key").contains('.') && reply.body["key_info"].is_object());
        let reply = kit.ask(Some(who), Method::DELETE, &path, "").await;
        assert_eq!((reply.status, reply.text("key_id")), (200, made.text("key_id")));
        assert!(!reply.text("message").is_empty());
    }
    let wish = json!({ "overlap_seconds": 604_801 }).to_string();
    refused(&kit.ask(Some(&alice), Method::POST, &rotate, wish).await, 422, "Validation Error");
    let unknown = "/api/v1/auth/api-keys/tmws_key_0";
    refused(&kit.ask(Some(&alice), Method::DELETE, unknown, "").await, 404, "Not Found");
}

#[tokio::test]
async fn a_key_reads_its_own_facts_and_its_owner() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    let who = caller(&account);
    for (limit, shown) in [(json!(7), json!(7)), (Value::Null, Value::Null)] {
        let wish = json!({ "name": "ci", "rate_limit_per_hour": limit });
        let made = kit.new_key(&who, wish).await;
        let key = Principal {
            method: AuthMethod::ApiKey,
            key: Some(made.text("key_id").into()),
            ..who.clone()
        };
        let path = "/api/v1/auth/api-keys/current";
        let reply = kit.ask(Some(&key), Method::GET, path, "").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.text("key_id"), made.text("key_id"));
        assert_eq!(reply.body["limit"], shown);
        assert_eq!(reply.body["remaining"], shown);
        assert_eq!(reply.body["reset"].is_i64(), !shown.is_null());
        assert_eq!(reply.body["usage_count"], json!(0));
        for path in ["/api/v1/auth/me", "/api/v1/users/me"] {
            let me = kit.ask(Some(&key), Method::GET, path, "").await;
            assert_eq!((me.status, me.text("id")), (200, account.id.as_str()));
        }
    }
    let vanished = Principal { key: Some("tmws_key_0".into()), ..who.clone() };
    let reply = kit.ask(Some(&vanished), Method::GET, "/api/v1/auth/api-keys/current", "").await;
    refused(&reply, 401, "Invalid API key");
}
