//! Refusals of the internal plane as RFC 9457 problem documents with a stable `code`.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::identity::{FieldError, IdentityError};

/// A problem document.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: `code` says what it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status' reason phrase.
    title: &'static str,
    /// The status code.
    status: u16,
    /// Stable code for programs.
    code: &'static str,
    /// One sentence for the operator.
    detail: String,
    /// Fields (or lines of an import) that are not acceptable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// One field that is not acceptable.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Fault {
    /// Its name; `line 3` in an import.
    pub(super) field: String,
    /// Stable code.
    pub(super) code: String,
    /// One sentence.
    pub(super) message: String,
}

impl Problem {
    /// A problem without field errors.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// 422 about one field.
    pub(super) fn field(name: &str, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let fault = Fault { field: name.into(), code: code.into(), message: message.clone() };
        Self::invalid(message, vec![fault])
    }

    /// 422 with every field.
    pub(super) fn invalid(detail: impl Into<String>, errors: Vec<Fault>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { errors, ..Self::new(status, "validation", detail) }
    }
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        let detail = error.to_string();
        let status = match &error {
            IdentityError::WeakPassword(faults) | IdentityError::Invalid(faults) => {
                let problem = Self::invalid(detail, faults.iter().map(Fault::from).collect());
                return Self { code: error.reason(), ..problem };
            }
            IdentityError::NotFound => StatusCode::NOT_FOUND,
            IdentityError::AlreadyExists { .. } => StatusCode::CONFLICT,
            IdentityError::Forbidden { .. }
            | IdentityError::Disabled
            | IdentityError::AgentRefused
            | IdentityError::NotVerified => StatusCode::FORBIDDEN,
            IdentityError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            IdentityError::Foreign(fault) => fault.status(),
            IdentityError::Oidc(fault) => fault.status(),
            IdentityError::Grant(fault) => fault.status(),
            IdentityError::Busy | IdentityError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            IdentityError::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            // Answers about a caller's own credential: the operator has none, so these do not come.
            IdentityError::InvalidCredentials
            | IdentityError::Locked { .. }
            | IdentityError::InvalidRefreshToken
            | IdentityError::CredentialEnded
            | IdentityError::SecondFactor { .. }
            | IdentityError::InvalidCode
            | IdentityError::AlreadyVerified
            | IdentityError::WrongCurrentPassword => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.reason(), detail)
    }
}

impl From<&FieldError> for Fault {
    fn from(fault: &FieldError) -> Self {
        Self {
            field: fault.field.to_owned(),
            code: fault.kind.to_owned(),
            message: fault.message.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Only texts and numbers: serialising cannot fail.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        // Marks it as ours, so that the outer layer leaves it alone.
        response.extensions_mut().insert(Rendered);
        response
    }
}

/// Put on every response that already is a problem document.
#[derive(Clone, Copy)]
pub(super) struct Rendered;
