//! Protected upstream paths: what the toy task and memory service answers arrives untouched.

use serde_json::json;

use crate::support::tmws::{assert_common_headers, assert_error, caller, shared, user};

const TASKS: &str = "/api/v1/tasks";

#[tokio::test]
async fn a_task_is_created_listed_and_found() {
    let (_, client, _) = user(shared()).await;
    let wanted = json!({"title": "Write", "description": "the tests", "priority": "high"});
    let reply = client.post(TASKS, wanted).await.expect(201);
    assert_common_headers(&reply);
    let task = reply.json()["task"].clone();
    assert!(task["id"].is_string(), "Go decodes a string: {task}");
    assert_eq!(task["title"], "Write");
    assert_eq!(task["description"], "the tests");
    assert_eq!(task["priority"], "high");
    assert!(task["status"].is_string());

    let list = client.get(TASKS).await.expect(200).json();
    assert!(list["total"].is_u64(), "{list}");
    let tasks = list["tasks"].as_array().unwrap();
    assert!(tasks.iter().any(|t| t["id"] == task["id"]));

    let found = client
        .post("/api/v1/memory/search", json!({"query": "tests", "limit": 5}))
        .await
        .expect(200)
        .json();
    assert!(found["results"].is_array(), "{found}");
}

#[tokio::test]
async fn a_description_left_out_is_no_null() {
    // The Rust client's struct has plain strings.
    let (_, client, _) = user(shared()).await;
    let task = client.post(TASKS, json!({"title": "bare"})).await.expect(201).json();
    assert!(task["task"]["description"].is_string(), "{task}");
}

// requirement: 12
#[tokio::test]
async fn without_a_credential_it_is_401_with_a_challenge() {
    for reply in [
        caller(shared()).get(TASKS).await,
        caller(shared()).post(TASKS, json!({"title": "x"})).await,
        caller(shared()).post("/api/v1/memory/search", json!({"query": "x"})).await,
    ] {
        assert_error(&reply, 401, "Authentication required - missing credentials");
        assert_eq!(reply.all("www-authenticate"), ["Bearer"]);
    }
}

#[tokio::test]
async fn a_trailing_slash_is_no_redirect() {
    let (_, client, _) = user(shared()).await;
    for path in ["/api/v1/tasks/", "//api/v1/tasks"] {
        let reply = client.get(path).await.expect(200);
        assert!(reply.header("location").is_none());
        client.post(path, json!({"title": "slash"})).await.expect(201);
    }
}

#[tokio::test]
async fn a_get_may_carry_a_content_type_without_a_body() {
    let (_, client, _) = user(shared()).await;
    client.with("Content-Type", "application/json").get(TASKS).await.expect(200);
}

#[tokio::test]
async fn a_head_is_a_get_without_a_body() {
    let (_, client, _) = user(shared()).await;
    let reply = client.call(reqwest::Method::HEAD, TASKS, None).await.expect(200);
    assert!(reply.body.is_empty());
    let refused = caller(shared()).call(reqwest::Method::HEAD, TASKS, None).await.expect(401);
    assert!(refused.body.is_empty());
}

#[tokio::test]
async fn no_user_agent_is_turned_away() {
    let (_, client, _) = user(shared()).await;
    for agent in ["curl/8.5.0", "python-requests/2.32", "node", "Go-http-client/1.1", "sqlmap", ""]
    {
        client.with("User-Agent", agent).get(TASKS).await.expect(200);
    }
}

// requirement: 11
#[tokio::test]
async fn a_bearer_may_be_spelled_in_any_case_but_must_be_one_token() {
    let (_, _, tokens) = user(shared()).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let client = caller(shared()).with("Authorization", &format!("{scheme} {}", tokens.access));
        client.get(TASKS).await.expect(200);
    }
    for value in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        tokens.access.clone(),
        format!("Basic {}", tokens.access),
        format!("Bearer {} x", tokens.access),
        format!("Bearer {},{}", tokens.access, tokens.access),
        format!("Token {}", tokens.access),
    ] {
        let reply = caller(shared()).with("Authorization", &value).get(TASKS).await;
        assert_eq!(reply.status, 401, "{value:.20}: {}", reply.text());
    }
}

// requirement: 11
#[tokio::test]
async fn a_token_in_query_cookie_or_body_is_no_credential() {
    let (_, _, tokens) = user(shared()).await;
    let token = &tokens.access;
    let key = shared().facts["api_keys"]["tmws"].as_str().unwrap();
    let client = caller(shared());
    for path in [
        format!("{TASKS}?access_token={token}"),
        format!("{TASKS}?token={token}"),
        format!("{TASKS}?api_key={key}"),
        format!("{TASKS}?X-API-Key={key}"),
    ] {
        assert_eq!(client.get(&path).await.status, 401);
    }
    let cookie = client.with("Cookie", &format!("access_token={token}"));
    assert_eq!(cookie.get(TASKS).await.status, 401);
    let body = json!({"title": "x", "access_token": token});
    assert_eq!(client.post(TASKS, body).await.status, 401);
}
