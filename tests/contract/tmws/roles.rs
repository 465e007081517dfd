//! The role table, driven through HTTP with login tokens.

use reqwest::Method;
use serde_json::json;

use super::wide::wide;
use crate::support::{
    operate,
    tmws::{GOOD_PASSWORD, caller, login},
};

const ROLES: [&str; 5] = ["SUPER_ADMIN", "ADMIN", "USER", "READONLY", "SERVICE"];

/// Resource path, then per role the letters of what it may: c r u d x(ecute).
const TABLE: &[(&str, [&str; 5])] = &[
    ("/api/v1/agents", ["crudx", "ru", "r", "r", "r"]),
    ("/api/v1/memories", ["crudx", "crudx", "crudx", "r", "cru"]),
    ("/api/v1/memory", ["crudx", "crudx", "crudx", "r", "cru"]),
    ("/api/v1/tasks", ["crudx", "crudx", "crudx", "r", "crux"]),
    ("/api/v1/workflows", ["crudx", "crudx", "crudx", "r", "crx"]),
    ("/api/v1/audit", ["r", "r", "", "", ""]),
    ("/api/v1/config", ["crudx", "r", "", "", ""]),
];

const ACTIONS: [(char, Method, &str); 5] = [
    ('c', Method::POST, ""),
    ('r', Method::GET, ""),
    ('u', Method::PUT, "/one"),
    ('d', Method::DELETE, "/one"),
    ('x', Method::POST, "/one/execute"),
];

#[tokio::test]
async fn the_role_table_holds_over_http() {
    for (column, role) in ROLES.iter().enumerate() {
        let name = operate::someone(wide(), role);
        let client = caller(wide());
        let client = client.bearer(&login(&client, &name, GOOD_PASSWORD).await.access);
        for (resource, columns) in TABLE {
            let granted = columns[column];
            for (letter, method, tail) in &ACTIONS {
                let path = format!("{resource}{tail}");
                let body = (*method != Method::GET).then(|| json!({"title": "x", "query": "x"}));
                let reply = client.call(method.clone(), &path, body).await;
                let refused = reply.status == 403;
                assert_eq!(
                    refused,
                    !granted.contains(*letter),
                    "{role} {method} {path}: {} {}",
                    reply.status,
                    reply.text()
                );
                assert_ne!(reply.status, 401);
            }
            // Searching is reading, for every role that reads.
            let path = format!("{resource}/search");
            let status = client.post(&path, json!({"query": "x"})).await.status;
            assert_eq!(status == 403, !granted.contains('r'), "{role} POST {path}: {status}");
        }
    }
}
