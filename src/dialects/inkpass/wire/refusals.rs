//! Every refusal of inkpass in its one error shape: `{"detail": "<text>"}`, a list there for fields that do not fit. Maps
//! the gateway's and identity's reasons to it; decides nothing.

use std::borrow::Cow;

use http::StatusCode;

use crate::{
    dialects::{
        detail_body::detail_body,
        refusal::{self, ErrorShape, phrase, sentence},
    },
    identity::{FieldError, IdentityError},
    pipeline::{Deny, ReplyFacts, Toll, deny::TokenFault},
};

const UNPROVEN: &str = "Authentication required";
/// The one endpoint that has other words for a bad token.
const LOGOUT: &str = "/api/v1/auth/logout";

/// The contract's error shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape;

/// A refusal of inkpass.
pub type Refusal = refusal::Refusal<Shape>;

/// A refusal of the gateway at a path.
pub fn denied(deny: &Deny, path: &str) -> Refusal {
    let refusal = Refusal::from(deny);
    match deny {
        Deny::Token(
            TokenFault::Expired | TokenFault::Invalid | TokenFault::Revoked | TokenFault::Inactive,
        ) if path.ends_with(LOGOUT) => {
            Refusal { text: "Invalid or expired token".into(), ..refusal }
        }
        _ => refusal,
    }
}

/// From identity at registration: a taken address and a weak password are not told apart.
pub fn at_registration(error: IdentityError) -> Refusal {
    match &error {
        IdentityError::AlreadyExists { .. } | IdentityError::WeakPassword(_) => {
            let text = "Registration could not be completed";
            Refusal::new(StatusCode::BAD_REQUEST, text, error.reason())
        }
        _ => error.into(),
    }
}

/// From identity where a one-time code is presented; `text` is what a bad one is told.
pub fn at_code(text: &'static str) -> impl Fn(IdentityError) -> Refusal {
    move |error| match &error {
        IdentityError::InvalidCode => Refusal::new(StatusCode::BAD_REQUEST, text, error.reason()),
        _ => error.into(),
    }
}

/// From identity where the second factor itself is the subject: a bad code is no bad login.
pub fn at_factor(error: IdentityError) -> Refusal {
    let bad = |text: &str| Refusal::new(StatusCode::BAD_REQUEST, text.to_owned(), error.reason());
    match &error {
        IdentityError::SecondFactor { .. } => bad("Invalid 2FA code"),
        IdentityError::Invalid(faults) => bad(&sentence_or_status(faults)),
        _ => error.into(),
    }
}

impl ErrorShape for Shape {
    fn of_deny(deny: &Deny) -> Refusal {
        let text: Cow<'static, str> = match deny {
            Deny::MissingCredential
            | Deny::Token(_)
            | Deny::Key(_)
            | Deny::Session(_)
            | Deny::Certificate(_) => UNPROVEN.into(),
            Deny::AddressNotAllowed => "Permission denied: address:access".into(),
            Deny::Forbidden { action, .. } => format!("Permission denied: {action}").into(),
            Deny::RateLimited(toll) => limited(toll).into(),
            _ => return Refusal::common_deny(deny),
        };
        Refusal::denied(deny, text)
    }

    fn of_identity(error: &IdentityError) -> Refusal {
        let reason = error.reason();
        let unproven = |text: &'static str| Refusal::new(StatusCode::UNAUTHORIZED, text, reason);
        let bad = |text: String| Refusal::new(StatusCode::BAD_REQUEST, text, reason);
        match error {
            IdentityError::InvalidCredentials => unproven("Invalid email or password"),
            IdentityError::SecondFactor { wrong: false } => unproven("2FA code required"),
            IdentityError::SecondFactor { wrong: true } => unproven("Invalid 2FA code"),
            IdentityError::Disabled => unproven("User account is not active"),
            IdentityError::NotVerified => {
                unproven("Email not verified. Please check your email for the verification code.")
            }
            IdentityError::InvalidRefreshToken => unproven("Invalid refresh token"),
            IdentityError::InvalidCode => bad("Invalid or expired code".into()),
            IdentityError::AlreadyVerified => bad("Email already verified".into()),
            IdentityError::WrongCurrentPassword => bad("Current password is incorrect".into()),
            IdentityError::AlreadyExists { field: "email" } => bad("Email already in use".into()),
            IdentityError::AlreadyExists { .. } => bad("Already in use".into()),
            IdentityError::WeakPassword(faults) => bad(sentence_or_status(faults)),
            other => Refusal::common(other),
        }
    }

    fn body(refusal: &Refusal, _: &ReplyFacts<'_>) -> Vec<u8> {
        detail_body(refusal)
    }
}

/// `Rate limit exceeded: 10 requests per 60 seconds`.
fn limited(toll: &Toll) -> String {
    let (limit, seconds) = (toll.window.limit, toll.window.per.as_secs());
    format!("Rate limit exceeded: {limit} requests per {seconds} seconds")
}

fn sentence_or_status(faults: &[FieldError]) -> String {
    sentence(faults).unwrap_or_else(|| phrase(StatusCode::BAD_REQUEST).to_owned())
}
