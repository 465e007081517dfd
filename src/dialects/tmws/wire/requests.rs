//! Request bodies of tmws, with the limits the contract puts on their fields. What a value *means* (is the scope known,
//! is the password strong) is identity's to say.

use std::time::Duration;

use crate::{
    dialects::fields::{Fields, Request},
    identity::{Login, NewAccount, NewKey, PasswordPolicy},
    model::SecretString,
};

/// Contract, rotate: `overlap_seconds` 0 to 604800.
const MAX_OVERLAP_SECONDS: u64 = 604_800;
const MAX_NAME: usize = 255;

/// `POST /api/v1/auth/login`. Any two strings: creation rules never apply here.
#[derive(Debug)]
pub struct LogIn(pub Login);

impl Request for LogIn {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.text("username");
        let password = fields.secret("password");
        Some(Self(Login::new(name?, password?)))
    }
}

/// `POST /api/v1/auth/refresh`.
#[derive(Debug)]
pub struct Refresh {
    /// As the client keeps it.
    pub refresh_token: SecretString,
}

impl Request for Refresh {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { refresh_token: fields.secret("refresh_token")? })
    }
}

/// `POST /api/v1/auth/logout`.
#[derive(Debug)]
pub struct LogOut {
    /// Absent: the session of the access token.
    pub refresh_token: Option<SecretString>,
}

impl Request for LogOut {
    const MAY_BE_EMPTY: bool = true;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { refresh_token: fields.optional_secret("refresh_token") })
    }
}

/// `POST /api/v1/auth/api-keys`.
#[derive(Debug)]
pub struct CreateKey(pub NewKey);

impl Request for CreateKey {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.bounded_text("name", 2, 128);
        let description = fields.optional_text("description", 500);
        let scopes = fields.optional_texts("scopes").unwrap_or_else(|| vec!["READ".to_owned()]);
        if scopes.is_empty() {
            fields.refuse::<()>("scopes", "too_short", "List should have at least 1 item");
        }
        let lifetime = fields.optional_days("expires_days");
        let allowed_ips = fields.optional_texts("allowed_ips").unwrap_or_default();
        let hourly = fields.optional_int("rate_limit_per_hour", 1, u32::MAX.into());
        Some(Self(NewKey {
            name: name?,
            description,
            scopes,
            lifetime,
            allowed_ips,
            rate_limit_per_hour: hourly.and_then(|limit| u32::try_from(limit).ok()),
        }))
    }
}

/// `POST /api/v1/auth/api-keys/{key_id}/rotate`.
#[derive(Debug)]
pub struct RotateKey {
    /// How long the old key stays valid.
    pub overlap: Duration,
}

impl Request for RotateKey {
    const MAY_BE_EMPTY: bool = true;

    fn read(fields: &mut Fields) -> Option<Self> {
        let seconds = fields.optional_int("overlap_seconds", 0, MAX_OVERLAP_SECONDS);
        Some(Self { overlap: Duration::from_secs(seconds.unwrap_or(0)) })
    }
}

/// `POST /api/v1/users`.
#[derive(Debug)]
pub struct CreateUser(pub NewAccount);

impl Request for CreateUser {
    fn read(fields: &mut Fields) -> Option<Self> {
        let username = fields.bounded_text("username", 2, 64);
        let email = fields.bounded_text("email", 3, MAX_NAME);
        let password = fields.secret("password");
        let roles = fields.optional_texts("roles");
        let full_name = fields.optional_text("full_name", MAX_NAME);
        Some(Self(NewAccount {
            username: Some(username?),
            email: Some(email?),
            password: password?,
            policy: PasswordPolicy::Enforce,
            full_name,
            roles,
            // Not in the contract's request, and never inherited: a namespace would open the creator's memories.
            tenant: None,
        }))
    }
}

/// `PUT /api/v1/users/{id}/password`.
#[derive(Debug)]
pub struct ChangePassword {
    /// Proves the wish.
    pub current: SecretString,
    /// The new one.
    pub new: SecretString,
}

impl Request for ChangePassword {
    fn read(fields: &mut Fields) -> Option<Self> {
        let current = fields.secret("current_password");
        let new = fields.secret("new_password");
        Some(Self { current: current?, new: new? })
    }
}
