//! Success bodies of hh. Times end in `Z`; `hh_user_id` is a text everywhere, `id` a number.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::events::wire_name;
use crate::{
    dialects::health::{HealthFacts, Members},
    identity::oauth::{self, Allowed, EventPage, ForeignSessions, MountEvent, Person},
    model::secret::ExposeSecret,
};

/// The version that the contract's health check shows.
const VERSION: &str = "2.0.0";

/// `GET /auth/login` where it answers with JSON.
#[derive(Debug, Serialize)]
pub struct Start {
    authorization_url: String,
    state: String,
}

impl From<&oauth::LoginStart> for Start {
    fn from(start: &oauth::LoginStart) -> Self {
        Self {
            authorization_url: start.authorization_url.expose_secret().to_owned(),
            state: start.state.expose_secret().to_owned(),
        }
    }
}

/// `POST /auth/exchange`.
#[derive(Debug, Serialize)]
pub struct Opened {
    session_id: String,
    expires_at: String,
}

impl From<oauth::OpenedSession> for Opened {
    fn from(opened: oauth::OpenedSession) -> Self {
        Self {
            session_id: opened.secret.expose_secret().to_owned(),
            expires_at: opened.expires_at.iso(),
        }
    }
}

/// `POST /auth/token` and `/auth/refresh`.
#[derive(Debug, Serialize)]
pub struct Token {
    access_token: String,
    token_type: &'static str,
    expires_at: String,
    user_id: i64,
}

impl From<oauth::ProviderToken> for Token {
    fn from(token: oauth::ProviderToken) -> Self {
        Self {
            access_token: token.access_token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_at: token.expires_at.iso(),
            user_id: token.number,
        }
    }
}

/// `GET /users/me`.
#[derive(Debug, Serialize)]
pub struct Profile {
    id: i64,
    hh_user_id: String,
    email: Option<String>,
    full_name: Option<String>,
    is_active: bool,
    created_at: String,
    updated_at: String,
}

impl From<Person> for Profile {
    fn from(person: Person) -> Self {
        Self {
            id: person.number,
            hh_user_id: person.subject,
            email: person.email,
            full_name: person.full_name,
            is_active: person.enabled,
            created_at: person.created_at.iso(),
            updated_at: person.updated_at.iso(),
        }
    }
}

/// An entry of the allow list.
#[derive(Debug, Serialize)]
pub struct AllowEntry {
    id: i64,
    hh_user_id: String,
    comment: Option<String>,
    is_active: bool,
    created_at: String,
}

impl From<Allowed> for AllowEntry {
    fn from(entry: Allowed) -> Self {
        Self {
            id: entry.number,
            hh_user_id: entry.subject,
            comment: entry.comment,
            is_active: entry.active,
            created_at: entry.created_at.iso(),
        }
    }
}

/// `GET /admin/users`.
#[derive(Debug, Serialize)]
pub struct AllowList {
    users: Vec<AllowEntry>,
    total: usize,
}

impl From<Vec<Allowed>> for AllowList {
    fn from(list: Vec<Allowed>) -> Self {
        let total = list.len();
        Self { users: list.into_iter().map(AllowEntry::from).collect(), total }
    }
}

/// The same under the original's names.
#[derive(Debug, Serialize)]
pub struct WhiteEntry {
    id: i64,
    hh_user_id: String,
    description: Option<String>,
    is_active: bool,
    created_at: String,
}

impl From<Allowed> for WhiteEntry {
    fn from(entry: Allowed) -> Self {
        let AllowEntry { id, hh_user_id, comment, is_active, created_at } = entry.into();
        Self { id, hh_user_id, description: comment, is_active, created_at }
    }
}

/// `GET /admin/whitelist`.
#[derive(Debug, Serialize)]
pub struct WhiteList {
    allowed_users: Vec<WhiteEntry>,
    total: usize,
}

impl From<Vec<Allowed>> for WhiteList {
    fn from(list: Vec<Allowed>) -> Self {
        let total = list.len();
        Self { allowed_users: list.into_iter().map(WhiteEntry::from).collect(), total }
    }
}

/// `GET /admin/sessions`.
#[derive(Debug, Serialize)]
pub struct ListedSessions {
    sessions: Vec<Value>,
    total: u64,
}

impl From<ForeignSessions> for ListedSessions {
    fn from(live: ForeignSessions) -> Self {
        let sessions = live.sessions.into_iter().map(|session| {
            let person = &session.person;
            json!({
                "id": session.id.as_str(),
                "user_id": person.number,
                "user": {
                    "hh_user_id": person.subject,
                    "full_name": person.full_name,
                    "email": person.email,
                },
                "created_at": session.created_at.iso(),
                "expires_at": session.expires_at.iso(),
            })
        });
        Self { sessions: sessions.collect(), total: live.total }
    }
}

/// `GET /admin/audit-log`.
#[derive(Debug, Serialize)]
pub struct AuditLog {
    events: Vec<Value>,
    total: u64,
    limit: u32,
    offset: u64,
}

impl AuditLog {
    /// A page with what was asked for.
    pub fn new(page: EventPage, limit: u32, offset: u64) -> Self {
        let events = page.events.into_iter().map(event).collect();
        Self { events, total: page.total, limit, offset }
    }
}

fn event(event: MountEvent) -> Value {
    let mut facts = match event.details {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    // Where from, for logins and all others.
    for (name, text) in [("ip", event.ip), ("user_agent", event.user_agent)] {
        if let Some(text) = text {
            facts.insert(name.to_owned(), text.into());
        }
    }
    json!({
        "id": event.seq,
        "event_type": wire_name(&event.event),
        "user_id": event.number,
        "event_metadata": facts,
        "created_at": event.at.iso(),
    })
}

/// `GET /admin/statistics`.
#[derive(Debug, Serialize)]
pub struct Statistics {
    total_users: i64,
    active_users: i64,
    whitelisted_users: i64,
    total_whitelist_entries: i64,
}

impl From<oauth::Statistics> for Statistics {
    fn from(counts: oauth::Statistics) -> Self {
        Self {
            total_users: counts.accounts,
            active_users: counts.active_accounts,
            whitelisted_users: counts.active_entries,
            total_whitelist_entries: counts.entries,
        }
    }
}

/// `GET /health`.
pub fn health(facts: &HealthFacts) -> Members {
    vec![
        ("status", facts.word().into()),
        ("version", VERSION.into()),
        ("timestamp", facts.now.iso().into()),
    ]
}

/// `GET /ping`.
#[derive(Debug, Serialize)]
pub struct Ping {
    /// `pong`.
    pub ping: &'static str,
}
