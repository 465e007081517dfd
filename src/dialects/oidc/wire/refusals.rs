//! Refusals of browser login: `{"error": …, "error_description": …, "request_id": …}`, with a stable code and nothing of what the
//! provider wrote.

use serde_json::json;

use crate::{
    dialects::{
        fields::Detail,
        refusal::{self, ErrorShape, phrase, to_json},
    },
    identity::{IdentityError, OidcFault},
    pipeline::{Deny, ReplyFacts},
};

/// The shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Oidc;

/// A refusal in this shape.
pub type Refusal = refusal::Refusal<Oidc>;

impl ErrorShape for Oidc {
    fn of_deny(deny: &Deny) -> Refusal {
        Refusal::denied(deny, phrase(deny.status()))
    }

    fn of_identity(error: &IdentityError) -> Refusal {
        let refused = Refusal::common(error);
        Refusal { text: words(error).map_or(refused.text, Into::into), ..refused }
    }

    fn invalid(_: Vec<Detail>) -> Refusal {
        let text = "A parameter is missing, repeated or not text";
        Refusal::new(http::StatusCode::BAD_REQUEST, text, "validation").with_code("invalid_request")
    }

    fn body(refusal: &Refusal, facts: &ReplyFacts<'_>) -> Vec<u8> {
        let code = refusal.code.as_deref().unwrap_or(refusal.reason);
        to_json(&json!({
            "error": code,
            "error_description": refusal.text,
            "request_id": facts.request_id,
        }))
    }
}

/// For people: what happened, and what they can do.
fn words(error: &IdentityError) -> Option<&'static str> {
    Some(match error {
        IdentityError::Oidc(fault) => match fault {
            OidcFault::State => {
                "This login is too old, was used already, or began in another browser. Log in again."
            }
            OidcFault::Rejected => "The login was refused. Log in again.",
            OidcFault::NotLinked => {
                "You are known to the login service, but there is no account for you here."
            }
            OidcFault::Provider => "The login service answered something that cannot be used.",
            OidcFault::Away => "The login service cannot be reached now. Try again in a moment.",
            OidcFault::LogoutToken => "The logout token is not valid",
        },
        IdentityError::Disabled => "This account is disabled.",
        _ => return None,
    })
}
