//! The two casings (contract, "Casing"). One SDK reads `accessToken`, the other `access_token`: a reply has both names of
//! every defined field, except for callers who bear only their own. Nothing else in this contract knows of casings: bodies
//! are written in snake case, and requests are read by the shared reader, which takes either.

use serde_json::{Map, Value};

use crate::dialects::fields::camel;

/// How the Python SDK calls itself. It builds objects of whole replies, and fails on a name it does not know (trap 2).
const SNAKE_CLIENT: &str = "ArchonAuthClient-Python/";

/// Every defined field of several words.
const FIELDS: [&str; 44] = [
    "access_token",
    "agent_token",
    "agent_type",
    "agent_types",
    "backoff_strategy",
    "cache_hit",
    "capabilities_denied",
    "capabilities_granted",
    "created_at",
    "delivery_id",
    "device_id",
    "device_info",
    "email_verification_sent",
    "email_verified",
    "event_id",
    "event_type",
    "expires_at",
    "expires_in",
    "has_next",
    "has_prev",
    "header_names",
    "initial_delay",
    "is_active",
    "last_accessed",
    "last_login",
    "max_attempts",
    "max_delay",
    "next_retry",
    "rate_limit",
    "refresh_token",
    "request_id",
    "response_time_ms",
    "retry_policy",
    "session_id",
    "status_code",
    "task_context",
    "token_type",
    "total_pages",
    "trace_id",
    "updated_at",
    "user_agent",
    "user_id",
    "user_roles",
    "webhook_id",
];

/// Fields whose value is the client's own map: its names are never spelled anew.
const FREE: [&str; 5] = ["details", "headers", "preferences", "restrictions", "task_context"];

/// Whether a client program bears snake case only.
pub(super) fn is_snake_client(user_agent: Option<&str>) -> bool {
    user_agent.is_some_and(|text| text.starts_with(SNAKE_CLIENT))
}

/// Gives every defined field its second name, wherever it stands.
pub(super) fn both(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(both).collect(),
        Value::Object(object) => {
            let mut out = Map::with_capacity(object.len() * 2);
            for (name, value) in object {
                let value = if FREE.contains(&&*name) { value } else { both(value) };
                if FIELDS.contains(&&*name) {
                    out.insert(camel(&name), value.clone());
                }
                out.insert(name, value);
            }
            Value::Object(out)
        }
        plain => plain,
    }
}

/// The contract's own spelling of the names in a map that a client sent in either; names it does not define stay.
pub(super) fn snake(object: Map<String, Value>) -> Map<String, Value> {
    let own = |name: String| match FIELDS.iter().find(|field| camel(field) == name) {
        Some(field) => (*field).to_owned(),
        None => name,
    };
    object.into_iter().map(|(name, value)| (own(name), value)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defined_fields_have_both_names_at_every_depth_and_free_maps_none() {
        let reply = json!({
            "access_token": "t", "email": "e",
            "user": { "is_active": true, "preferences": { "is_active": 1, "user_id": 2 } },
            "list": [{ "session_id": "s", "device_info": { "device_id": "d", "odd_name": 1 } }],
            "restrictions": { "file_paths": ["src/**"], "expires_at": 1 },
        });
        let wanted = json!({
            "access_token": "t", "accessToken": "t", "email": "e",
            "user": { "is_active": true, "isActive": true, "preferences": { "is_active": 1, "user_id": 2 } },
            "list": [{
                "session_id": "s", "sessionId": "s",
                "device_info": { "device_id": "d", "deviceId": "d", "odd_name": 1 },
                "deviceInfo": { "device_id": "d", "deviceId": "d", "odd_name": 1 },
            }],
            "restrictions": { "file_paths": ["src/**"], "expires_at": 1 },
        });
        assert_eq!(both(reply), wanted);
    }

    #[test]
    fn maps_of_clients_are_brought_into_one_spelling() {
        let sent = json!({ "deviceId": "d", "userAgent": "u", "location": "l", "myOwn": 1 });
        let Value::Object(sent) = sent else { unreachable!("an object") };
        let kept = Value::Object(snake(sent));
        assert_eq!(
            kept,
            json!({ "device_id": "d", "user_agent": "u", "location": "l", "myOwn": 1 })
        );
    }

    #[test]
    fn only_the_python_sdk_is_known_by_its_name() {
        assert!(is_snake_client(Some("ArchonAuthClient-Python/2.0.0")));
        assert!(!is_snake_client(Some("ArchonAuthClient/2.0.0")));
        assert!(!is_snake_client(None));
    }

    #[test]
    fn the_table_names_each_field_once() {
        let mut names = FIELDS.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIELDS.len());
        assert!(FIELDS.iter().all(|name| name.contains('_')));
    }
}
