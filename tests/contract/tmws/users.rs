//! `POST /api/v1/users` and the account's view of itself.

use serde_json::{Value, json};

use crate::support::tmws::{
    GOOD_PASSWORD, admin, assert_error, caller, fresh_name, login, make_key, person, shared,
    try_login, user, with_role,
};

const USERS: &str = "/api/v1/users";

fn wanted(name: &str) -> Value {
    json!({"username": name, "email": format!("{name}@example.org"), "password": GOOD_PASSWORD})
}

#[tokio::test]
async fn a_new_user_is_201_without_password_fields() {
    let admin = admin(shared()).await;
    let name = fresh_name();
    let mut body = wanted(&name);
    body["full_name"] = json!("Some One");
    let reply = admin.post(USERS, body).await.expect(201);
    let made = reply.json();
    assert_eq!(made["username"], name);
    assert_eq!(made["email"], format!("{name}@example.org"));
    assert_eq!(made["roles"], json!(["USER"]), "the default role");
    assert_eq!(made["full_name"], "Some One");
    assert!(uuid::Uuid::parse_str(made["id"].as_str().unwrap()).is_ok());
    let text = reply.text().to_lowercase();
    assert!(!text.contains("password") && !text.contains("hash") && !text.contains("argon2"));
    try_login(&caller(shared()), &name, GOOD_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn roles_are_taken() {
    let admin = admin(shared()).await;
    for role in ["ADMIN", "USER", "READONLY", "SERVICE"] {
        let mut body = wanted(&fresh_name());
        body["roles"] = json!([role]);
        let made = admin.post(USERS, body).await.expect(201).json();
        assert_eq!(made["roles"], json!([role]));
    }
    let mut body = wanted(&fresh_name());
    body["roles"] = json!(["EMPEROR"]);
    assert_error(&admin.post(USERS, body).await, 422, "Validation Error");
}

#[tokio::test]
async fn a_taken_name_or_address_is_400() {
    let admin = admin(shared()).await;
    let person = person(&admin, &["USER"]).await;
    let mut same_name = wanted(&fresh_name());
    same_name["username"] = json!(person.name);
    let mut same_address = wanted(&fresh_name());
    same_address["email"] = json!(person.email);
    for body in [same_name, same_address] {
        let reply = admin.post(USERS, body).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        crate::support::tmws::assert_error_shape(&reply);
    }
}

#[tokio::test]
async fn a_weak_password_is_422() {
    let admin = admin(shared()).await;
    for password in [
        "",
        "Sh0rt!",
        "Eleven-ch-1",
        "no-upper-case-1!",
        "NO-LOWER-CASE-1!",
        "No-Digits-At-All!",
        "NoSymbolsAtAll123",
        "My-Password-Is-1",
        "Has-QWERTY-In-1!",
        "Has-123456-In!aA",
        "The-Admin-Was-1!",
        "A-User-Was-Here1",
    ] {
        let mut body = wanted(&fresh_name());
        body["password"] = json!(password);
        let reply = admin.post(USERS, body).await;
        assert_error(&reply, 422, "Validation Error");
        if !password.is_empty() {
            assert!(!reply.text().contains(password), "the text is not repeated: {password}");
        }
    }
}

// requirement: 27
#[tokio::test]
async fn long_and_foreign_passwords_are_taken_whole() {
    let admin = admin(shared()).await;
    let password = format!("Ünïcode-{}-1", "x".repeat(100));
    let name = fresh_name();
    let mut body = wanted(&name);
    body["password"] = json!(password);
    admin.post(USERS, body).await.expect(201);
    let client = caller(shared());
    try_login(&client, &name, &password[..password.len() - 1]).await.expect(401);
    try_login(&client, &name, &password).await.expect(200);
}

#[tokio::test]
async fn missing_and_odd_fields_are_422() {
    let admin = admin(shared()).await;
    for (field, value) in [
        ("username", None),
        ("email", None),
        ("password", None),
        ("username", Some(json!("x"))),
        ("username", Some(json!("x".repeat(65)))),
        ("email", Some(json!("no address"))),
        ("roles", Some(json!("USER"))),
    ] {
        let mut body = wanted(&fresh_name());
        match value {
            Some(value) => body[field] = value,
            None => drop(body.as_object_mut().unwrap().remove(field)),
        }
        let reply = admin.post(USERS, body).await;
        assert_error(&reply, 422, "Validation Error");
        assert!(reply.json()["details"].to_string().contains(field));
    }
}

#[tokio::test]
async fn only_administrators_make_users() {
    for role in ["USER", "READONLY", "SERVICE"] {
        let (_, client, _) = with_role(shared(), role).await;
        let reply = client.post(USERS, wanted(&fresh_name())).await;
        assert_error(&reply, 403, "Permission required: create");
    }
    let (_, client, _) = with_role(shared(), "ADMIN").await;
    client.post(USERS, wanted(&fresh_name())).await.expect(201);
    let reply = caller(shared()).post(USERS, wanted(&fresh_name())).await;
    assert_error(&reply, 401, "Authentication required - missing credentials");
}

#[tokio::test]
async fn an_administrator_cannot_make_a_mightier_one() {
    let (_, client, _) = with_role(shared(), "ADMIN").await;
    let mut body = wanted(&fresh_name());
    body["roles"] = json!(["SUPER_ADMIN"]);
    let reply = client.post(USERS, body).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
}

#[tokio::test]
async fn both_paths_of_me_show_the_user() {
    let (person, client, _) = user(shared()).await;
    for path in ["/api/v1/auth/me", "/api/v1/users/me"] {
        let body = client.get(path).await.expect(200).json();
        assert_eq!(body["id"], person.id);
        assert_eq!(body["username"], person.name);
        assert_eq!(body["email"], person.email);
        assert_eq!(body["roles"], json!(["USER"]));
        assert!(!body.to_string().to_lowercase().contains("hash"));
        let reply = caller(shared()).get(path).await;
        assert_error(&reply, 401, "Authentication required - missing credentials");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
}

#[tokio::test]
async fn me_takes_a_key_too() {
    let (person, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "mine"})).await.json();
    let client = caller(shared()).key(made["api_key"].as_str().unwrap());
    for path in ["/api/v1/auth/me", "/api/v1/users/me"] {
        assert_eq!(client.get(path).await.expect(200).json()["id"], person.id);
    }
}

#[tokio::test]
async fn names_are_compared_as_one_account() {
    // A second account whose name differs only in case would be a trap for people.
    let admin = admin(shared()).await;
    let person = person(&admin, &["USER"]).await;
    let mut body = wanted(&fresh_name());
    body["email"] = json!(person.email.to_uppercase());
    let reply = admin.post(USERS, body).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    login(&caller(shared()), &person.name, &person.password).await;
}
