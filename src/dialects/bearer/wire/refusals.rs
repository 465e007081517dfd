//! Every refusal of bearer: `{"detail": "<CODE>"}`, for passwords `{"detail": {"code", "reason"}}`, for fields a list. Maps the
//! gateway's and identity's reasons to it; decides nothing.

use http::StatusCode;
use serde_json::json;

use crate::{
    dialects::{
        detail_body::detail_body,
        fields::Detail,
        refusal::{self, ErrorShape},
    },
    identity::IdentityError,
    pipeline::{Deny, ReplyFacts},
};

/// The contract's error shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape;

/// A refusal of bearer.
pub type Refusal = refusal::Refusal<Shape>;

/// What was asked for: the contract has codes of its own for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// Login.
    Login,
    /// Registration.
    Registration,
    /// Change of an account.
    Update,
    /// A new password against a code.
    Reset,
    /// Proof of an address.
    Verification,
}

impl Refusal {
    /// From identity, in the words of what was asked for.
    pub fn during(what: During, error: &IdentityError) -> Self {
        let bad = |code: &'static str| Self::new(StatusCode::BAD_REQUEST, code, error.reason());
        match (what, error) {
            (During::Login, IdentityError::InvalidCredentials | IdentityError::Disabled) => {
                bad("LOGIN_BAD_CREDENTIALS")
            }
            (During::Login, IdentityError::NotVerified) => bad("LOGIN_USER_NOT_VERIFIED"),
            (During::Registration, IdentityError::AlreadyExists { .. }) => {
                bad("REGISTER_USER_ALREADY_EXISTS")
            }
            (During::Update, IdentityError::AlreadyExists { .. }) => {
                bad("UPDATE_USER_EMAIL_ALREADY_EXISTS")
            }
            (During::Reset, IdentityError::InvalidCode) => bad("RESET_PASSWORD_BAD_TOKEN"),
            (During::Verification, IdentityError::InvalidCode) => bad("VERIFY_USER_BAD_TOKEN"),
            (During::Verification, IdentityError::AlreadyVerified) => {
                bad("VERIFY_USER_ALREADY_VERIFIED")
            }
            (_, IdentityError::WeakPassword(faults)) => {
                let code = match what {
                    During::Registration => "REGISTER_INVALID_PASSWORD",
                    During::Reset => "RESET_PASSWORD_INVALID_PASSWORD",
                    _ => "UPDATE_USER_INVALID_PASSWORD",
                };
                let reason: Vec<&str> = faults.iter().map(|fault| &*fault.message).collect();
                bad(code).with_extra(json!({ "code": code, "reason": reason.join(". ") }))
            }
            (_, other) => Self::from(other),
        }
    }
}

impl ErrorShape for Shape {
    fn of_deny(deny: &Deny) -> Refusal {
        match deny {
            Deny::RateLimited(_) => Refusal::denied(deny, "Rate limit exceeded"),
            _ => Refusal::common_deny(deny),
        }
    }

    fn of_identity(error: &IdentityError) -> Refusal {
        match error {
            // Answers to what this contract asks for elsewhere, see `during`; 401 is for a token alone.
            IdentityError::InvalidCredentials
            | IdentityError::Disabled
            | IdentityError::NotVerified
            | IdentityError::SecondFactor { .. }
            | IdentityError::InvalidRefreshToken
            | IdentityError::Foreign(_) => Refusal::plain(StatusCode::BAD_REQUEST, error.reason()),
            other => Refusal::common(other),
        }
    }

    /// The original does not look at the type: it finds no fields.
    fn media_type() -> Refusal {
        Self::invalid(vec![Detail::new("", "missing", "Field required")])
    }

    fn body(refusal: &Refusal, _: &ReplyFacts<'_>) -> Vec<u8> {
        detail_body(refusal)
    }
}
