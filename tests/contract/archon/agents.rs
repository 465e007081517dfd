//! Agents: what they are granted, and what their tokens open behind the gateway.

use reqwest::Method;
use serde_json::{Value, json};

use super::shared;
use crate::support::archon::{STATIC_KEY, assert_error, caller, data, user};

const ASKED: [&str; 6] =
    ["shell:execute", "file:read", "npm:install", "file:write", "git:commit", "file:create"];

fn request(kind: &str, capabilities: &[&str]) -> Value {
    json!({
        "agentType": kind, "capabilitiesRequested": capabilities,
        "taskContext": { "taskId": 7, "user_id": "mine" },
    })
}

#[tokio::test]
async fn all_five_fields_are_there_in_both_casings_and_in_order() {
    let gateway = &shared().gateway;
    let client = user(gateway, "user").await.1;
    let path = "/auth/agents/authenticate";
    let agent = data(&client.post(path, request("code_implementer", &ASKED)).await);
    assert_eq!(
        agent["capabilities_granted"],
        json!(["file:read", "file:write", "git:commit", "file:create"])
    );
    assert_eq!(agent["capabilities_denied"], json!(["shell:execute", "npm:install"]));
    assert_eq!(agent["capabilitiesGranted"], agent["capabilities_granted"]);
    assert_eq!(agent["agentToken"], agent["agent_token"]);
    assert_eq!(
        (agent["expires_in"].as_i64(), agent["expiresIn"].as_i64()),
        (Some(3600), Some(3600))
    );
    // The guide's agent cuts `**` and compares beginnings of relative paths.
    let paths = agent["restrictions"]["file_paths"].as_array().unwrap();
    let allowed = |file: &str| {
        paths.iter().any(|path| file.starts_with(path.as_str().unwrap().trim_end_matches("**")))
    };
    assert!(allowed("src/main.py") && !allowed("etc/passwd"));
    assert!(agent["restrictions"].get("filePaths").is_none(), "a free map");
}

#[tokio::test]
async fn all_denied_is_200_and_a_type_that_may_not_be_run_is_403() {
    let gateway = &shared().gateway;
    let client = user(gateway, "user").await.1;
    let path = "/auth/agents/authenticate";
    let agent = data(&client.post(path, request("code_implementer", &["shell:execute"])).await);
    assert_eq!(agent["capabilities_granted"], json!([]));
    for kind in ["security_auditor", "nonsense"] {
        let reply = client.post(path, request(kind, &["file:read"])).await;
        assert_error(&reply, 403, "AGENT_UNAUTHORIZED");
    }
    let operator = user(gateway, "agent_operator").await.1;
    data(&operator.post(path, request("security_auditor", &["file:read"])).await);
    for body in [
        json!({}),
        json!({ "agent_type": "code_implementer" }),
        json!({
            "agent_type": "code_implementer", "capabilities_requested": "file:read",
        }),
    ] {
        assert_error(&client.post(path, body).await, 400, "VALIDATION_ERROR");
    }
    assert_error(&caller(gateway).post(path, json!({})).await, 401, "AUTH_TOKEN_INVALID");
}

#[tokio::test]
async fn a_key_of_the_operator_suffices_and_the_token_is_judged_first() {
    let gateway = &shared().gateway;
    let path = "/auth/agents/authenticate";
    let keyed = caller(gateway).key(STATIC_KEY);
    let agent = data(&keyed.post(path, request("security_auditor", &["file:read"])).await);
    assert_eq!(agent["capabilities_granted"], json!(["file:read"]));
    let both = keyed.bearer("nonsense");
    assert_error(
        &both.post(path, request("security_auditor", &[])).await,
        401,
        "AUTH_TOKEN_INVALID",
    );
    assert_error(&keyed.get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    let wrong = caller(gateway).key("wrong");
    assert_error(
        &wrong.post(path, request("security_auditor", &[])).await,
        401,
        "AUTH_TOKEN_INVALID",
    );
}

#[tokio::test]
async fn a_token_is_validated_for_whoever_holds_it_until_its_session_ends() {
    let gateway = &shared().gateway;
    let (_, client, own) = user(gateway, "user").await;
    let agent = data(
        &client
            .post("/auth/agents/authenticate", request("code_implementer", &["file:read"]))
            .await,
    );
    let ask = |token: Value| {
        let client = caller(gateway);
        async move { client.post("/auth/agents/validate", json!({ "agentToken": token })).await }
    };
    let facts = data(&ask(agent["agent_token"].clone()).await);
    assert_eq!((&facts["valid"], &facts["agent_type"]), (&json!(true), &json!("code_implementer")));
    assert_eq!(facts["capabilities"], json!(["file:read"]));
    assert!(facts["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(facts["expiresAt"], facts["expires_at"]);
    for token in [own["access_token"].clone(), own["refresh_token"].clone(), json!("nonsense")] {
        assert_error(&ask(token).await, 401, "AUTH_TOKEN_INVALID");
    }
    data(&client.post("/auth/logout", Value::Null).await);
    assert_error(&ask(agent["agent_token"].clone()).await, 401, "AUTH_TOKEN_INVALID");
}

#[tokio::test]
async fn behind_the_gateway_an_agent_may_what_its_capabilities_say() {
    let bench = shared();
    let gateway = &bench.gateway;
    let (_, client, _) = user(gateway, "user").await;
    let token = |capabilities: &'static [&'static str]| {
        let client = client.clone();
        async move {
            let body = request("code_implementer", capabilities);
            let agent = data(&client.post("/auth/agents/authenticate", body).await);
            caller(gateway).bearer(agent["agent_token"].as_str().unwrap())
        }
    };
    let (reader, writer, nothing) =
        (token(&["file:read"]).await, token(&["file:read", "file:write"]).await, token(&[]).await);
    for (agent, method, status) in [
        (&reader, Method::GET, 200),
        (&reader, Method::PUT, 403),
        (&writer, Method::GET, 200),
        (&writer, Method::PUT, 200),
        (&writer, Method::DELETE, 200),
        (&nothing, Method::GET, 403),
    ] {
        let reply = agent.call(method.clone(), "/files/a", None).await;
        assert_eq!(reply.status, status, "{method}: {}", reply.text());
        if status == 403 {
            assert_error(&reply, 403, "AUTH_INSUFFICIENT_PERMISSIONS");
        }
    }
    // People are judged by the other half of the rule.
    assert_error(&client.get("/files/a").await, 403, "AUTH_INSUFFICIENT_PERMISSIONS");
    assert_eq!(user(gateway, "admin").await.1.get("/files/a").await.status, 200);
    let seen = bench.upstream.seen();
    let methods: Vec<_> = seen.iter().filter_map(|one| one.field("x-auth-method")).collect();
    assert!(methods.contains(&"agent".to_owned()), "{methods:?}");
    data(&client.post("/auth/logout", Value::Null).await);
    assert_error(&reader.get("/files/a").await, 401, "AUTH_TOKEN_INVALID");
}
