//! The scope table, driven through HTTP with keys of a mighty owner.

use std::sync::OnceLock;

use reqwest::Method;
use serde_json::json;

use crate::support::{
    client::Client,
    tmws::{admin, assert_error, caller, make_key, shared},
};

/// A key with these scopes, owned by the super administrator, so that only the scope decides.
async fn key(scopes: &[&str]) -> Client {
    let owner = admin(shared()).await;
    let made = make_key(&owner, json!({"name": "scope table", "scopes": scopes})).await.json();
    caller(shared()).key(made["api_key"].as_str().unwrap())
}

const R: Method = Method::GET;
const C: Method = Method::POST;
const U: Method = Method::PUT;
const P: Method = Method::PATCH;
const D: Method = Method::DELETE;

struct Row {
    scopes: &'static [&'static str],
    may: &'static [(Method, &'static str)],
    may_not: &'static [(Method, &'static str)],
}

const TABLE: &[Row] = &[
    Row {
        scopes: &["READ"],
        may: &[
            (R, "/api/v1/tasks"),
            (R, "/api/v1/memory/m1"),
            (R, "/api/v1/workflows/w1"),
            (R, "/api/v1/agents/a1"),
            (Method::HEAD, "/api/v1/tasks"),
            (C, "/api/v1/memory/search"),
            (C, "/api/v1/tasks/search"),
        ],
        may_not: &[
            (C, "/api/v1/tasks"),
            (U, "/api/v1/tasks/t1"),
            (P, "/api/v1/tasks/t1"),
            (D, "/api/v1/tasks/t1"),
            (C, "/api/v1/memory"),
            (C, "/api/v1/tasks/t1/execute"),
            (C, "/api/v1/research"),
        ],
    },
    Row {
        scopes: &["WRITE"],
        may: &[
            (R, "/api/v1/tasks"),
            (C, "/api/v1/tasks"),
            (U, "/api/v1/tasks/t1"),
            (P, "/api/v1/memory/m1"),
            (C, "/api/v1/memory/search"),
        ],
        may_not: &[(D, "/api/v1/tasks/t1"), (C, "/api/v1/users"), (D, "/api/v1/memory/m1")],
    },
    Row {
        scopes: &["FULL"],
        may: &[
            (R, "/api/v1/tasks"),
            (C, "/api/v1/tasks"),
            (D, "/api/v1/tasks/t1"),
            (D, "/api/v1/memory/m1"),
        ],
        may_not: &[(C, "/api/v1/users")],
    },
    Row {
        scopes: &["TASKS"],
        may: &[(R, "/api/v1/tasks"), (C, "/api/v1/tasks"), (D, "/api/v1/tasks/t1")],
        may_not: &[
            (R, "/api/v1/memory/m1"),
            (C, "/api/v1/memory/search"),
            (R, "/api/v1/workflows"),
            (C, "/api/v1/users"),
        ],
    },
    Row {
        scopes: &["MEMORY"],
        may: &[
            (R, "/api/v1/memory/m1"),
            (C, "/api/v1/memory/search"),
            (R, "/api/v1/memories"),
            (D, "/api/v1/memories/m1"),
        ],
        may_not: &[(R, "/api/v1/tasks"), (R, "/api/v1/workflows")],
    },
    Row {
        scopes: &["WORKFLOWS"],
        may: &[(R, "/api/v1/workflows"), (C, "/api/v1/workflows/w1/execute")],
        may_not: &[(R, "/api/v1/tasks"), (R, "/api/v1/memory/m1")],
    },
    Row {
        scopes: &["ADMIN"],
        may: &[],
        may_not: &[(R, "/api/v1/tasks"), (C, "/api/v1/tasks")],
    },
    Row {
        scopes: &["READ", "MEMORY"],
        may: &[(R, "/api/v1/tasks"), (C, "/api/v1/memory"), (D, "/api/v1/memory/m1")],
        may_not: &[(C, "/api/v1/tasks")],
    },
];

#[tokio::test]
async fn the_scope_table_holds_over_http() {
    for row in TABLE {
        let client = key(row.scopes).await;
        for (method, path) in row.may {
            let status = client.call(method.clone(), path, body(method)).await.status;
            // What the toy upstream then makes of it (404, 405) is its own affair.
            assert!(!matches!(status, 401 | 403), "{:?} {method} {path}: {status}", row.scopes);
        }
        for (method, path) in row.may_not {
            let reply = client.call(method.clone(), path, body(method)).await;
            assert_eq!(reply.status, 403, "{:?} {method} {path}: {}", row.scopes, reply.text());
        }
    }
}

fn body(method: &Method) -> Option<serde_json::Value> {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH).then(|| json!({"title": "x"}))
}

#[tokio::test]
async fn the_refusal_names_the_action() {
    static NAMES: OnceLock<[(Method, &str, &str); 5]> = OnceLock::new();
    let table = NAMES.get_or_init(|| {
        [
            (Method::POST, "/api/v1/tasks", "create"),
            (Method::PUT, "/api/v1/tasks/t1", "update"),
            (Method::PATCH, "/api/v1/tasks/t1", "update"),
            (Method::DELETE, "/api/v1/tasks/t1", "delete"),
            (Method::POST, "/api/v1/tasks/t1/execute", "execute"),
        ]
    });
    let client = key(&["READ"]).await;
    for (method, path, action) in table {
        let reply = client.call(method.clone(), path, body(method)).await;
        assert_error(&reply, 403, &format!("Permission required: {action}"));
    }
}

#[tokio::test]
async fn a_path_in_no_row_is_refused_for_everybody() {
    let client = admin(shared()).await;
    for path in ["/api/v1/unheard-of", "/api/v1/task", "/api/v1/tasksx", "/api/v2/tasks", "/"] {
        let status = client.get(path).await.status;
        assert!(matches!(status, 403 | 404), "{path}: {status}");
    }
}
