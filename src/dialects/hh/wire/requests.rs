//! Request bodies and queries of hh, with the limits the contract puts on their fields.

use crate::{
    dialects::fields::{Fields, Request},
    model::SecretString,
};

/// Contract: `hh_user_id` has 1 to 100 characters, trimmed; `comment` at most 500.
const LONGEST_ID: usize = 100;
const LONGEST_COMMENT: usize = 500;
/// Contract: `limit` 1 to 1000, 100 by default.
const MOST_EVENTS: u64 = 1000;
const EVENTS: u64 = 100;
/// What a store can count.
const MOST_OFFSET: u64 = i64::MAX as u64;

/// `POST /auth/exchange`.
#[derive(Debug)]
pub struct Exchange {
    /// As the page showed it.
    pub code: SecretString,
}

impl Request for Exchange {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { code: fields.secret("exchange_code")? })
    }
}

/// `POST /auth/token`, `/auth/refresh`, `/auth/logout`.
#[derive(Debug)]
pub struct BySession {
    /// The secret id.
    pub session: SecretString,
}

impl Request for BySession {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { session: fields.secret("session_id")? })
    }
}

/// `GET /users/me?session_id=`. Without one it is a session that does not exist, not a field that is missing.
#[derive(Debug)]
pub struct SessionQuery {
    /// The secret id.
    pub session: Option<SecretString>,
}

impl Request for SessionQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { session: fields.optional_secret("session_id") })
    }
}

/// `GET /auth/callback`. What is missing is told as what it means: no state, or no consent.
#[derive(Debug)]
pub struct CallbackQuery {
    /// Of the provider.
    pub code: Option<SecretString>,
    /// Ours.
    pub state: Option<SecretString>,
    /// Whether the provider reports an error instead.
    pub refused: bool,
}

impl Request for CallbackQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            code: fields.optional_secret("code"),
            state: fields.optional_secret("state"),
            refused: fields.optional_secret("error").is_some(),
        })
    }
}

/// `POST /admin/users/allow`.
#[derive(Debug)]
pub struct NewEntry {
    /// Trimmed.
    pub hh_user_id: String,
    /// May be empty.
    pub comment: Option<String>,
}

impl Request for NewEntry {
    fn read(fields: &mut Fields) -> Option<Self> {
        entry(fields, "comment")
    }
}

/// `POST /admin/whitelist`: the original's name for the comment.
#[derive(Debug)]
pub struct WhiteNew(pub NewEntry);

impl Request for WhiteNew {
    fn read(fields: &mut Fields) -> Option<Self> {
        entry(fields, "description").map(Self)
    }
}

fn entry(fields: &mut Fields, comment: &str) -> Option<NewEntry> {
    let id = fields.text("hh_user_id").and_then(|text| {
        let text = text.trim();
        match text.chars().count() {
            1..=LONGEST_ID if !fits_a_path(text) => fields.refuse(
                "hh_user_id",
                "string_pattern_mismatch",
                "String should fit into a segment of a path",
            ),
            1..=LONGEST_ID => Some(text.to_owned()),
            0 => fields.refuse(
                "hh_user_id",
                "string_too_short",
                "String should have at least 1 character",
            ),
            _ => fields.refuse(
                "hh_user_id",
                "string_too_long",
                "String should have at most 100 characters",
            ),
        }
    });
    let comment = fields.optional_text(comment, LONGEST_COMMENT);
    Some(NewEntry { hh_user_id: id?, comment })
}

/// Whether `DELETE /admin/users/{hh_user_id}` can name it, so that whoever is on the list can be taken off it. The gateway
/// refuses paths with encoded separators or anything encoded twice, and `allow` is an endpoint of its own.
fn fits_a_path(id: &str) -> bool {
    !id.contains(['/', '\\', ';', '%']) && ![".", "..", "allow"].contains(&id)
}

/// `GET /admin/users`.
#[derive(Debug)]
pub struct ListQuery {
    /// Without what was taken off the list.
    pub active_only: bool,
}

impl Request for ListQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { active_only: fields.optional_bool("active_only").unwrap_or(false) })
    }
}

/// `GET /admin/audit-log`.
#[derive(Debug)]
pub struct AuditQuery {
    /// Page length.
    pub limit: u32,
    /// Events before the page.
    pub offset: u64,
    /// Of this kind only.
    pub event_type: Option<String>,
}

impl Request for AuditQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let limit = fields.optional_int("limit", 1, MOST_EVENTS).unwrap_or(EVENTS);
        let offset = fields.optional_int("offset", 0, MOST_OFFSET).unwrap_or(0);
        let event_type = fields.optional_text("event_type", LONGEST_ID);
        Some(Self { limit: u32::try_from(limit).unwrap_or(u32::MAX), offset, event_type })
    }
}
