//! Every refusal of inkpass in its one error shape: `{"detail": "<text>"}`, a list there for fields that do not fit. Maps
//! the gateway's and identity's reasons to it; decides nothing.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::{
    dialects::{
        fields::Detail,
        refusal::{self, ErrorShape, details, to_json},
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

#[derive(Serialize)]
struct Body<'a> {
    detail: Text<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Text<'a> {
    One(&'a str),
    List(&'a [Detail]),
}

/// A refusal of the gateway at a path.
pub fn denied(deny: &Deny, path: &str) -> Refusal {
    let refusal = Refusal::from(deny);
    match deny {
        Deny::Token(TokenFault::Expired | TokenFault::Invalid | TokenFault::Revoked)
            if path.ends_with(LOGOUT) =>
        {
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
        IdentityError::Invalid(faults) => bad(&sentence(faults)),
        _ => error.into(),
    }
}

/// From identity where one thing is looked up; `text` says what is missing.
pub fn missing(text: &'static str) -> impl Fn(IdentityError) -> Refusal {
    move |error| match &error {
        IdentityError::NotFound => Refusal::new(StatusCode::NOT_FOUND, text, error.reason()),
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
            Deny::Forbidden { action } => format!("Permission denied: {action}").into(),
            Deny::RateLimited(toll) => limited(toll).into(),
            Deny::Malformed(_)
            | Deny::NoRoute
            | Deny::Misdirected
            | Deny::MethodNotAllowed { .. }
            | Deny::BodyTooLarge
            | Deny::Unavailable { .. }
            | Deny::Upstream(_)
            | Deny::Internal => deny.status().canonical_reason().unwrap_or("Error").into(),
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
            IdentityError::CredentialEnded => {
                Refusal { reason, ..Refusal::from(&Deny::Token(TokenFault::Revoked)) }
            }
            // The contract has no lock; where an operator switches one on, it is told like a limit.
            IdentityError::Locked { retry_after, .. } => Refusal {
                retry_after: Some(*retry_after),
                ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded", reason)
            },
            IdentityError::Throttled(toll) => Refusal::from(&Deny::RateLimited(toll.clone())),
            IdentityError::InvalidCode => bad("Invalid or expired code".into()),
            IdentityError::AlreadyVerified => bad("Email already verified".into()),
            IdentityError::WrongCurrentPassword => bad("Current password is incorrect".into()),
            IdentityError::AlreadyExists { field: "email" } => bad("Email already in use".into()),
            IdentityError::AlreadyExists { .. } => bad("Already in use".into()),
            IdentityError::WeakPassword(faults) => bad(sentence(faults)),
            IdentityError::Forbidden { action } => {
                Refusal { reason, ..Refusal::from(&Deny::Forbidden { action: (*action).into() }) }
            }
            IdentityError::AgentRefused => Refusal::plain(StatusCode::FORBIDDEN, reason),
            IdentityError::NotFound => Refusal::plain(StatusCode::NOT_FOUND, reason),
            IdentityError::Invalid(faults) => Refusal { reason, ..Self::invalid(details(faults)) },
            IdentityError::Foreign(fault) => Refusal::plain(fault.status(), reason),
            IdentityError::Busy | IdentityError::Unavailable => {
                Refusal::unavailable("Service Unavailable", reason)
            }
            IdentityError::Internal => Refusal::plain(StatusCode::INTERNAL_SERVER_ERROR, reason),
        }
    }

    fn invalid(details: Vec<Detail>) -> Refusal {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let details: Vec<Detail> = details.into_iter().map(Detail::with_input).collect();
        let refusal = Refusal::new(status, "Validation Error", "validation");
        Refusal { details: Some(details.into()), ..refusal }
    }

    fn body(refusal: &Refusal, _: &ReplyFacts<'_>) -> Vec<u8> {
        to_json(&Body {
            detail: match &refusal.details {
                Some(details) => Text::List(details),
                None => Text::One(&refusal.text),
            },
        })
    }
}

/// `Rate limit exceeded: 10 requests per 60 seconds`.
fn limited(toll: &Toll) -> String {
    let (limit, seconds) = (toll.window.limit, toll.window.per.as_secs());
    format!("Rate limit exceeded: {limit} requests per {seconds} seconds")
}

fn sentence(faults: &[FieldError]) -> String {
    let reasons: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    if reasons.is_empty() { "Bad Request".to_owned() } else { reasons.join("; ") }
}
