//! Accounts for administrators, with pages.

use serde_json::json;

use super::shared;
use crate::support::{
    archon::{PASSWORD, assert_error, caller, data, try_login, user},
    tmws::fresh_name,
};

#[tokio::test]
async fn accounts_are_listed_in_pages() {
    let gateway = &shared().gateway;
    let mark = fresh_name();
    for number in 0..3 {
        crate::support::archon::add(gateway, &format!("{mark}-{number}@example.org"), &["guest"]);
    }
    let admin = user(gateway, "admin").await.1;
    let reply = admin.get(&format!("/admin/users?search={mark}&page=1&limit=2")).await;
    let list = data(&reply);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let pages = &reply.json()["meta"]["pagination"];
    for (name, value) in [
        ("page", json!(1)),
        ("limit", json!(2)),
        ("total", json!(3)),
        ("total_pages", json!(2)),
        ("has_next", json!(true)),
        ("has_prev", json!(false)),
        ("totalPages", json!(2)),
    ] {
        assert_eq!(pages[name], value, "{name}");
    }
    let reply = admin.get(&format!("/admin/users?search={mark}&page=2&limit=2&role=guest")).await;
    assert_eq!(data(&reply).as_array().unwrap().len(), 1);
    assert_eq!(reply.json()["meta"]["pagination"]["has_prev"], true);
    let none = admin.get(&format!("/admin/users?search={mark}&isActive=false")).await;
    assert_eq!(data(&none), json!([]));
    for odd in ["page=0", "limit=101", "limit=x", "is_active=maybe"] {
        assert_error(&admin.get(&format!("/admin/users?{odd}")).await, 400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn only_administrators_may() {
    let gateway = &shared().gateway;
    let plain = user(gateway, "agent_operator").await.1;
    for path in ["/admin/users", "/admin/users/x", "/webhooks", "/webhooks/x"] {
        assert_error(&plain.get(path).await, 403, "AUTH_INSUFFICIENT_PERMISSIONS");
        assert_error(&caller(gateway).get(path).await, 401, "AUTH_TOKEN_INVALID");
    }
}

#[tokio::test]
async fn an_account_is_read_changed_and_removed() {
    let gateway = &shared().gateway;
    let (_, admin, _) = user(gateway, "admin").await;
    let (email, client, own) = user(gateway, "user").await;
    let path = format!("/admin/users/{}", own["user"]["id"].as_str().unwrap());
    assert_eq!(data(&admin.get(&path).await)["email"], email);
    let body = json!({ "name": "Renamed", "roles": ["agent_operator"], "emailVerified": true });
    let changed = data(&admin.put(&path, body).await);
    assert_eq!(
        (&changed["name"], &changed["roles"]),
        (&json!("Renamed"), &json!(["agent_operator"]))
    );
    assert_eq!(changed["emailVerified"], true);
    assert_error(&client.get("/users/me").await, 401, "AUTH_TOKEN_INVALID");
    let odd = admin.put(&path, json!({ "roles": ["emperor"] })).await;
    assert_error(&odd, 400, "VALIDATION_ERROR");
    data(&admin.delete(&path).await);
    assert_error(&admin.get(&path).await, 404, "USER_NOT_FOUND");
    assert_error(&admin.delete(&path).await, 404, "USER_NOT_FOUND");
    assert_error(&admin.put(&path, json!({ "name": "Xy" })).await, 404, "USER_NOT_FOUND");
    assert_error(
        &try_login(&caller(gateway), &email, PASSWORD).await,
        401,
        "AUTH_INVALID_CREDENTIALS",
    );
}
