//! API keys as objects: create, list, delete, rotate, current.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::tmws::{
    assert_common_headers, assert_error, caller, make_key, shared, user, with_role,
};

const KEYS: &str = "/api/v1/auth/api-keys";

/// ISO 8601 UTC with `Z`, as contract rule 14 wants it; seconds since the epoch.
#[track_caller]
fn seconds(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("a time: {value}"));
    assert!(text.ends_with('Z'), "UTC with Z: {text}");
    let stamp: jiff::Timestamp = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    let fraction = text.split_once('.').map_or(0, |(_, rest)| rest.len() - 1);
    assert!(fraction == 0 || fraction == 3, "second or millisecond precision: {text}");
    stamp.as_second()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[tokio::test]
async fn a_new_key_is_201_flat_and_nested() {
    let (_, owner, _) = user(shared()).await;
    let reply = make_key(
        &owner,
        json!({
            "name": "CI", "description": "for the builds", "scopes": ["READ", "WRITE"],
            "expires_days": 90, "allowed_ips": ["127.0.0.1", "10.0.0.0/8"],
            "rate_limit_per_hour": 500,
        }),
    )
    .await;
    assert_common_headers(&reply);
    let body = reply.json();
    let text = body["api_key"].as_str().unwrap();
    let (id, secret) = text.split_once('.').expect("tmws_key_<id>.<secret>");
    assert!(id.starts_with("tmws_key_"), "{id}");
    assert_eq!(body["key_id"], id);
    assert!(secret.len() >= 27, "at least 160 random bits: {} characters", secret.len());

    for part in [&body, &body["key_info"]] {
        assert_eq!(part["key_id"], id, "{part}");
        assert_eq!(part["name"], "CI");
        assert_eq!(part["description"], "for the builds");
        assert_eq!(part["scopes"], json!(["READ", "WRITE"]));
        assert_eq!(part["allowed_ips"].as_array().unwrap().len(), 2);
        assert_eq!(part["rate_limit_per_hour"], 500);
        assert_eq!(part["is_active"], true);
        let created = seconds(&part["created_at"]);
        assert!((now() - created).abs() < 60);
        assert_eq!(seconds(&part["expires_at"]) - created, 90 * 86_400);
    }
    assert!(!body["key_info"].to_string().contains(secret), "the secret stands once");
}

#[tokio::test]
async fn only_a_name_is_needed() {
    let (_, owner, _) = user(shared()).await;
    let body = make_key(&owner, json!({"name": "ab"})).await.json();
    assert_eq!(body["scopes"], json!(["READ"]), "the default");
    assert_eq!(body["expires_at"], Value::Null);
    assert_eq!(body["description"], Value::Null);
    assert_eq!(body["rate_limit_per_hour"], Value::Null);
    assert!(body["allowed_ips"].is_array() || body["allowed_ips"].is_null());
}

#[tokio::test]
async fn scopes_are_taken_in_any_case_and_answered_in_upper_case() {
    let (_, owner, _) = user(shared()).await;
    let body = make_key(&owner, json!({"name": "mixed", "scopes": ["read", "Tasks"]})).await.json();
    let mut scopes: Vec<_> = body["scopes"].as_array().unwrap().clone();
    scopes.sort_by_key(Value::to_string);
    assert_eq!(scopes, [json!("READ"), json!("TASKS")]);
    assert_eq!(body["scopes"], body["key_info"]["scopes"]);
}

#[tokio::test]
async fn what_does_not_fit_is_422_naming_the_field() {
    let (_, owner, _) = user(shared()).await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": "a"}), "name"),
        (json!({"name": "x".repeat(129)}), "name"),
        (json!({"name": 5}), "name"),
        (json!({"name": "ok", "description": "x".repeat(501)}), "description"),
        (json!({"name": "ok", "scopes": []}), "scopes"),
        (json!({"name": "ok", "scopes": ["NONSENSE"]}), "scopes"),
        (json!({"name": "ok", "scopes": "READ"}), "scopes"),
        (json!({"name": "ok", "expires_days": 0}), "expires_days"),
        (json!({"name": "ok", "expires_days": -1}), "expires_days"),
        (json!({"name": "ok", "expires_days": 1.5}), "expires_days"),
        (json!({"name": "ok", "expires_days": "30"}), "expires_days"),
        (json!({"name": "ok", "allowed_ips": ["not-an-address"]}), "allowed_ips"),
        (json!({"name": "ok", "allowed_ips": ["10.0.0.0/33"]}), "allowed_ips"),
        (json!({"name": "ok", "rate_limit_per_hour": 0}), "rate_limit_per_hour"),
    ] {
        let reply = owner.post(KEYS, body.clone()).await;
        assert_error(&reply, 422, "Validation Error");
        let details = reply.json()["details"].to_string();
        assert!(details.contains(field), "{body}: {details}");
    }
}

