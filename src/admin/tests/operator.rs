//! The operator API, endpoint by endpoint.

use std::sync::atomic::Ordering;

use axum::http::Method;
use serde_json::{Value, json};

use super::{Answer, Kit, ask};

const PASSWORD: &str = "Corr3ct-Horse-Battery";

async fn user(kit: &Kit, name: &str, role: &str) -> Answer {
    let wish = json!({ "username": name, "password": PASSWORD, "roles": [role] });
    let answer = kit.post("/v1/users", wish).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer
}

async fn key(kit: &Kit, owner: &str) -> Value {
    let wish = json!({ "mount": "api", "owner": owner, "name": "ci", "scopes": ["READ"] });
    let answer = kit.post("/v1/keys", wish).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_user_without_a_password_gets_one_that_is_told_once() {
    let kit = Kit::open(&["api"]).await;
    let answer = kit.post("/v1/users", json!({ "username": "root", "roles": ["ADMIN"] })).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let made = answer.json();
    assert!(made["generated_password"].as_str().unwrap().len() >= 20);
    assert_eq!(made["user"]["roles"], json!(["ADMIN"]));
    let list = kit.get("/v1/users").await;
    assert!(!list.text.contains(made["generated_password"].as_str().unwrap()));

    let answer = user(&kit, "alice", "USER").await;
    assert!(answer.json().get("generated_password").is_none());
}

#[tokio::test]
async fn refusals_of_a_new_user_are_problems_with_codes_and_fields() {
    let kit = Kit::open(&["api"]).await;
    user(&kit, "alice", "USER").await;
    let again = json!({ "username": "alice", "password": PASSWORD });
    let answer = kit.post("/v1/users", again).await;
    assert_eq!((answer.status, answer.code()), (409, "already_exists".to_owned()));
    let weak = json!({ "username": "bob", "password": "short" });
    let answer = kit.post("/v1/users", weak.clone()).await;
    assert_eq!((answer.status, answer.code()), (422, "weak_password".to_owned()));
    assert!(!answer.json()["errors"].as_array().unwrap().is_empty());
    assert!(!answer.text.contains("short\""));
    let mut weak = weak;
    weak["bypass_policy"] = json!(true);
    assert_eq!(kit.post("/v1/users", weak).await.status, 201);
    let answer = kit.post("/v1/users", json!({ "usrname": "bob" })).await;
    assert_eq!((answer.status, answer.code()), (422, "validation".to_owned()));
    let answer = ask(&kit.router, Method::POST, "/v1/users", Some("{".into())).await;
    assert_eq!((answer.status, answer.code()), (400, "json".to_owned()));
    let answer = kit.post("/v1/users", json!({ "realm": "mian", "username": "x" })).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("main"), "{}", answer.text);
}

#[tokio::test]
async fn users_are_listed_in_parts() {
    let kit = Kit::open(&["api"]).await;
    for name in ["ann", "bob", "cyd"] {
        user(&kit, name, "USER").await;
    }
    let first = kit.get("/v1/users?realm=main&limit=2").await.json();
    assert_eq!(first["users"].as_array().unwrap().len(), 2);
    let after = first["next"].as_str().unwrap();
    let second = kit.get(&format!("/v1/users?limit=2&after={after}")).await.json();
    assert_eq!(second["users"].as_array().unwrap().len(), 1);
    assert_eq!(second["next"], Value::Null);
    for limit in ["0", "1001", "x"] {
        assert_eq!(kit.get(&format!("/v1/users?limit={limit}")).await.status, 422, "{limit}");
    }
}

