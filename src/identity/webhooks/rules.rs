//! What a subscription must be like, and which events it is told. Pure.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Backoff, Filters, RetryPolicy, WebhookWish};
use crate::{identity::FieldError, pipeline::egress};

const MOST_HEADERS: usize = 20;
const LONGEST_HEADER: usize = 1024;
const LONGEST_DESCRIPTION: usize = 500;
const SHORTEST_SECRET: usize = 16;
const LONGEST_SECRET: usize = 256;
const MOST_ATTEMPTS: u32 = 10;
const LONGEST_DELAY: Duration = Duration::from_secs(3600);
const MOST_NAMES: usize = 64;

/// Header fields that the delivery itself sets, or that frame the message.
const OWN_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// Everything that is wrong with a wish.
pub(super) fn faults(wish: &WebhookWish, known: &[&str], private: bool) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut fault = |field, kind, message: String| faults.push(FieldError { field, kind, message });
    if let Some(url) = &wish.url
        && let Err(why) = egress::target(url, private)
    {
        fault("url", "invalid", why.to_owned());
    }
    if let Some(events) = &wish.events {
        if events.is_empty() {
            fault("events", "missing", "at least one event type is needed".to_owned());
        }
        if events.len() > MOST_NAMES {
            fault("events", "too_long", format!("at most {MOST_NAMES} event types"));
        }
        for name in events.iter().filter(|name| !known.iter().any(|known| is_told(name, known))) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            fault("events", "unknown", format!("unknown event type \"{shown}\""));
        }
    }
    if let Some(secret) = &wish.secret {
        use crate::model::secret::ExposeSecret;
        if !(SHORTEST_SECRET..=LONGEST_SECRET).contains(&secret.expose_secret().len()) {
            let message = format!("the secret has {SHORTEST_SECRET} to {LONGEST_SECRET} bytes");
            fault("secret", "invalid", message);
        }
    }
    if let Some(text) = &wish.description
        && text.chars().count() > LONGEST_DESCRIPTION
    {
        fault("description", "too_long", format!("at most {LONGEST_DESCRIPTION} characters"));
    }
    if let Some(headers) = &wish.headers
        && let Some(why) = odd_headers(headers)
    {
        fault("headers", "invalid", why);
    }
    if let Some(retry) = &wish.retry
        && (retry.max_attempts == 0
            || retry.max_attempts > MOST_ATTEMPTS
            || retry.max_delay > LONGEST_DELAY
            || retry.initial_delay > retry.max_delay)
    {
        let message = format!(
            "max_attempts 1 to {MOST_ATTEMPTS}, initial_delay at most max_delay, max_delay at most 3600"
        );
        fault("retry_policy", "invalid", message);
    }
    if let Some(filters) = &wish.filters
        && filters.user_roles.len().max(filters.agent_types.len()) > MOST_NAMES
    {
        fault("filters", "too_long", format!("at most {MOST_NAMES} names"));
    }
    faults
}

fn odd_headers(headers: &Map<String, Value>) -> Option<String> {
    if headers.len() > MOST_HEADERS {
        return Some(format!("at most {MOST_HEADERS} header fields"));
    }
    for (name, value) in headers {
        let plain = http::HeaderName::from_bytes(name.as_bytes()).ok();
        let own = |name: &http::HeaderName| {
            OWN_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("x-archon-")
        };
        if plain.is_none_or(|name| own(&name)) {
            return Some("a header field cannot have this name".to_owned());
        }
        let fits =
            |text: &str| text.len() <= LONGEST_HEADER && http::HeaderValue::from_str(text).is_ok();
        if !value.as_str().is_some_and(fits) {
            return Some(format!("the header field {name} cannot have this value"));
        }
    }
    None
}

/// Whether a subscription's word (`user.login`, `user.*`, `*`) means this event type.
pub(super) fn is_told(word: &str, kind: &str) -> bool {
    match word.strip_suffix('*') {
        Some("") => true,
        Some(start) => start.ends_with('.') && kind.starts_with(start),
        None => word == kind,
    }
}

/// Whether filters let an event pass. `roles`: of the account it is about; `agent`: the type of agent it is about.
pub(super) fn passes(filters: &Filters, roles: Option<&[String]>, agent: Option<&str>) -> bool {
    let role = |wanted: &String| roles.is_some_and(|own| own.contains(wanted));
    let by_role = filters.user_roles.is_empty() || filters.user_roles.iter().any(role);
    let by_type = filters.agent_types.is_empty()
        || agent.is_none_or(|kind| filters.agent_types.iter().any(|wanted| wanted == kind));
    by_role && by_type
}

