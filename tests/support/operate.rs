//! The operator's part in tests: accounts and keys made by command.

use serde_json::Value;

use super::{
    gateway::Gateway,
    tmws::{GOOD_PASSWORD, fresh_name},
};

/// The administrator of gateways that tests configure themselves.
pub const ADMIN: &str = "root-of-the-tests";

/// Makes an account by command and returns its name.
#[track_caller]
pub fn add_user(gateway: &Gateway, name: &str, roles: &[&str]) -> Value {
    let email = format!("{name}@example.org");
    let secret = gateway.places.dir.join(format!("{name}.password"));
    std::fs::write(&secret, GOOD_PASSWORD).expect("write the password");
    let reference = format!("file:{}", secret.display());
    let mut arguments =
        vec!["user", "add", name, "--email", &email, "--password", &reference];
    for role in roles {
        arguments.extend_from_slice(&["--role", role]);
    }
    gateway.cli_json(&arguments)
}

/// Makes the administrator.
#[track_caller]
pub fn add_admin(gateway: &Gateway) {
    add_user(gateway, ADMIN, &["SUPER_ADMIN"]);
}

/// Makes an account of a role with a name of its own; returns the name.
#[track_caller]
pub fn someone(gateway: &Gateway, role: &str) -> String {
    let name = fresh_name();
    add_user(gateway, &name, &[role]);
    name
}

/// Makes a key for an account by command; returns its text.
#[track_caller]
pub fn add_key(gateway: &Gateway, owner: &str, scopes: &[&str], more: &[&str]) -> String {
    let mut arguments = vec!["key", "create", "--owner", owner, "--name", "of a test"];
    for scope in scopes {
        arguments.extend_from_slice(&["--scope", scope]);
    }
    arguments.extend_from_slice(more);
    key_text(&gateway.cli_json(&arguments))
}

/// The administrator with a key of these scopes.
#[track_caller]
pub fn admin_key(gateway: &Gateway, scopes: &[&str]) -> String {
    add_key(gateway, ADMIN, scopes, &[])
}

/// The text of a key in whatever was printed about it.
#[track_caller]
pub fn key_text(printed: &Value) -> String {
    fn find(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => {
                (text.starts_with("tmws_key_") && text.contains('.')).then(|| text.clone())
            }
            Value::Object(fields) => fields.values().find_map(find),
            Value::Array(items) => items.iter().find_map(find),
            _ => None,
        }
    }
    find(printed).unwrap_or_else(|| panic!("no key's text in {printed}"))
}
