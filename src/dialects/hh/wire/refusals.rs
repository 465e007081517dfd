//! Every refusal of hh in its one error shape, `{detail}`, and the extras of a validation. Maps the gateway's and
//! identity's reasons to it; decides nothing.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::{
    dialects::{
        fields::Detail,
        refusal::{self, ErrorShape, to_json},
    },
    identity::{ForeignFault, IdentityError},
    pipeline::{Deny, ReplyFacts},
};

const INVALID: &str = "Invalid request data";
const SESSION: &str = "Invalid session";
const INTERNAL: &str = "An internal error occurred. Please try again later.";
const UNAVAILABLE: &str = "Service temporarily unavailable";
/// Of the administrator's endpoints (contract, "401 admin").
const BASIC: &str = "Basic";

/// The contract's error shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape;

/// A refusal of hh.
pub type Refusal = refusal::Refusal<Shape>;

#[derive(Serialize)]
struct Body<'a> {
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a [Detail]>,
}

impl Refusal {
    /// 401: an administrator's endpoint without HTTP Basic.
    pub fn not_authenticated() -> Self {
        Self {
            challenge: Some(BASIC),
            ..Self::new(StatusCode::UNAUTHORIZED, "Not authenticated", "credential_missing")
        }
    }
}

impl ErrorShape for Shape {
    fn of_deny(deny: &Deny) -> Refusal {
        let text: Cow<'static, str> = match deny {
            Deny::MissingCredential => "Not authenticated".into(),
            Deny::Session(_) | Deny::Token(_) | Deny::Key(_) | Deny::Certificate(_) => {
                SESSION.into()
            }
            Deny::AddressNotAllowed | Deny::Forbidden { .. } => "Access denied".into(),
            Deny::RateLimited(_) => "Rate limit exceeded".into(),
            Deny::Internal => INTERNAL.into(),
            Deny::Unavailable { .. } => UNAVAILABLE.into(),
            _ => return Refusal::common_deny(deny),
        };
        Refusal::denied(deny, text)
    }

    fn of_identity(error: &IdentityError) -> Refusal {
        let reason = error.reason();
        match error {
            IdentityError::Foreign(fault) => foreign(fault),
            IdentityError::Busy | IdentityError::Unavailable => {
                Refusal::unavailable(UNAVAILABLE, reason)
            }
            IdentityError::Internal => {
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, reason)
            }
            other => Refusal::common(other),
        }
    }

    fn invalid(details: Vec<Detail>) -> Refusal {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, INVALID, "validation").with_details(details)
    }

    fn body(refusal: &Refusal, _: &ReplyFacts<'_>) -> Vec<u8> {
        let invalid = refusal.details.is_some();
        to_json(&Body {
            detail: &refusal.text,
            error: invalid.then_some("ValidationError"),
            message: invalid.then_some(INVALID),
            details: refusal.details.as_deref(),
        })
    }
}

fn foreign(fault: &ForeignFault) -> Refusal {
    let text: Cow<'static, str> = match fault {
        ForeignFault::State => "Invalid or expired state parameter".into(),
        ForeignFault::Rejected => "Authorization was refused or the code is not valid".into(),
        ForeignFault::NotAllowed { subject } => {
            format!("User {subject} is not allowed to access this service").into()
        }
        ForeignFault::Code | ForeignFault::CodeSpent => "Invalid or expired exchange code".into(),
        ForeignFault::Session => SESSION.into(),
        ForeignFault::RenewalRefused => "Token refresh was refused, log in again".into(),
        ForeignFault::Provider => "The provider cannot be reached".into(),
        ForeignFault::Administrator => "Invalid admin credentials".into(),
    };
    let challenge = matches!(fault, ForeignFault::Administrator).then_some(BASIC);
    Refusal { challenge, ..Refusal::new(fault.status(), text, fault.reason()) }
}
