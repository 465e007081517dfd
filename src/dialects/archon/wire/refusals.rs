//! Every refusal of archon in its one shape, and the contract's codes (section "Errors"). Decides nothing.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::envelope::{Meta, envelope, trace_id};
use crate::{
    dialects::{
        archon::casing,
        fields::Detail,
        refusal::{self, ErrorShape, to_json, whole_seconds},
    },
    identity::{AttemptsLeft, IdentityError},
    model::{Clock, SystemClock},
    pipeline::{Deny, ReplyFacts, deny::TokenFault},
};

/// The contract's error shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape;

/// A refusal of archon.
pub type Refusal = refusal::Refusal<Shape>;

const BAD_LOGIN: &str = "Invalid email or password";

/// Names of the core that the contract spells otherwise.
const RENAMED: [(&str, &str); 2] = [("full_name", "name"), ("path", "body")];

impl Refusal {
    /// The same with how many more failures are allowed before the lock, and how long that would last.
    pub fn telling(self, left: Option<AttemptsLeft>) -> Self {
        let Some(left) = left else { return self };
        self.with_extra(json!({
            "attempts_remaining": left.count,
            "lockout_duration": whole_seconds(left.lock),
        }))
    }

    /// From identity where a new password is chosen beside another one: the fault is told of the field that it has here.
    pub fn on_new_password(error: IdentityError) -> Self {
        match error {
            IdentityError::WeakPassword(mut faults) => {
                faults.iter_mut().for_each(|fault| fault.field = "new_password");
                Self::from(IdentityError::WeakPassword(faults))
            }
            other => other.into(),
        }
    }

    /// 400 about one field.
    pub fn field(field: &str, text: &'static str) -> Self {
        Shape::invalid(vec![Detail::new(field, "invalid", text)])
    }
}

impl ErrorShape for Shape {
    fn of_deny(deny: &Deny) -> Refusal {
        let (code, text) = match deny {
            Deny::MissingCredential => ("AUTH_TOKEN_INVALID", "Authentication required"),
            Deny::Token(TokenFault::Scheme) => {
                ("AUTH_INVALID_TOKEN", "Invalid authentication scheme")
            }
            Deny::Token(_) => ("AUTH_TOKEN_INVALID", "Invalid or expired token"),
            Deny::Key(_) => ("AUTH_TOKEN_INVALID", "Invalid API key"),
            Deny::AddressNotAllowed => {
                ("AUTH_INSUFFICIENT_PERMISSIONS", "Not allowed from this address")
            }
            Deny::Forbidden { .. } => ("AUTH_INSUFFICIENT_PERMISSIONS", "Insufficient permissions"),
            Deny::RateLimited(toll) => {
                let refusal = Refusal::denied(deny, "Rate limit exceeded");
                let after = refusal.retry_seconds().unwrap_or(1);
                let extra = json!({
                    "limit": toll.window.limit,
                    "window": whole_seconds(toll.window.per),
                    "retry_after": after,
                });
                return refusal.with_code("RATE_LIMIT_EXCEEDED").with_extra(extra);
            }
            // The code is the status' own.
            _ => return Refusal::common_deny(deny),
        };
        Refusal::denied(deny, text).with_code(code)
    }

