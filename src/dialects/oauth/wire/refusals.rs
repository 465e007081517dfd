//! Refusals by RFC 6749 section 5.2: `{"error": …, "error_description": …}`.

use http::StatusCode;
use serde_json::json;

use crate::{
    dialects::{
        fields::Detail,
        refusal::{self, ErrorShape, to_json},
    },
    identity::{GrantFault, IdentityError},
    pipeline::{Deny, ReplyFacts},
};

/// The shape.
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth;

/// A refusal in this shape.
pub type Refusal = refusal::Refusal<OAuth>;

/// How a client is told that it must prove who it is.
const CHALLENGE: &str = "Basic realm=\"oauth\"";

/// A refusal of the standard.
pub fn fault(fault: GrantFault) -> Refusal {
    IdentityError::Grant(fault).into()
}

impl ErrorShape for OAuth {
    fn of_deny(deny: &Deny) -> Refusal {
        let code = match deny.status() {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                "temporarily_unavailable"
            }
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        Refusal::denied(deny, refusal::phrase(deny.status())).with_code(code)
    }

    fn of_identity(error: &IdentityError) -> Refusal {
        match error {
            IdentityError::Grant(fault) => {
                let refused = Refusal::new(fault.status(), fault.description(), fault.reason());
                let challenge = (*fault == GrantFault::Client).then_some(CHALLENGE);
                Refusal { challenge, ..refused.with_code(fault.code()) }
            }
            other => {
                let refused = Refusal::common(other);
                let code = match refused.status {
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                        "temporarily_unavailable"
                    }
                    status if status.is_server_error() => "server_error",
                    _ => "invalid_grant",
                };
                refused.with_code(code)
            }
        }
    }

    fn invalid(_: Vec<Detail>) -> Refusal {
        fault(GrantFault::Request("A parameter is missing, repeated or not text"))
    }

    fn media_type() -> Refusal {
        fault(GrantFault::Request("The body must be a form"))
    }

    fn broken_body() -> Refusal {
        fault(GrantFault::Request("The body broke off"))
    }

    fn body(refusal: &Refusal, _: &ReplyFacts<'_>) -> Vec<u8> {
        let code = refusal.code.as_deref().unwrap_or("invalid_request");
        to_json(&json!({ "error": code, "error_description": refusal.text }))
    }
}