#[tokio::test]
async fn names_of_2_and_128_characters_fit_also_beyond_ascii() {
    let (_, owner, _) = user(shared()).await;
    for name in ["ab".to_owned(), "é".repeat(128), "x".repeat(128)] {
        make_key(&owner, json!({"name": name, "description": "d".repeat(500)})).await;
    }
}

#[tokio::test]
async fn a_key_cannot_make_a_key() {
    let key = shared().facts["api_keys"]["tmws"].as_str().unwrap();
    let reply = caller(shared()).key(key).post(KEYS, json!({"name": "child"})).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert_error(
        &caller(shared()).post(KEYS, json!({"name": "x1"})).await,
        401,
        "Authentication required - missing credentials",
    );
}

#[tokio::test]
async fn a_readonly_account_may_not_make_keys() {
    let (_, owner, _) = with_role(shared(), "READONLY").await;
    let reply = owner.post(KEYS, json!({"name": "mine"})).await;
    assert_error(&reply, 403, "Permission required: create");
    owner.get(KEYS).await.expect(200);
}

// requirement: 14
#[tokio::test]
async fn a_creator_cannot_grant_what_it_has_not() {
    let (_, owner, _) = user(shared()).await;
    for scopes in [json!(["ADMIN"]), json!(["READ", "ADMIN"])] {
        let reply = owner.post(KEYS, json!({"name": "too much", "scopes": scopes})).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
    }
    let (_, admin, _) = with_role(shared(), "ADMIN").await;
    make_key(&admin, json!({"name": "for operations", "scopes": ["ADMIN"]})).await;
}

#[tokio::test]
async fn the_list_shows_own_keys_only_revoked_ones_included() {
    let (_, owner, _) = user(shared()).await;
    let (_, other, _) = user(shared()).await;
    make_key(&other, json!({"name": "not yours"})).await;
    let kept = make_key(&owner, json!({"name": "kept"})).await.json();
    let gone = make_key(&owner, json!({"name": "gone"})).await.json();
    let gone_id = gone["key_id"].as_str().unwrap();
    owner.delete(&format!("{KEYS}/{gone_id}")).await.expect(200);

    let body = owner.get(KEYS).await.expect(200).json();
    assert_eq!(body["total"].as_i64(), Some(2));
    let rows = body["api_keys"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let active = row["key_id"] == kept["key_id"];
        assert_eq!(row["is_active"], active, "{row}");
        for field in ["name", "description", "scopes", "expires_at", "last_used_at", "key_prefix"] {
            assert!(row.as_object().unwrap().contains_key(field), "{field}: {row}");
        }
        seconds(&row["created_at"]);
        assert_eq!(row["usage_count"], row["total_requests"]);
        assert!(row["usage_count"].is_u64());
    }
    let text = body.to_string();
    for made in [&kept, &gone] {
        let secret = made["api_key"].as_str().unwrap().split_once('.').unwrap().1;
        assert!(!text.contains(secret), "shown once");
    }
}

#[tokio::test]
async fn use_is_counted() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "counted"})).await.json();
    let client = caller(shared()).key(made["api_key"].as_str().unwrap());
    for _ in 0..3 {
        client.get("/api/v1/tasks").await.expect(200);
    }
    let body = owner.get(KEYS).await.json();
    let row = &body["api_keys"][0];
    assert_eq!(row["usage_count"], 3, "{row}");
    assert_eq!(row["total_requests"], 3);
    assert!((now() - seconds(&row["last_used_at"])).abs() < 60);
}

// requirement: 10
#[tokio::test]
async fn a_deleted_key_is_dead_for_the_next_request() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "short-lived"})).await.json();
    let id = made["key_id"].as_str().unwrap();
    let client = caller(shared()).key(made["api_key"].as_str().unwrap());
    client.get("/api/v1/tasks").await.expect(200);

    let reply = owner.delete(&format!("{KEYS}/{id}")).await.expect(200);
    assert_eq!(reply.str("key_id"), id);
    assert!(!reply.str("message").is_empty());
    assert_error(&client.get("/api/v1/tasks").await, 401, "Invalid API key");
    // Deleting again changes nothing and is no error.
    owner.delete(&format!("{KEYS}/{id}")).await.expect(200);
}

#[tokio::test]
async fn unknown_and_foreign_keys_are_404_alike() {
    let (_, owner, _) = user(shared()).await;
    let (_, mallory, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "mine"})).await.json();
    let id = made["key_id"].as_str().unwrap();
    for id in [id, "tmws_key_nosuchkey", "nonsense"] {
        let reply = mallory.delete(&format!("{KEYS}/{id}")).await;
        assert_error(&reply, 404, "Not Found");
        let reply = mallory.post(&format!("{KEYS}/{id}/rotate"), json!({})).await;
        assert_error(&reply, 404, "Not Found");
    }
    let client = caller(shared()).key(made["api_key"].as_str().unwrap());
    client.get("/api/v1/tasks").await.expect(200);
}