/// As kept in the store.
pub(super) fn retry_json(retry: &RetryPolicy) -> Value {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    json!({
        "attempts": retry.max_attempts,
        "backoff": retry.backoff.as_str(),
        "initial_ms": millis(retry.initial_delay),
        "most_ms": millis(retry.max_delay),
    })
}

/// Back; what cannot be read is the default.
pub(super) fn retry_of(value: &Value) -> RetryPolicy {
    let start = RetryPolicy::default();
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let name = value.get("backoff").and_then(Value::as_str);
    let backoff = Backoff::ALL.iter().find(|(known, _)| Some(*known) == name);
    RetryPolicy {
        max_attempts: number("attempts")
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(start.max_attempts),
        backoff: backoff.map_or(start.backoff, |(_, found)| *found),
        initial_delay: number("initial_ms").map_or(start.initial_delay, Duration::from_millis),
        max_delay: number("most_ms").map_or(start.max_delay, Duration::from_millis),
    }
}

/// As kept in the store.
pub(super) fn filters_json(filters: &Filters) -> Value {
    json!({ "user_roles": filters.user_roles, "agent_types": filters.agent_types })
}

/// Back.
pub(super) fn filters_of(value: &Value) -> Filters {
    let list = |name: &str| {
        let items = value.get(name).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        texts.collect()
    };
    Filters { user_roles: list("user_roles"), agent_types: list("agent_types") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_one_or_several_event_types() {
        for (word, kind, told) in [
            ("user.login", "user.login", true),
            ("user.login", "user.login_failed", false),
            ("user.*", "user.login_failed", true),
            ("user.*", "session.created", false),
            ("*", "session.created", true),
            ("user*", "user.login", false),
            ("u*", "user.login", false),
            ("", "user.login", false),
        ] {
            assert_eq!(is_told(word, kind), told, "{word} {kind}");
        }
    }

    #[test]
    fn filters_narrow_by_roles_and_by_types_of_agents() {
        let filters = |roles: &[&str], types: &[&str]| Filters {
            user_roles: roles.iter().map(|text| (*text).to_owned()).collect(),
            agent_types: types.iter().map(|text| (*text).to_owned()).collect(),
        };
        let admin = ["admin".to_owned()];
        assert!(passes(&filters(&[], &[]), None, None));
        assert!(passes(&filters(&["admin"], &[]), Some(&admin), None));
        assert!(!passes(&filters(&["user"], &[]), Some(&admin), None));
        assert!(!passes(&filters(&["user"], &[]), None, None), "about nobody");
        assert!(passes(&filters(&[], &["a"]), None, Some("a")));
        assert!(!passes(&filters(&[], &["a"]), None, Some("b")));
        assert!(passes(&filters(&[], &["a"]), None, None), "not about agents at all");
    }

    #[test]
    fn every_fault_of_a_wish_is_told() {
        let headers = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
        let wish = WebhookWish {
            url: Some("http://127.0.0.1/".into()),
            events: Some(vec!["user.login".into(), "nonsense".into()]),
            secret: Some("short".into()),
            description: Some("x".repeat(501)),
            headers: Some(headers("Host", json!("x"))),
            retry: Some(RetryPolicy { max_attempts: 0, ..RetryPolicy::default() }),
            ..WebhookWish::default()
        };
        let fields: Vec<_> =
            faults(&wish, &["user.login"], false).into_iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["url", "events", "secret", "description", "headers", "retry_policy"]);
        for odd in [
            headers("X-Archon-Signature", json!("x")),
            headers("a b", json!("x")),
            headers("x-a", json!("a\nb")),
            headers("x-a", json!(7)),
        ] {
            assert!(odd_headers(&odd).is_some(), "{odd:?}");
        }
        assert!(odd_headers(&headers("Authorization", json!("Bearer x"))).is_none());
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let retry = RetryPolicy {
            max_attempts: 7,
            backoff: Backoff::Linear,
            initial_delay: Duration::from_millis(1500),
            max_delay: Duration::from_secs(9),
        };
        assert_eq!(retry_of(&retry_json(&retry)), retry);
        let filters = Filters { user_roles: vec!["a".into()], agent_types: vec!["b".into()] };
        assert_eq!(filters_of(&filters_json(&filters)), filters);
    }
}
