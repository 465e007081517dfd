//! Queries and forms of browser login, and the answer about who is logged in.

use serde_json::{Value, json};

use crate::{
    dialects::fields::{Encoding, Fields, Request},
    model::{Principal, SecretString},
};

/// Longest parameter that is looked at.
const LONGEST: usize = 4096;

/// `GET /oidc/login`
#[derive(Debug)]
pub struct LoginQuery {
    /// Where the browser wants to go afterwards.
    pub return_to: Option<String>,
}

impl Request for LoginQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { return_to: fields.optional_text("return_to", LONGEST) })
    }
}

/// `GET /oidc/callback`
#[derive(Debug)]
pub struct CallbackQuery {
    /// Of the provider.
    pub code: Option<SecretString>,
    /// Ours.
    pub state: Option<SecretString>,
    /// Who answers (RFC 9207).
    pub issuer: Option<String>,
    /// Whether the provider reports an error instead.
    pub refused: bool,
}

impl Request for CallbackQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            code: fields.optional_secret("code"),
            state: fields.optional_secret("state"),
            issuer: fields.optional_text("iss", LONGEST),
            refused: fields.optional_secret("error").is_some(),
        })
    }
}

/// `POST /oidc/backchannel-logout`
#[derive(Debug)]
pub struct LogoutForm {
    /// What the provider says.
    pub token: SecretString,
}

impl Request for LogoutForm {
    const ENCODING: Encoding = Encoding::Form;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { token: fields.secret("logout_token")? })
    }
}

/// `GET /oidc/session`
pub fn who(caller: &Principal) -> Value {
    json!({
        "sub": caller.subject.as_str(),
        "username": caller.username,
        "email": caller.email,
        "roles": caller.roles,
        "session": caller.session.as_ref().map(|id| id.as_str()),
        "expires_at": caller.expires_at.map(|end| end.iso()),
    })
}
