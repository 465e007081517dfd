//! Request bodies and queries of archon, in either casing. What a value *means* is identity's to say.

use serde_json::{Value, json};

use crate::{
    dialects::{
        archon::casing,
        fields::{Casing, Fields, Request},
    },
    identity::{AccountChanges, AccountFilter, AgentRequest, Login, Proof, Registration},
    model::{SecretString, SessionId},
};

const LONGEST_EMAIL: usize = 255;

/// `POST /auth/login`. Any two texts: creation rules never apply here.
#[derive(Debug)]
pub struct LogIn {
    /// What identity asks for.
    pub login: Login,
    /// Whether it was written in snake case, so that the session's replies are.
    pub snake: bool,
}

impl Request for LogIn {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.text("email");
        let password = fields.secret("password");
        let remember = fields.optional_bool("remember_me").unwrap_or(false);
        let device =
            fields.optional_map("device_info").map(|map| Value::Object(casing::snake(map)));
        let snake = fields.any_snake() && !fields.any_camel();
        // Beside the facts stands how this session wants its replies.
        let device = json!({ "info": device, "snake": snake });
        let login = Login { device: Some(device), remember, ..Login::new(email?, password?) };
        Some(Self { login, snake })
    }
}

/// `POST /auth/register`.
#[derive(Debug)]
pub struct Register(pub Registration);

impl Request for Register {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.bounded_text("email", 3, LONGEST_EMAIL);
        let password = fields.secret("password");
        let name = fields.bounded_text("name", 2, 100);
        if fields.optional_bool("terms_accepted") != Some(true) {
            fields.refuse::<()>("terms_accepted", "missing", "The terms must be accepted");
        }
        let consent = fields.optional_bool("marketing_consent");
        Some(Self(Registration {
            full_name: Some(name?),
            preferences: consent.map(|consent| json!({ "marketing_consent": consent })),
            send_verification: true,
            ..Registration::new(email?, password?)
        }))
    }
}

/// `POST /auth/refresh`; without the field the cookie counts.
#[derive(Debug)]
pub struct Refresh(pub Option<SecretString>);

impl Request for Refresh {
    const MAY_BE_EMPTY: bool = true;
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.optional_secret("refresh_token")))
    }
}

/// `POST /auth/agents/authenticate`.
#[derive(Debug)]
pub struct Agent(pub AgentRequest);

impl Request for Agent {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let kind = fields.text("agent_type");
        let capabilities = fields.texts("capabilities_requested");
        let task_context = fields.optional_map("task_context").unwrap_or_default();
        Some(Self(AgentRequest { kind: kind?, capabilities: capabilities?, task_context }))
    }
}

/// `POST /auth/agents/validate`.
#[derive(Debug)]
pub struct AgentToken(pub SecretString);

impl Request for AgentToken {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        fields.secret("agent_token").map(Self)
    }
}

/// A code that came by mail.
#[derive(Debug)]
pub struct Token(pub Proof);

impl Request for Token {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(Proof { code: fields.secret("token")?, email: None }))
    }
}

/// An address to which a code shall be sent.
#[derive(Debug)]
pub struct Email(pub String);

impl Request for Email {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.bounded_text("email", 3, LONGEST_EMAIL).map(Self)
    }
}

/// `POST /auth/password-reset/confirm`.
#[derive(Debug)]
pub struct Confirm {
    /// Proves the wish.
    pub proof: Proof,
    /// The new one.
    pub new: SecretString,
}

impl Request for Confirm {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let code = fields.secret("token");
        let new = fields.secret("new_password");
        Some(Self { proof: Proof { code: code?, email: None }, new: new? })
    }
}

/// `PUT /users/me`.
#[derive(Debug)]
pub struct Profile(pub AccountChanges);

impl Request for Profile {
    const MAY_BE_EMPTY: bool = true;
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(AccountChanges {
            full_name: fields.optional_bounded_text("name", 2, 100),
            preferences: fields.optional_map("preferences").map(Value::Object),
            ..AccountChanges::default()
        }))
    }
}

/// `PUT /users/me/password`.
#[derive(Debug)]
pub struct ChangePassword {
    /// Proves the wish.
    pub current: SecretString,
    /// The new one.
    pub new: SecretString,
}

impl Request for ChangePassword {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let current = fields.secret("current_password");
        let new = fields.secret("new_password");
        Some(Self { current: current?, new: new? })
    }
}

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageQuery {
    /// From 1.
    pub page: u32,
    /// Most entries.
    pub limit: u32,
}

impl Request for PageQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let number = |value: Option<u64>, start| {
            value.and_then(|value| u32::try_from(value).ok()).unwrap_or(start)
        };
        let page = number(fields.optional_int("page", 1, 1_000_000), 1);
        let limit = number(fields.optional_int("limit", 1, 100), 20);
        Some(Self { page, limit })
    }
}

impl PageQuery {
    /// Entries before this page.
    pub fn offset(self) -> u32 {
        (self.page - 1).saturating_mul(self.limit)
    }
}

/// `GET /admin/users`.
#[derive(Debug)]
pub struct AdminQuery {
    /// Which page.
    pub page: PageQuery,
    /// Which of them.
    pub filter: AccountFilter,
}

impl Request for AdminQuery {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let page = PageQuery::read(fields)?;
        let filter = AccountFilter {
            search: fields.optional_text("search", 100).filter(|text| !text.is_empty()),
            role: fields.optional_text("role", 64).filter(|text| !text.is_empty()),
            enabled: fields.optional_bool("is_active"),
        };
        Some(Self { page, filter })
    }
}

/// `PUT /admin/users/{user_id}`.
#[derive(Debug)]
pub struct AdminChange(pub AccountChanges);

impl Request for AdminChange {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(AccountChanges {
            full_name: fields.optional_bounded_text("name", 2, 100),
            roles: fields.optional_texts("roles"),
            enabled: fields.optional_bool("is_active"),
            email_verified: fields.optional_bool("email_verified"),
            ..AccountChanges::default()
        }))
    }
}

/// A session's id as identity knows it.
pub fn plain_session_id(text: &str) -> SessionId {
    text.strip_prefix("sess_").unwrap_or(text).into()
}
