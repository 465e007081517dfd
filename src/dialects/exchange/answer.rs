//! A reply that is no refusal: JSON nearly always, sometimes nothing, `null`, a page or a redirect.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Serialize;

use super::set_verdict;
use crate::{
    dialects::refusal::to_json,
    model::{AccountId, hop::HopVerdict},
};

/// Status, header fields, body, and whom it was about.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    verdict: HopVerdict,
}

impl Answer {
    /// A JSON body.
    pub fn new(status: StatusCode, body: &impl Serialize) -> Self {
        Self::of(status, "application/json", to_json(body))
    }

    /// 200 with a JSON body.
    pub fn ok(body: &impl Serialize) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// 201 with a JSON body.
    pub fn created(body: &impl Serialize) -> Self {
        Self::new(StatusCode::CREATED, body)
    }

    /// 200 with `{"message": …}`: one sentence, for contracts whose clients always parse a body.
    pub fn message(sentence: &'static str) -> Self {
        Self::ok(&Message { message: sentence })
    }

    /// The literal JSON `null`, where a contract has it.
    pub fn null(status: StatusCode) -> Self {
        Self::new(status, &())
    }

    /// 204. Only where the contract says so: several clients always parse the body.
    pub fn no_content() -> Self {
        Self::bare(StatusCode::NO_CONTENT, Bytes::new())
    }

    /// A page in UTF-8.
    pub fn html(status: StatusCode, page: String) -> Self {
        Self::of(status, "text/html; charset=utf-8", page)
    }

    /// Any other text, with its type.
    pub fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self::bare(status, body.into()).with(header::CONTENT_TYPE, kind)
    }

    /// A redirect for browsers. `None`: the address cannot stand in a header field.
    pub fn redirect(status: StatusCode, to: &str) -> Option<Self> {
        let to = HeaderValue::from_str(to).ok()?;
        let mut answer = Self::bare(status, Bytes::new());
        answer.headers.insert(header::LOCATION, to);
        Some(answer)
    }

    /// Adds a field whose value is fixed.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Adds a field beside others of its name, such as a cookie.
    #[must_use]
    pub fn adding(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// For the access log, where the edge does not know the caller yet.
    #[must_use]
    pub fn about(mut self, subject: &AccountId) -> Self {
        self.verdict.subject = Some(subject.to_string());
        self
    }

    /// For the access log: this answer refuses, although the contract writes it like a success (a page for people).
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Self {
        self.verdict.reason = Some(reason.to_owned());
        self
    }

    fn bare(status: StatusCode, body: Bytes) -> Self {
        Self { status, headers: HeaderMap::new(), body, verdict: HopVerdict::default() }
    }
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if self.verdict != HopVerdict::default() {
            set_verdict(response.headers_mut(), &self.verdict);
        }
        response
    }
}
