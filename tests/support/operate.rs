//! The operator's part in tests: accounts and keys made over the operator's socket.

use serde_json::{Value, json};

use super::{
    gateway::Gateway,
    plain::{Plain, ask_json},
    tmws::{GOOD_PASSWORD, fresh_name},
};

/// The administrator of gateways that tests configure themselves.
pub const ADMIN: &str = "root-of-the-tests";

/// One call of the operator API.
#[track_caller]
pub fn call(gateway: &Gateway, method: &str, path: &str, body: Value) -> Plain {
    ask_json(&gateway.socket, method, path, &body)
        .unwrap_or_else(|e| panic!("{method} {path}: {e}"))
}

/// Makes an account and returns it.
#[track_caller]
pub fn add_user(gateway: &Gateway, name: &str, roles: &[&str]) -> Value {
    let body = json!({
        "username": name, "email": format!("{name}@example.org"),
        "password": GOOD_PASSWORD, "roles": roles,
    });
    call(gateway, "POST", "/v1/users", body).expect(201).json()["user"].clone()
}

/// Makes the administrator.
#[track_caller]
pub fn add_admin(gateway: &Gateway) -> Value {
    add_user(gateway, ADMIN, &["SUPER_ADMIN"])
}

/// Makes an account of a role with a name of its own; returns the name.
#[track_caller]
pub fn someone(gateway: &Gateway, role: &str) -> String {
    let name = fresh_name();
    add_user(gateway, &name, &[role]);
    name
}

/// Makes a key for an account; returns its text. `more` adds or replaces fields.
#[track_caller]
pub fn add_key(gateway: &Gateway, owner: &str, scopes: &[&str], more: Value) -> String {
    let mut body = json!({"owner": owner, "name": "of a test", "scopes": scopes});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    let made = call(gateway, "POST", "/v1/keys", body).expect(201).json();
    made["api_key"].as_str().unwrap_or_else(|| panic!("no key in {made}")).to_owned()
}

/// A key of the administrator.
#[track_caller]
pub fn admin_key(gateway: &Gateway, scopes: &[&str]) -> String {
    add_key(gateway, ADMIN, scopes, Value::Null)
}

/// Disables an account.
#[track_caller]
pub fn disable(gateway: &Gateway, name: &str) {
    call(gateway, "POST", &format!("/v1/users/{name}/disable"), Value::Null).expect(200);
}

/// Disables an account where there are several realms.
#[track_caller]
pub fn disable_in(gateway: &Gateway, realm: &str, name: &str) {
    let path = format!("/v1/users/{name}/disable?realm={realm}");
    call(gateway, "POST", &path, Value::Null).expect(200);
}

/// Sets the roles of an account.
#[track_caller]
pub fn set_roles(gateway: &Gateway, realm: &str, name: &str, roles: &[&str]) {
    let path = format!("/v1/users/{name}/roles?realm={realm}");
    call(gateway, "POST", &path, json!({"roles": roles})).expect(200);
}
