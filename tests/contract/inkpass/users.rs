//! `/api/v1/users`, `/api/v1/organizations`, `PATCH /api/v1/auth/profile`.

use serde_json::json;

use crate::support::inkpass::{PASSWORD, assert_error, assert_invalid, fresh_email, login, shared};

const PATH: &str = "/api/v1/users";

#[tokio::test]
async fn an_owner_takes_people_in_changes_and_removes_them() {
    let world = shared();
    let owner = world.owner().await;
    let email = fresh_email();
    let body = json!({"email": email, "password": PASSWORD, "first_name": "Ada"});
    let made = owner.client.post(PATH, body).await.expect(201).json();
    assert_eq!(made["organization_id"], owner.organization);
    assert_eq!((&made["status"], &made["role"]), (&json!("active"), &json!("viewer")));
    let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(owner.client.get(&one).await.expect(200).json(), made);
    let list = owner.client.get(PATH).await.expect(200).json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    let token = login(&world.caller(), &email).await.expect(200).str("access_token");

    let other = fresh_email();
    let changed = owner.client.patch(&one, json!({"email": other})).await.expect(200).json();
    assert_eq!(changed["email"], other);
    assert_eq!(login(&world.caller(), &email).await.status, 401);
    login(&world.caller(), &other).await.expect(200);
    let old = world.caller().bearer(&token).get("/api/v1/auth/me").await;
    assert_error(&old, 401, "Authentication required");

    owner.client.delete(&one).await.expect(200);
    let gone = login(&world.caller(), &other).await;
    assert_error(&gone, 401, "Invalid email or password");
    assert_error(&owner.client.get(&one).await, 404, "User not found");
    assert_eq!(owner.client.get(PATH).await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let one = format!("{PATH}/{}", member.id);
    let taken = json!({"email": owner.email, "password": PASSWORD});
    assert_error(&owner.client.post(PATH, taken).await, 400, "Email already in use");
    let weak = json!({"email": fresh_email(), "password": "short"});
    assert_eq!(owner.client.post(PATH, weak).await.status, 400);
    let taken = json!({"email": owner.email});
    assert_error(&owner.client.patch(&one, taken).await, 400, "Email already in use");
    let odd = owner.client.patch(&one, json!({"status": "dreaming"})).await;
    assert_invalid(&odd, &["body", "status"]);
    assert_error(&member.client.get(PATH).await, 403, "Permission denied: users:view");
    let body = json!({"email": fresh_email(), "password": PASSWORD});
    assert_error(&member.client.post(PATH, body).await, 403, "Permission denied: users:create");
    let reply = member.client.delete(&one).await;
    assert_error(&reply, 403, "Permission denied: users:delete");
}

#[tokio::test]
async fn an_owner_is_touched_by_no_member() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    owner.grant(&member, "users", "*").await;
    let one = format!("{PATH}/{}", owner.id);
    let reply = member.client.patch(&one, json!({"email": fresh_email()})).await;
    assert_error(&reply, 403, "Permission denied: users:manage");
    assert_error(&member.client.delete(&one).await, 403, "Permission denied: users:delete");
    owner.client.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn what_a_member_was_granted_is_listed() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let id = owner.grant(&member, "docs", "read").await;
    let path = format!("{PATH}/{}/permissions", member.id);
    let listed = owner.client.get(&path).await.expect(200).json();
    assert_eq!((&listed["user_id"], &listed["email"]), (&json!(member.id), &json!(member.email)));
    assert_eq!(listed["permissions"][0]["id"], id);
    assert_eq!(listed["permissions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_own_organisation_is_shown_with_its_members() {
    let world = shared();
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let list = member.client.get("/api/v1/organizations").await.expect(200).json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["id"], owner.organization);
    let one = format!("/api/v1/organizations/{}", owner.organization);
    let whole = member.client.get(&one).await.expect(200).json();
    assert_eq!(whole["name"], "Acme");
    assert!(whole["slug"].as_str().unwrap().starts_with("acme"));
    let members = owner.client.get(&format!("{one}/members")).await.expect(200).json();
    let roles: Vec<_> = members.as_array().unwrap().iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["owner", "viewer"]);
    let reply = member.client.get(&format!("{one}/members")).await;
    assert_error(&reply, 403, "Permission denied: users:view");
}

#[tokio::test]
async fn the_own_name_is_changed() {
    let world = shared();
    let owner = world.owner().await;
    let path = "/api/v1/auth/profile";
    let changed = owner.client.patch(path, json!({"first_name": "Ada"})).await.expect(200).json();
    assert_eq!((&changed["first_name"], &changed["last_name"]), (&json!("Ada"), &json!(null)));
    let changed = owner.client.patch(path, json!({"last_name": "Byron"})).await.expect(200).json();
    assert_eq!((&changed["first_name"], &changed["last_name"]), (&json!("Ada"), &json!("Byron")));
    assert_eq!(changed["organization_id"], owner.organization);
    let short = owner.client.patch(path, json!({"first_name": "A"})).await;
    assert_invalid(&short, &["body", "first_name"]);
    assert_error(&world.caller().patch(path, json!({})).await, 401, "Authentication required");
}
