//! How the contract words what happened (section "Webhooks"). Data and names only; who is told, when and how often is
//! identity's to say.

use serde_json::{Map, Value, json};

use super::wire::{device_of, session_id};
use crate::identity::webhooks::{Event, Herald, Occurrence, Stamp};

/// Version of payloads and of the API.
pub(super) const VERSION: &str = "2.0.0";

/// The contract's words.
#[derive(Debug)]
pub(super) struct Words;

/// Every event type of the contract. What the gateway never finds out (a breached password) can be subscribed to and is
/// never told. What would be a flood (the use of capabilities) is told once a minute with a `count`.
const KNOWN: [&str; 20] = [
    "user.login",
    "user.login_failed",
    "user.logout",
    "user.registered",
    "user.email_verified",
    "user.password_changed",
    "session.created",
    "session.extended",
    "session.terminated",
    "agent.authenticated",
    "agent.authentication_failed",
    "agent.capability_used",
    "agent.capability_denied",
    "agent.token_expired",
    "security.suspicious_login",
    "security.rate_limit_exceeded",
    "security.account_locked",
    "security.password_breach_detected",
    "security.unauthorized_access_attempt",
    "system.test",
];

/// From the log's names to the contract's.
const TOLD: [(&str, &[&str]); 20] = [
    ("LOGIN_SUCCESS", &["user.login", "session.created"]),
    ("LOGIN_FAILED", &["user.login_failed"]),
    ("LOGIN_SUSPICIOUS", &["security.suspicious_login"]),
    ("LOGOUT", &["user.logout", "session.terminated"]),
    ("ACCOUNT_REGISTERED", &["user.registered"]),
    ("ACCOUNT_CREATED", &["user.registered"]),
    ("EMAIL_VERIFIED", &["user.email_verified"]),
    ("PASSWORD_CHANGE", &["user.password_changed"]),
    ("PASSWORD_RESET", &["user.password_changed"]),
    ("TOKEN_REFRESH", &["session.extended"]),
    ("SESSION_ENDED", &["session.terminated"]),
    ("AGENT_AUTHENTICATED", &["agent.authenticated"]),
    ("AGENT_REFUSED", &["agent.authentication_failed"]),
    ("AGENT_CAPABILITY_DENIED", &["agent.capability_denied"]),
    ("AGENT_CAPABILITY_USED", &["agent.capability_used"]),
    ("AGENT_TOKEN_EXPIRED", &["agent.token_expired"]),
    ("REFRESH_REUSE", &["security.unauthorized_access_attempt"]),
    ("ACCOUNT_LOCKED", &["security.account_locked"]),
    ("RATE_LIMIT_EXCEEDED", &["security.rate_limit_exceeded"]),
    ("PERMISSION_DENIED", &["security.unauthorized_access_attempt"]),
];

/// Facts of the log that go on under their own names.
const FACTS: [&str; 11] = [
    "agent_type",
    "capabilities_granted",
    "capabilities_denied",
    "capability",
    "failed_attempts",
    "token_duration",
    "reason",
    "status",
    "count",
    "minute",
    "repeated",
];

impl Herald for Words {
    fn known(&self) -> &'static [&'static str] {
        &KNOWN
    }

    fn told(&self, occurrence: &Occurrence<'_>) -> Vec<(&'static str, Value)> {
        let found = TOLD.iter().find(|(event, _)| *event == occurrence.event);
        let kinds = found.map(|(_, kinds)| *kinds).unwrap_or_default();
        if kinds.is_empty() {
            return Vec::new();
        }
        let data = Value::Object(data(occurrence));
        kinds.iter().map(|kind| (*kind, data.clone())).collect()
    }

    fn test(&self) -> (&'static str, Value) {
        ("system.test", json!({ "message": "This is a test event" }))
    }

    fn body(&self, event: &Event<'_>) -> Value {
        let trace = event.request_id.map(super::wire::trace_id);
        json!({
            "id": event.id,
            "type": event.kind,
            "version": VERSION,
            "timestamp": event.at.iso(),
            "environment": event.environment,
            "source": {
                "service": event.mount.as_str(),
                "version": env!("CARGO_PKG_VERSION"),
                "instance_id": event.instance,
            },
            "data": event.data,
            "context": {
                "trace_id": trace,
                "request_id": event.request_id,
                "user_agent": event.user_agent,
            },
        })
    }

    fn headers(&self, stamp: &Stamp<'_>, signature: &str) -> Vec<(&'static str, String)> {
        vec![
            ("X-Archon-Signature", format!("sha256={signature}")),
            ("X-Archon-Event-Type", stamp.event_type.to_owned()),
            ("X-Archon-Event-ID", stamp.event_id.to_owned()),
            ("X-Archon-Timestamp", stamp.at.iso()),
            ("X-Archon-Version", VERSION.to_owned()),
        ]
    }
}

/// What handlers read. A member that is not known is null, so that they find it.
fn data(occurrence: &Occurrence<'_>) -> Map<String, Value> {
    let account = occurrence.account;
    let (session, details) = (occurrence.session, occurrence.details);
    let device = session.and_then(|found| device_of(found.device.as_ref()));
    let mut data = Map::new();
    let mut set = |name: &str, value: Value| data.insert(name.to_owned(), value);
    set("user_id", account.map_or(Value::Null, |found| found.id.as_str().into()));
    set("email", account.and_then(|found| found.email.clone()).into());
    set("name", account.and_then(|found| found.full_name.clone()).into());
    set("ip_address", occurrence.address.map(|address| address.to_string()).into());
    set("device_info", device.cloned().map_or(Value::Null, Value::Object));
    set("location", device.and_then(|info| info.get("location").cloned()).unwrap_or_default());
    if let Some(session) = session {
        set("session_id", session_id(&session.id).into());
        set("expires_at", session.expires_at.iso().into());
        set("session_duration", occurrence.at.since(session.created_at).as_secs().into());
    }
    // The id of an agent is that of its token; the token itself nobody sees.
    if let (Some(token), Some(_)) = (details.get("token"), details.get("agent_type")) {
        set("agent_id", token.clone());
    }
    for name in FACTS {
        if let Some(fact) = details.get(name) {
            set(name, fact.clone());
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn whatever_is_told_can_be_subscribed_to() {
        for (event, kinds) in TOLD {
            for kind in kinds {
                assert!(KNOWN.contains(kind), "{event}: {kind}");
            }
        }
    }

    #[test]
    fn an_event_has_the_members_that_handlers_read() {
        let details = json!({ "agent_type": "x", "capabilities_granted": ["a"], "token": "t" });
        let occurrence = Occurrence {
            event: "AGENT_AUTHENTICATED",
            details: &details,
            at: Timestamp(0),
            account: None,
            session: None,
            address: Some("192.0.2.1".parse().unwrap()),
        };
        let told = Words.told(&occurrence);
        let (kind, data) = told.first().unwrap();
        assert_eq!(*kind, "agent.authenticated");
        assert_eq!(
            (&data["agent_type"], &data["capabilities_granted"]),
            (&json!("x"), &json!(["a"]))
        );
        assert_eq!((&data["ip_address"], &data["email"]), (&json!("192.0.2.1"), &Value::Null));
        assert!(data.get("token").is_none(), "only named facts go on");
        assert_eq!(data["agent_id"], "t");
        let unknown = Occurrence { event: "SIGNING_KEY_ROTATED", ..occurrence };
        assert!(Words.told(&unknown).is_empty());
    }
}