    fn of_identity(error: &IdentityError) -> Refusal {
        let reason = error.reason();
        let plain = |status, text: &'static str, code: &'static str| {
            Refusal::new(status, text, reason).with_code(code)
        };
        match error {
            // The same for whoever may not log in any more: the contract does not tell them apart.
            IdentityError::InvalidCredentials
            | IdentityError::Disabled
            | IdentityError::SecondFactor { .. } => {
                plain(StatusCode::UNAUTHORIZED, BAD_LOGIN, "AUTH_INVALID_CREDENTIALS")
            }
            // The failure that locks is a wrong password like those before it; what comes after is held back.
            IdentityError::Locked { retry_after, by_this: true } => {
                let left = AttemptsLeft { count: 0, lock: *retry_after };
                plain(StatusCode::UNAUTHORIZED, BAD_LOGIN, "AUTH_INVALID_CREDENTIALS")
                    .telling(Some(left))
            }
            IdentityError::Locked { retry_after, by_this: false } => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                let text = "Account is locked after too many failed logins";
                let after = whole_seconds(*retry_after);
                let extra = json!({
                    "limit": 0, "window": after, "retry_after": after,
                    "attempts_remaining": 0, "lockout_duration": after,
                });
                let refusal = plain(status, text, "RATE_LIMIT_EXCEEDED").with_extra(extra);
                Refusal { retry_after: Some(*retry_after), ..refusal }
            }
            IdentityError::InvalidRefreshToken | IdentityError::CredentialEnded => {
                plain(StatusCode::UNAUTHORIZED, "Invalid or expired token", "AUTH_TOKEN_INVALID")
            }
            IdentityError::InvalidCode => {
                let details = vec![Detail::new("token", "invalid", "Invalid or expired token")];
                Refusal { reason, ..Self::invalid(details) }
            }
            IdentityError::AlreadyVerified => {
                let details =
                    vec![Detail::new("token", "invalid", "The address is verified already")];
                Refusal { reason, ..Self::invalid(details) }
            }
            IdentityError::NotVerified => {
                plain(StatusCode::FORBIDDEN, "E-mail address is not verified", "EMAIL_NOT_VERIFIED")
            }
            // Never 401, or one of the SDKs would refresh and try again without end.
            IdentityError::WrongCurrentPassword => {
                let text = "Current password is incorrect";
                let details = vec![Detail::new("current_password", "invalid", text)];
                Refusal { reason, ..Self::invalid(details) }
            }
            IdentityError::AgentRefused => {
                let text = "Not allowed to run an agent of this type";
                plain(StatusCode::FORBIDDEN, text, "AGENT_UNAUTHORIZED")
            }
            IdentityError::AlreadyExists { field: "email" | "username" } => {
                let text = "A user with this email already exists";
                plain(StatusCode::CONFLICT, text, "USER_ALREADY_EXISTS")
            }
            IdentityError::AlreadyExists { .. } => {
                plain(StatusCode::CONFLICT, "There are as many as there may be", "CONFLICT")
            }
            other => Refusal::common(other),
        }
    }

    /// 400, never 422.
    fn invalid(details: Vec<Detail>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "Validation failed", "validation")
            .with_details(details)
    }

    fn body(refusal: &Refusal, facts: &ReplyFacts<'_>) -> Vec<u8> {
        let code = refusal.code.as_deref().unwrap_or_else(|| code_of(refusal.status));
        let mut error = Map::new();
        let mut set = |name: &str, value: Value| error.insert(name.to_owned(), value);
        set("code", code.into());
        set("message", (*refusal.text).into());
        set("trace_id", trace_id(facts.request_id).into());
        if let Some(faults) = &refusal.details {
            set("details", by_field(faults));
        } else if let Some(extra) = &refusal.extra {
            set("details", (**extra).clone());
        }
        let meta = Meta::new(facts.request_id, SystemClock.now());
        // Both names for everybody: no client is strict about what an error has more.
        to_json(&casing::both(envelope(Value::Null, Some(Value::Object(error)), &meta)))
    }
}

/// `{field: text}`; several sentences about one field are one text.
fn by_field(faults: &[Detail]) -> Value {
    let mut fields: Map<String, Value> = Map::new();
    for fault in faults {
        let name = match fault.field() {
            "" => "body",
            name => RENAMED.iter().find(|(own, _)| *own == name).map_or(name, |(_, wire)| wire),
        };
        let text = match fields.get(name).and_then(Value::as_str) {
            Some(before) => format!("{before}; {}", fault.msg),
            None => fault.msg.clone(),
        };
        fields.insert(name.to_owned(), text.into());
    }
    Value::Object(fields)
}

/// The code of a status that has only one meaning.
fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "VALIDATION_ERROR",
        StatusCode::UNAUTHORIZED => "AUTH_TOKEN_INVALID",
        StatusCode::FORBIDDEN => "AUTH_INSUFFICIENT_PERMISSIONS",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::CONFLICT => "CONFLICT",
        StatusCode::PAYLOAD_TOO_LARGE => "PAYLOAD_TOO_LARGE",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UNSUPPORTED_MEDIA_TYPE",
        StatusCode::TOO_MANY_REQUESTS => "RATE_LIMIT_EXCEEDED",
        StatusCode::BAD_GATEWAY => "BAD_GATEWAY",
        StatusCode::SERVICE_UNAVAILABLE => "SERVICE_UNAVAILABLE",
        StatusCode::GATEWAY_TIMEOUT => "GATEWAY_TIMEOUT",
        _ => "SYSTEM_ERROR",
    }
}
