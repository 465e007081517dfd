//! Every refusal of tmws in its one error shape: `{error, detail, status_code, request_id}` and the few extras of the
//! contract's table "Error bodies". Maps the gateway's and identity's reasons to it; decides nothing.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::fields::Detail;
use crate::{
    identity::{FieldError, IdentityError},
    pipeline::{
        Deny, Reply, ReplyFacts, Toll,
        deny::{KeyFault, TokenFault},
    },
};

const EXPIRED: &str = "Token expired";
const UNPROVEN: &str = "Could not validate credentials";

/// A refusal, ready to be written once request id and path are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    status: StatusCode,
    error: Cow<'static, str>,
    reason: &'static str,
    challenge: Option<&'static str>,
    allow: Option<Box<str>>,
    retry_after: Option<Duration>,
    details: Option<Box<[Detail]>>,
    toll: Option<Box<Toll>>,
}

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
    /// With the status' own reason phrase.
    fn plain(status: StatusCode, reason: &'static str) -> Self {
        Self::new(status, status.canonical_reason().unwrap_or("Error"), reason)
    }

    fn new(status: StatusCode, error: impl Into<Cow<'static, str>>, reason: &'static str) -> Self {
        Self {
            status,
            error: error.into(),
            reason,
            challenge: None,
            allow: None,
            retry_after: None,
            details: None,
            toll: None,
        }
    }

    /// 422: fields that do not fit.
    pub fn invalid(details: Vec<Detail>) -> Self {
        let error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Validation Error", "validation");
        Self { details: Some(details.into()), ..error }
    }

    /// 415: the body is declared as something other than JSON.
    pub fn media_type() -> Self {
        Self::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type")
    }

    /// 400: the body broke off or its framing is wrong.
    pub fn broken_body() -> Self {
        Self::plain(StatusCode::BAD_REQUEST, "body_broken")
    }

    /// 401: a token that is genuine, but stands for nobody any more.
    pub fn nobody() -> Self {
        Self::from(&Deny::Token(TokenFault::Revoked))
    }

    /// From identity, while a password is changed: a weak new one is 400 here, 422 elsewhere (contract, PUT password).
    pub fn on_password_change(error: &IdentityError) -> Self {
        match error {
            IdentityError::WeakPassword(faults) => Self {
                details: Some(details(faults).into()),
                ..Self::new(StatusCode::BAD_REQUEST, weak_text(faults), error.reason())
            },
            other => Self::from(other),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Stable reason code, for the access log.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The limit that refused, for the rate headers.
    pub fn toll(&self) -> Option<&Toll> {
        self.toll.as_deref()
    }

    /// Writes it down.
    pub fn render(&self, facts: &ReplyFacts<'_>) -> Reply {
        let missing = self.status == StatusCode::NOT_FOUND;
        let body = Body {
            error: &self.error,
            detail: &self.error,
            status_code: self.status.as_u16(),
            request_id: facts.request_id,
            message: match self.details {
                Some(_) => Some("Request validation failed"),
                None => missing.then_some("The requested resource was not found"),
            },
            path: missing.then_some(facts.path),
            details: self.details.as_deref(),
            // The contract has it in the body of 429 only; the header is on 423 and 503 too.
            retry_after: (self.status == StatusCode::TOO_MANY_REQUESTS)
                .then(|| self.retry_after.map_or(1, whole_seconds)),
        };
        Reply {
            status: self.status,
            headers: self.headers(),
            // Only texts and numbers: serialising cannot fail.
            body: serde_json::to_vec(&body).map(Bytes::from).unwrap_or_default(),
        }
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let json = HeaderValue::from_static("application/json");
        let mut headers = vec![(header::CONTENT_TYPE, json)];
        if let Some(challenge) = self.challenge {
            headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
        if let Some(after) = self.retry_after {
            headers.push((header::RETRY_AFTER, HeaderValue::from(whole_seconds(after))));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|text| HeaderValue::from_str(text).ok())
        {
            headers.push((header::ALLOW, allow));
        }
        headers
    }
}

impl From<&Deny> for Refusal {
    fn from(deny: &Deny) -> Self {
        let error: Cow<'static, str> = match deny {
            Deny::MissingCredential => "Authentication required - missing credentials".into(),
            Deny::Token(TokenFault::Expired) => EXPIRED.into(),
            Deny::Token(TokenFault::Invalid | TokenFault::Revoked) => UNPROVEN.into(),
            Deny::Key(
                KeyFault::Malformed | KeyFault::Unknown | KeyFault::Expired | KeyFault::Revoked,
            ) => "Invalid API key".into(),
            Deny::Session(_) => UNPROVEN.into(),
            Deny::AddressNotAllowed => "Access denied: IP address not allowed".into(),
            Deny::Forbidden { action } => format!("Permission required: {action}").into(),
            Deny::RateLimited(_) => "Rate limit exceeded".into(),
            Deny::Malformed(_)
            | Deny::NoRoute
            | Deny::MethodNotAllowed { .. }
            | Deny::BodyTooLarge
            | Deny::Unavailable { .. }
            | Deny::Upstream(_)
            | Deny::Internal => deny.status().canonical_reason().unwrap_or("Error").into(),
        };
        Self {
            challenge: deny.challenge(),
            retry_after: deny.retry_after(),
            allow: match deny {
                Deny::MethodNotAllowed { allow } if !allow.is_empty() => {
                    Some(allow.as_str().into())
                }
                _ => None,
            },
            toll: match deny {
                Deny::RateLimited(toll) => Some(Box::new(toll.clone())),
                _ => None,
            },
            ..Self::new(deny.status(), error, deny.reason())
        }
    }
}

impl From<&IdentityError> for Refusal {
    fn from(error: &IdentityError) -> Self {
        let reason = error.reason();
        match error {
            IdentityError::InvalidCredentials => {
                Self::new(StatusCode::UNAUTHORIZED, "Invalid credentials", reason)
            }
            IdentityError::Locked { retry_after } => Self {
                retry_after: Some(*retry_after),
                ..Self::new(StatusCode::LOCKED, "Account is locked", reason)
            },
            IdentityError::Disabled => {
                Self::new(StatusCode::FORBIDDEN, "Account is disabled", reason)
            }
            IdentityError::Throttled(toll) => Self::from(&Deny::RateLimited(toll.clone())),
            IdentityError::InvalidRefreshToken => {
                Self::new(StatusCode::UNAUTHORIZED, "Invalid or expired refresh token", reason)
            }
            IdentityError::CredentialEnded => Self { reason, ..Self::nobody() },
            IdentityError::WrongCurrentPassword => {
                Self::new(StatusCode::BAD_REQUEST, "Current password is incorrect", reason)
            }
            IdentityError::Forbidden { action } => {
                Self::from(&Deny::Forbidden { action: Cow::Borrowed(action) })
            }
            IdentityError::NotFound => Self::plain(StatusCode::NOT_FOUND, reason),
            IdentityError::AlreadyExists { field } => {
                let text = match *field {
                    "username" => "Username already exists",
                    "email" => "Email already exists",
                    _ => "Already exists",
                };
                Self::new(StatusCode::BAD_REQUEST, text, reason)
            }
            IdentityError::WeakPassword(faults) | IdentityError::Invalid(faults) => {
                Self { reason, ..Self::invalid(details(faults)) }
            }
            IdentityError::Foreign(fault) => Self::plain(fault.status(), reason),
            IdentityError::Busy | IdentityError::Unavailable => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::plain(StatusCode::SERVICE_UNAVAILABLE, reason)
            },
            IdentityError::Internal => Self::plain(StatusCode::INTERNAL_SERVER_ERROR, reason),
        }
    }
}

impl From<IdentityError> for Refusal {
    fn from(error: IdentityError) -> Self {
        Self::from(&error)
    }
}

fn details(faults: &[FieldError]) -> Vec<Detail> {
    faults.iter().map(|fault| Detail::new(fault.field, fault.kind, fault.message.clone())).collect()
}

fn weak_text(faults: &[FieldError]) -> String {
    let reasons: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    if reasons.is_empty() {
        return "Password does not meet the requirements".to_owned();
    }
    format!("Password does not meet the requirements: {}", reasons.join("; "))
}

/// Whole seconds, rounded up, at least 1 (README of the contracts, rule 4).
fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}
