//! The scope table, driven through HTTP with keys of a mighty owner.

use reqwest::Method;
use serde_json::{Value, json};

use super::wide::wide;
use crate::support::{
    client::Client,
    operate,
    tmws::{assert_error, caller},
};

/// A key with these scopes, owned by the super administrator, so that only the scope decides.
fn key(scopes: &[&str]) -> Client {
    let gateway = wide();
    caller(gateway).key(&operate::add_key(gateway, operate::ADMIN, scopes, Value::Null))
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
        may: &[(R, "/api/v1/audit")],
        may_not: &[(R, "/api/v1/tasks"), (C, "/api/v1/tasks")],
    },
    Row {
        scopes: &["READ", "MEMORY"],
        may: &[(R, "/api/v1/tasks"), (C, "/api/v1/memory"), (D, "/api/v1/memory/m1")],
        may_not: &[(C, "/api/v1/tasks")],
    },
];

// requirement: 9
#[tokio::test]
async fn the_scope_table_holds_over_http() {
    for row in TABLE {
        let client = key(row.scopes);
        for (method, path) in row.may {
            let status = client.call(method.clone(), path, body(method)).await.status;
            assert_eq!(status, 200, "{:?} {method} {path}", row.scopes);
        }
        for (method, path) in row.may_not {
            let reply = client.call(method.clone(), path, body(method)).await;
            // The contract's own administrative endpoints take no key at all.
            let refused = if *path == "/api/v1/users" { 401 } else { 403 };
            assert_eq!(reply.status, refused, "{:?} {method} {path}: {}", row.scopes, reply.text());
        }
    }
}

fn body(method: &Method) -> Option<serde_json::Value> {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH).then(|| json!({"title": "x"}))
}

// requirement: 12
#[tokio::test]
async fn the_refusal_names_the_action() {
    let table = [
        (Method::POST, "/api/v1/tasks", "create"),
        (Method::PUT, "/api/v1/tasks/t1", "update"),
        (Method::PATCH, "/api/v1/tasks/t1", "update"),
        (Method::DELETE, "/api/v1/tasks/t1", "delete"),
        (Method::POST, "/api/v1/tasks/t1/execute", "execute"),
    ];
    let client = key(&["READ"]);
    for (method, path, action) in table {
        let reply = client.call(method.clone(), path, body(&method)).await;
        assert_error(&reply, 403, &format!("Permission required: {action}"));
    }
}

// requirement: 9
#[tokio::test]
async fn a_path_in_no_row_is_refused_for_everybody() {
    let client = key(&["FULL"]);
    for path in ["/api/v1/unheard-of", "/api/v1/task", "/api/v1/tasksx", "/api/v1"] {
        assert_eq!(client.get(path).await.status, 403, "{path}");
    }
    for path in ["/api/v2/tasks", "/", "/api"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn administrative_operations_need_the_admin_scope() {
    let client = key(&["ADMIN"]);
    client.get("/api/v1/audit").await.expect(200);
    client.get("/api/v1/config").await.expect(200);
    for scopes in [&["FULL"][..], &["WRITE"], &["TASKS"]] {
        let client = key(scopes);
        assert_eq!(client.put("/api/v1/config", json!({})).await.status, 403, "{scopes:?}");
        assert_eq!(client.post("/api/v1/audit", json!({})).await.status, 403, "{scopes:?}");
    }
}
