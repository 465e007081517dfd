//! Accounts.

use super::*;

#[tokio::test]
async fn me_is_the_user_object_and_nobody_once_the_account_is_gone() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    let reply = kit.ask(Some(&caller(&account)), Method::GET, "/api/v1/auth/me", "").await;
    assert_eq!(reply.status, 200);
    let mut names: Vec<_> = reply.body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "agent_namespace",
            "created_at",
            "email",
            "full_name",
            "id",
            "is_active",
            "last_login",
            "roles",
            "updated_at",
            "username",
        ]
    );
    let gone =
        Principal { subject: "00000000-0000-4000-8000-000000000000".into(), ..caller(&account) };
    let reply = kit.ask(Some(&gone), Method::GET, "/api/v1/auth/me", "").await;
    refused(&reply, 401, "Could not validate credentials");
    assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"));
}

#[tokio::test]
async fn administrators_make_users_but_none_above_themselves() {
    let kit = Kit::open().await;
    let root = caller(&kit.account("root", "SUPER_ADMIN").await);
    let chief = caller(&kit.account("chief", "ADMIN").await);
    let wish = |name: &str, roles: Value| {
        let email = format!("{name}@example.org");
        json!({ "username": name, "email": email, "password": PASSWORD, "roles": roles })
            .to_string()
    };
    let path = "/api/v1/users";
    for (who, name, roles, status) in [
        (&chief, "u1", json!(["USER"]), 201),
        (&chief, "u2", json!(["admin"]), 201),
        (&chief, "u3", json!(["SUPER_ADMIN"]), 403),
        (&chief, "u3", json!(["super_admin"]), 403),
        (&chief, "u3", json!(["USER", "SUPER_ADMIN"]), 403),
        (&chief, "u3", json!(["KING"]), 422),
        (&root, "u3", json!(["SUPER_ADMIN"]), 201),
        (&root, "u4", json!(["KING"]), 422),
        (&root, "u1", json!(null), 400),
    ] {
        let reply = kit.ask(Some(who), Method::POST, path, wish(name, roles.clone())).await;
        assert_eq!(reply.status, status, "{name} {roles}: {}", reply.body);
    }
    let reply = kit.ask(Some(&root), Method::POST, path, wish("u5", json!(null))).await;
    assert_eq!((reply.status, &reply.body["roles"]), (201, &json!(["USER"])));
    assert!(!reply.body.to_string().contains("password"));
    let weak = json!({ "username": "u6", "email": "u6@example.org", "password": "short" });
    let reply = kit.ask(Some(&root), Method::POST, path, weak.to_string()).await;
    refused(&reply, 422, "Validation Error");
    assert!(!reply.body["details"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn everyone_changes_the_own_password_only() {
    let kit = Kit::open().await;
    let alice = kit.account("alice", "USER").await;
    let root = caller(&kit.account("root", "SUPER_ADMIN").await);
    let own = format!("/api/v1/users/{}/password", alice.id);
    let wish = |current: &str, new: &str| {
        json!({ "current_password": current, "new_password": new }).to_string()
    };
    let new = "An0ther-Horse-Battery";
    let reply = kit.ask(Some(&root), Method::PUT, &own, wish(PASSWORD, new)).await;
    refused(&reply, 403, "Permission required: update");
    let who = caller(&alice);
    let reply = kit.ask(Some(&who), Method::PUT, &own, wish("wrong", new)).await;
    refused(&reply, 400, "Current password is incorrect");
    let reply = kit.ask(Some(&who), Method::PUT, &own, wish(PASSWORD, "weak")).await;
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert!(reply.body["details"].is_array());
    let reply = kit.ask(Some(&who), Method::PUT, &own, wish(PASSWORD, new)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let path = "/api/v1/users/me/password";
    let reply = kit.ask(Some(&who), Method::PUT, path, wish(new, PASSWORD)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(kit.login("alice", PASSWORD).await.status, 200);
}
