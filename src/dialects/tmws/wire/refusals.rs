//! Every refusal of tmws in its one error shape: `{error, detail, status_code, request_id}` and the few extras of the
//! contract's table "Error bodies". Maps the gateway's and identity's reasons to it; decides nothing.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::{
    dialects::{
        fields::Detail,
        refusal::{self, ErrorShape, details, sentence, to_json},
    },
    identity::{FieldError, IdentityError},
    pipeline::{
        Deny, ReplyFacts,
        deny::{KeyFault, TokenFault},
    },
};

const EXPIRED: &str = "Token expired";
const UNPROVEN: &str = "Could not validate credentials";

/// The contract's error shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape;

/// A refusal of tmws.
pub type Refusal = refusal::Refusal<Shape>;

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    detail: &'a str,
    status_code: u16,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a [Detail]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Refusal {
    /// From identity, while a password is changed: a weak new one is 400 here, 422 elsewhere (contract, PUT password).
    pub fn on_password_change(error: &IdentityError) -> Self {
        match error {
            IdentityError::WeakPassword(faults) => {
                Self::new(StatusCode::BAD_REQUEST, weak_text(faults), error.reason())
                    .with_details(details(faults))
            }
            other => Self::from(other),
        }
    }
}

impl ErrorShape for Shape {
    fn of_deny(deny: &Deny) -> Refusal {
        let text: Cow<'static, str> = match deny {
            Deny::MissingCredential => "Authentication required - missing credentials".into(),
            Deny::Token(TokenFault::Expired) => EXPIRED.into(),
            Deny::Token(
                TokenFault::Invalid
                | TokenFault::Scheme
                | TokenFault::Revoked
                | TokenFault::Inactive
                | TokenFault::Proof(_),
            ) => UNPROVEN.into(),
            Deny::Key(
                KeyFault::Malformed | KeyFault::Unknown | KeyFault::Expired | KeyFault::Revoked,
            ) => "Invalid API key".into(),
            Deny::Session(_) | Deny::Certificate(_) => UNPROVEN.into(),
            Deny::AddressNotAllowed => "Access denied: IP address not allowed".into(),
            Deny::Forbidden { action, .. } => format!("Permission required: {action}").into(),
            Deny::RateLimited(_) => "Rate limit exceeded".into(),
            _ => return Refusal::common_deny(deny),
        };
        Refusal::denied(deny, text)
    }

    fn of_identity(error: &IdentityError) -> Refusal {
        let reason = error.reason();
        match error {
            IdentityError::InvalidCredentials => {
                Refusal::new(StatusCode::UNAUTHORIZED, "Invalid credentials", reason)
            }
            IdentityError::Locked { retry_after, .. } => Refusal {
                retry_after: Some(*retry_after),
                ..Refusal::new(StatusCode::LOCKED, "Account is locked", reason)
            },
            IdentityError::Disabled => {
                Refusal::new(StatusCode::FORBIDDEN, "Account is disabled", reason)
            }
            IdentityError::InvalidRefreshToken => {
                Refusal::new(StatusCode::UNAUTHORIZED, "Invalid or expired refresh token", reason)
            }
            IdentityError::SecondFactor { .. } => {
                Refusal::new(StatusCode::UNAUTHORIZED, "Second factor required", reason)
            }
            IdentityError::WrongCurrentPassword => {
                Refusal::new(StatusCode::BAD_REQUEST, "Current password is incorrect", reason)
            }
            IdentityError::AlreadyExists { field } => {
                let text = match *field {
                    "username" => "Username already exists",
                    "email" => "Email already exists",
                    _ => "Already exists",
                };
                Refusal::new(StatusCode::BAD_REQUEST, text, reason)
            }
            other => Refusal::common(other),
        }
    }

    fn body(refusal: &Refusal, facts: &ReplyFacts<'_>) -> Vec<u8> {
        let missing = refusal.status == StatusCode::NOT_FOUND;
        to_json(&Body {
            error: &refusal.text,
            detail: &refusal.text,
            status_code: refusal.status.as_u16(),
            request_id: facts.request_id,
            message: match refusal.details {
                Some(_) => Some("Request validation failed"),
                None => missing.then_some("The requested resource was not found"),
            },
            path: missing.then_some(facts.path),
            details: refusal.details.as_deref(),
            // The contract has it in the body of 429 only; the header is on 423 and 503 too.
            retry_after: (refusal.status == StatusCode::TOO_MANY_REQUESTS)
                .then(|| refusal.retry_seconds().unwrap_or(1)),
        })
    }
}

fn weak_text(faults: &[FieldError]) -> String {
    let text = "Password does not meet the requirements";
    sentence(faults).map_or_else(|| text.to_owned(), |faults| format!("{text}: {faults}"))
}
