//! Reply bodies of archon, in snake case; the envelope and the second casing are put on by the routes.

use serde_json::{Map, Value, json};

use crate::{
    dialects::health::{HealthFacts, Members},
    identity::{Account, Granted, Session},
    model::{SessionId, Timestamp, secret::ExposeSecret},
};

/// A user. `strict`: exactly the eight members that the Python SDK knows (trap 2).
pub fn user(account: &Account, strict: bool) -> Value {
    let mut user = json!({
        "id": account.id.as_str(),
        "email": account.email,
        "name": account.full_name.as_ref().or(account.username.as_ref()).or(account.email.as_ref()),
        "roles": account.roles,
        "is_active": account.enabled,
        "email_verified": account.email_verified,
        "created_at": account.created_at.iso(),
        "last_login": account.last_login_at.map(Timestamp::iso),
    });
    if !strict && let Value::Object(members) = &mut user {
        members.insert("updated_at".into(), account.updated_at.iso().into());
        members.insert("preferences".into(), account.preferences.clone());
    }
    user
}

/// What a login gives.
pub fn login(granted: &Granted, strict: bool) -> Value {
    json!({
        "access_token": granted.access_token.expose_secret(),
        "refresh_token": granted.refresh_token.as_ref().map(|token| token.expose_secret()),
        "token_type": "Bearer",
        "expires_in": granted.expires_in,
        "user": user(&granted.account, strict),
        "session_id": session_id(&granted.session),
    })
}

/// What a refresh gives; the refresh token stays as it is.
pub fn refreshed(granted: &Granted) -> Value {
    json!({
        "access_token": granted.access_token.expose_secret(),
        "token_type": "Bearer",
        "expires_in": granted.expires_in,
    })
}

/// A session of the caller.
pub fn session(session: &Session) -> Value {
    let device = device_of(session.device.as_ref()).cloned();
    json!({
        "session_id": session_id(&session.id),
        "user_id": session.account.as_str(),
        "device_info": device.map_or_else(|| of_user_agent(session), Value::Object),
        "created_at": session.created_at.iso(),
        "last_accessed": session.last_seen_at.iso(),
        "expires_at": session.expires_at.iso(),
        "is_active": true,
    })
}

/// A client that tells nothing of its device is known by its name at least.
fn of_user_agent(session: &Session) -> Value {
    json!({ "user_agent": session.user_agent })
}

/// The device facts in what is kept with a session.
pub fn device_of(kept: Option<&Value>) -> Option<&Map<String, Value>> {
    kept?.get("info")?.as_object()
}

/// A session's id as clients know it.
pub fn session_id(id: &SessionId) -> String {
    format!("sess_{}", id.as_str())
}

/// One sentence.
pub fn message(text: &str) -> Value {
    json!({ "message": text })
}

/// `GET /health`, not in an envelope.
pub fn health(facts: &HealthFacts) -> Members {
    let word = facts.word();
    vec![
        ("status", word.into()),
        ("version", super::super::herald::VERSION.into()),
        ("timestamp", facts.now.iso().into()),
        ("uptime", facts.uptime.as_secs().into()),
        ("performance", json!({})),
        ("dependencies", json!({ "database": word })),
    ]
}
