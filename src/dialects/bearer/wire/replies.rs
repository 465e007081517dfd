//! Success bodies of bearer.

use serde::Serialize;

use crate::{
    dialects::bearer::defaults::SUPERUSER,
    identity::{Account, Granted},
    model::secret::ExposeSecret,
};

/// Login.
#[derive(Serialize)]
pub struct Token<'a> {
    access_token: &'a str,
    token_type: &'static str,
}

impl<'a> From<&'a Granted> for Token<'a> {
    fn from(granted: &'a Granted) -> Self {
        Self { access_token: granted.access_token.expose_secret(), token_type: "bearer" }
    }
}

/// The user object.
#[derive(Debug, Serialize)]
pub struct User {
    id: String,
    email: String,
    is_active: bool,
    is_superuser: bool,
    is_verified: bool,
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            // An account that was made elsewhere may have only a login name.
            email: account.email.or(account.username).unwrap_or_default(),
            is_active: account.enabled,
            is_superuser: account.roles.iter().any(|role| role == SUPERUSER),
            is_verified: account.email_verified,
        }
    }
}