#[tokio::test]
async fn a_rotation_without_overlap_replaces_at_once() {
    let (_, owner, _) = user(shared()).await;
    let old = make_key(
        &owner,
        json!({"name": "turning", "scopes": ["READ", "WRITE"], "rate_limit_per_hour": 77}),
    )
    .await
    .json();
    let id = old["key_id"].as_str().unwrap();
    let reply = owner.post(&format!("{KEYS}/{id}/rotate"), json!({})).await.expect(201);
    let new = reply.json();
    assert_eq!(new["replaces"], id);
    assert!((seconds(&new["old_valid_until"]) - now()).abs() < 60);
    assert_ne!(new["key_id"], old["key_id"]);
    for field in ["name", "scopes", "rate_limit_per_hour", "description"] {
        assert_eq!(new[field], old[field], "{field} is taken over");
        assert_eq!(new["key_info"][field], old[field]);
    }
    let with = |made: &Value| caller(shared()).key(made["api_key"].as_str().unwrap());
    assert_error(&with(&old).get("/api/v1/tasks").await, 401, "Invalid API key");
    with(&new).get("/api/v1/tasks").await.expect(200);
}

// requirement: 14
#[tokio::test]
async fn a_rotation_with_overlap_leaves_the_old_key_its_time() {
    let (_, owner, _) = user(shared()).await;
    let old = make_key(&owner, json!({"name": "turning"})).await.json();
    let path = format!("{KEYS}/{}/rotate", old["key_id"].as_str().unwrap());
    let new = owner.post(&path, json!({"overlap_seconds": 4})).await.expect(201).json();
    let with = |made: &Value| caller(shared()).key(made["api_key"].as_str().unwrap());
    with(&old).get("/api/v1/tasks").await.expect(200);
    with(&new).get("/api/v1/tasks").await.expect(200);
    crate::support::wait::until("the overlap ends", || async {
        let reply = with(&old).get("/api/v1/tasks").await;
        (reply.status != 200).then(|| assert_error(&reply, 401, "Invalid API key"))
    })
    .await;
    with(&new).get("/api/v1/tasks").await.expect(200);
}

#[tokio::test]
async fn an_overlap_is_a_whole_number_up_to_a_week() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "turning"})).await.json();
    let path = format!("{KEYS}/{}/rotate", made["key_id"].as_str().unwrap());
    for wrong in [json!(-1), json!(604_801), json!("10"), json!(1.5)] {
        let reply = owner.post(&path, json!({"overlap_seconds": wrong})).await;
        assert_error(&reply, 422, "Validation Error");
    }
    let reply = owner.post(&path, json!({"overlap_seconds": 604_800})).await.expect(201);
    let until = seconds(&reply.json()["old_valid_until"]);
    assert!((until - now() - 604_800).abs() < 60);
}

#[tokio::test]
async fn a_rotation_needs_no_body() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "turning"})).await.json();
    let path = format!("{KEYS}/{}/rotate", made["key_id"].as_str().unwrap());
    owner.call(reqwest::Method::POST, &path, None).await.expect(201);
}

#[tokio::test]
async fn a_key_can_ask_about_itself() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(
        &owner,
        json!({"name": "curious", "scopes": ["TASKS"], "rate_limit_per_hour": 10}),
    )
    .await
    .json();
    let client = caller(shared()).key(made["api_key"].as_str().unwrap());
    client.get("/api/v1/tasks").await.expect(200);
    let body = client.get(&format!("{KEYS}/current")).await.expect(200).json();
    assert_eq!(body["key_id"], made["key_id"]);
    assert_eq!(body["name"], "curious");
    assert_eq!(body["scopes"], json!(["TASKS"]));
    assert_eq!(body["limit"], 10);
    let remaining = body["remaining"].as_i64().unwrap();
    assert!((7..=9).contains(&remaining), "{body}");
    assert!(body["reset"].is_i64() || body["reset"].is_u64(), "{body}");
    assert!(body["usage_count"].as_u64().unwrap() >= 1, "{body}");
    assert!(!body.to_string().contains(made["api_key"].as_str().unwrap()));
}

#[tokio::test]
async fn a_key_without_a_limit_says_so_with_null() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "free"})).await.json();
    let client = caller(shared()).key(made["api_key"].as_str().unwrap());
    let body = client.get(&format!("{KEYS}/current")).await.expect(200).json();
    assert_eq!(body["limit"], Value::Null, "{body}");
    assert_eq!(body["remaining"], Value::Null, "{body}");
}

#[tokio::test]
async fn current_takes_a_key_only() {
    let (_, owner, _) = user(shared()).await;
    let reply = owner.get(&format!("{KEYS}/current")).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    let reply = caller(shared()).key("tmws_key_a.b").get(&format!("{KEYS}/current")).await;
    assert_error(&reply, 401, "Invalid API key");
}