#[tokio::test]
async fn a_user_is_disabled_enabled_and_given_roles_and_passwords() {
    let kit = Kit::open(&["api"]).await;
    user(&kit, "alice", "USER").await;
    let answer = kit.post("/v1/users/alice/disable", json!({})).await;
    assert_eq!(answer.json()["enabled"], json!(false), "{}", answer.text);
    let answer = kit.post("/v1/users/alice/enable?realm=main", json!({})).await;
    assert_eq!(answer.json()["enabled"], json!(true));
    let answer = kit.post("/v1/users/alice/roles", json!({ "roles": ["ADMIN"] })).await;
    assert_eq!(answer.json()["roles"], json!(["ADMIN"]));
    let answer = kit.post("/v1/users/alice/roles", json!({ "roles": ["KING"] })).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let answer = kit.post("/v1/users/alice/password", json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.json()["generated_password"].is_string());
    let weak = json!({ "password": "short" });
    assert_eq!(kit.post("/v1/users/alice/password", weak).await.status, 422);
    let answer = kit.post("/v1/users/nobody/disable", json!({})).await;
    assert_eq!((answer.status, answer.code()), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn an_import_with_a_bad_line_imports_nothing_and_names_the_line() {
    let kit = Kit::open(&["api"]).await;
    let lines = "{\"username\":\"ann\"}\nnot json\n";
    let answer = ask(&kit.router, Method::POST, "/v1/users/import", Some(lines.into())).await;
    assert_eq!((answer.status, answer.code()), (422, "validation".to_owned()));
    let errors = answer.json()["errors"].clone();
    let fields: Vec<_> = errors.as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    assert!(fields.contains(&json!("line 2")), "{errors}");
    assert_eq!(kit.get("/v1/users").await.json()["users"], json!([]));
}

#[tokio::test]
async fn a_key_is_made_listed_rotated_and_revoked_without_naming_the_mount() {
    let kit = Kit::open(&["api"]).await;
    user(&kit, "alice", "USER").await;
    let wish = json!({ "owner": "alice", "name": "ci", "scopes": ["READ"], "expires_days": 1 });
    let made = kit.post("/v1/keys", wish).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let id = made["key"]["id"].as_str().unwrap();
    assert!(made["api_key"].as_str().unwrap().starts_with(&format!("{id}.")));
    let list = kit.get("/v1/keys?mount=api").await;
    assert_eq!(list.json()["keys"].as_array().unwrap().len(), 1);
    assert!(!list.text.contains(made["api_key"].as_str().unwrap()));

    let path = format!("/v1/keys/{id}/rotate");
    let rotated = kit.post(&path, json!({ "overlap_seconds": 60 })).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert_eq!(rotated.json()["replaces"], id);
    let too_long = kit.post(&path, json!({ "overlap_seconds": 604_801 })).await;
    assert_eq!(too_long.status, 422);
    let revoked = kit.post(&format!("/v1/keys/{id}/revoke"), json!({})).await;
    assert_eq!((revoked.status, &revoked.json()["active"]), (200, &json!(false)));
    let unknown = kit.post("/v1/keys/tmws_key_0/revoke", json!({})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_key_never_exceeds_its_owners_role() {
    let kit = Kit::open(&["api"]).await;
    user(&kit, "reader", "READONLY").await;
    let wish = json!({ "owner": "reader", "name": "ci", "scopes": ["WRITE"] });
    let answer = kit.post("/v1/keys", wish).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
}

#[tokio::test]
async fn the_mount_must_be_named_when_there_are_several_but_a_key_is_found_anyway() {
    let kit = Kit::open(&["api", "other"]).await;
    user(&kit, "alice", "USER").await;
    let wish = json!({ "owner": "alice", "name": "ci", "scopes": ["READ"] });
    let answer = kit.post("/v1/keys", wish).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["errors"][0]["field"], "mount");
    assert!(answer.text.contains("api, other"), "{}", answer.text);
    let made = key(&kit, "alice").await;
    let id = made["key"]["id"].as_str().unwrap();
    assert_eq!(kit.post(&format!("/v1/keys/{id}/revoke"), json!({})).await.status, 200);
}

#[tokio::test]
async fn sessions_and_events_are_listed() {
    let kit = Kit::open(&["api"]).await;
    user(&kit, "alice", "USER").await;
    assert_eq!(
        kit.get("/v1/sessions?user=alice").await.json(),
        json!({ "sessions": [], "more": false })
    );
    assert_eq!(kit.get("/v1/sessions?user=nobody").await.status, 404);
    for ignored in [
        "/v1/keys?user=alice",
        "/v1/audit?user=alice",
        "/v1/users?mount=api",
        "/v1/sessions?mount=api",
    ] {
        assert_eq!(kit.get(ignored).await.status, 422, "{ignored}");
    }
    assert_eq!(kit.post("/v1/sessions/nothing/end", json!({})).await.status, 404);
    let check = kit.get("/v1/audit/verify").await.json();
    assert_eq!((&check["whole"], &check["fault"]), (&json!(true), &Value::Null));
    let events = kit.get("/v1/audit?limit=10").await.json();
    assert_eq!(events["events"][0]["event_type"], "ACCOUNT_CREATED");
    assert!(events["events"][0]["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_new_signing_key_is_made_known_to_the_edge() {
    let kit = Kit::open(&["api"]).await;
    let answer = kit.post("/v1/signing-keys/api/rotate", json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert!(answer.json()["kid"].is_string());
    assert_eq!(kit.control.keys_changed.load(Ordering::SeqCst), 1);
    assert_eq!(kit.post("/v1/signing-keys/nope/rotate", json!({})).await.status, 422);
    assert_eq!(kit.control.keys_changed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_rotation_runs_to_its_end_also_when_the_caller_hangs_up() {
    let kit = Kit::open(&["api"]).await;
    let closed = kit.control.gate.lock().await;
    let (router, path) = (kit.router.clone(), "/v1/signing-keys/api/rotate");
    let caller = tokio::spawn(async move { ask(&router, Method::POST, path, None).await });
    kit.control.at_the_gate.notified().await;
    caller.abort();
    assert!(caller.await.is_err());
    drop(closed);
    let patience = std::time::Duration::from_secs(10);
    let ended = tokio::time::timeout(patience, kit.control.through_the_gate.notified()).await;
    assert!(ended.is_ok(), "the edge never learned of the new key");
}

#[tokio::test]
async fn the_store_is_copied_while_it_is_open() {
    let kit = Kit::open(&["api"]).await;
    let path = kit.folder.path().join("copy.db");
    let answer = kit.post("/v1/store/backup", json!({ "path": path })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(path.exists());
    assert_eq!(kit.post("/v1/store/backup", json!({ "path": "copy.db" })).await.status, 422);
    let nowhere = kit.folder.path().join("missing").join("copy.db");
    let answer = kit.post("/v1/store/backup", json!({ "path": nowhere })).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(answer.text.contains("the file cannot be written"), "{}", answer.text);
}

#[tokio::test]
async fn a_key_for_a_disabled_account_is_refused_for_that_reason() {
    let kit = Kit::open(&["api"]).await;
    user(&kit, "alice", "USER").await;
    kit.post("/v1/users/alice/disable", json!({})).await;
    let wish = json!({ "mount": "api", "owner": "alice", "name": "ci", "scopes": ["READ"] });
    let answer = kit.post("/v1/keys", wish).await;
    assert_eq!((answer.status, answer.code()), (403, "account_disabled".to_owned()));
}

#[tokio::test]
async fn a_refused_reload_says_why_and_keeps_readiness() {
    let kit = Kit::open(&["api"]).await;
    assert_eq!(kit.post("/v1/reload", json!({})).await.json()["config_hash"], "def456");
    assert_eq!(kit.get("/readyz").await.json()["config"], "current");
    kit.control.broken_file.store(true, Ordering::SeqCst);
    let answer = kit.post("/v1/reload", json!({})).await;
    assert_eq!((answer.status, answer.code()), (422, "config_refused".to_owned()));
    assert_eq!(answer.json()["detail"], "line 3: no");
    let ready = kit.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(
        ready.json(),
        json!({"status": "ready", "config": "stale", "config_hash": "abc123", "reason": "line 3: no"})
    );
    kit.control.issuer_away.store(true, Ordering::SeqCst);
    let ready = kit.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")));
    let told = json!([{ "part": "issuer", "what": "no keys of \"corp\"" }]);
    assert_eq!(ready.json()["degraded"], told);
    kit.control.draining.store(true, Ordering::SeqCst);
    let ready = kit.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("draining")));
    assert_eq!(kit.get("/livez").await.status, 200);
    let status = kit.get("/v1/status").await.json();
    assert_eq!((&status["store"], &status["config"]), (&json!("healthy"), &json!("stale")));
    assert!(status["uptime_seconds"].is_u64());
}

#[tokio::test]
async fn configuration_and_metrics_are_text() {
    let kit = Kit::open(&["api"]).await;
    let answer = kit.get("/v1/config/effective").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "listen = \"x\"\n"));
    let answer = kit.get("/metrics").await;
    assert_eq!((answer.status, answer.kind()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.text.contains("# TYPE "));
}

#[tokio::test]
async fn every_endpoint_is_described() {
    let kit = Kit::open(&["api"]).await;
    let answer = kit.get("/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    let described = answer.json();
    let mut paths: Vec<_> = described["paths"].as_object().unwrap().keys().cloned().collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "/livez",
            "/metrics",
            "/readyz",
            "/v1/audit",
            "/v1/audit/export",
            "/v1/audit/verify",
            "/v1/clients",
            "/v1/clients/{id}",
            "/v1/clients/{id}/disable",
            "/v1/clients/{id}/enable",
            "/v1/clients/{id}/rotate-secret",
            "/v1/config/effective",
            "/v1/explain",
            "/v1/issuers",
            "/v1/issuers/{name}/refresh",
            "/v1/keys",
            "/v1/keys/{id}/revoke",
            "/v1/keys/{id}/rotate",
            "/v1/refusals/{request_id}",
            "/v1/reload",
            "/v1/sessions",
            "/v1/sessions/{id}/end",
            "/v1/shadow",
            "/v1/signing-keys",
            "/v1/signing-keys/rotate",
            "/v1/signing-keys/{mount}/rotate",
            "/v1/status",
            "/v1/store/backup",
            "/v1/tokens",
            "/v1/tokens/{id}/revoke",
            "/v1/users",
            "/v1/users/import",
            "/v1/users/{name}/disable",
            "/v1/users/{name}/enable",
            "/v1/users/{name}/link",
            "/v1/users/{name}/links",
            "/v1/users/{name}/password",
            "/v1/users/{name}/reset-factor",
            "/v1/users/{name}/roles",
            "/v1/users/{name}/unlink",
        ]
    );
    assert!(described["components"]["schemas"]["UserView"].is_object());
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let kit = Kit::open(&["api"]).await;
    let answer = kit.get("/v1/nothing").await;
    assert_eq!((answer.status, answer.code()), (404, "no_route".to_owned()));
    let answer = kit.post("/v1/status", json!({})).await;
    assert_eq!((answer.status, answer.code()), (405, "method_not_allowed".to_owned()));
    let huge = Some("x".repeat(2 << 20));
    let answer = ask(&kit.router, Method::POST, "/v1/keys", huge).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
}
