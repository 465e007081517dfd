//! A refusal of a contract's endpoints, before it is written: status, words and header fields, the same for every
//! contract. Which words, and the shape of the body, are the contract's [`ErrorShape`]. Decides nothing.

use std::{borrow::Cow, marker::PhantomData, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

mod common;

pub use common::{phrase, sentence};

use super::fields::Detail;
use crate::{
    identity::{FieldError, IdentityError},
    pipeline::{Deny, Reply, ReplyFacts, Toll},
};

/// How the refusals of one contract are worded and written.
pub trait ErrorShape: Clone + std::fmt::Debug + PartialEq + Send + Sync + Sized + 'static {
    /// A refusal of the gateway.
    fn of_deny(deny: &Deny) -> Refusal<Self> {
        Refusal::common_deny(deny)
    }

    /// A refusal of identity.
    fn of_identity(error: &IdentityError) -> Refusal<Self> {
        Refusal::common(error)
    }

    /// Fields that do not fit.
    fn invalid(details: Vec<Detail>) -> Refusal<Self> {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Refusal::new(status, "Validation Error", "validation").with_details(details)
    }

    /// The body is declared as something the endpoint does not read.
    fn media_type() -> Refusal<Self> {
        Refusal::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type")
    }

    /// The body broke off or its framing is wrong.
    fn broken_body() -> Refusal<Self> {
        Refusal::plain(StatusCode::BAD_REQUEST, "body_broken")
    }

    /// The body, always a JSON object.
    fn body(refusal: &Refusal<Self>, facts: &ReplyFacts<'_>) -> Vec<u8>;
}

/// A refusal, ready to be written once request id and path are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal<S> {
    /// Status code.
    pub status: StatusCode,
    /// The sentence for the client.
    pub text: Cow<'static, str>,
    /// Stable code for the client, in contracts that have one.
    pub code: Option<Cow<'static, str>>,
    /// Stable reason code for the access log; from the closed set of `Deny` and `IdentityError`.
    pub reason: &'static str,
    /// `WWW-Authenticate`.
    pub challenge: Option<&'static str>,
    /// `Allow`.
    pub allow: Option<Box<str>>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Fields that do not fit.
    pub details: Option<Box<[Detail]>>,
    /// What a contract adds to its body beside all this.
    pub extra: Option<Box<serde_json::Value>>,
    /// The limit that refused, for the rate headers.
    pub toll: Option<Box<Toll>>,
    /// Whose shape it has.
    pub shape: PhantomData<S>,
}

impl<S: ErrorShape> Refusal<S> {
    /// With a sentence of its own.
    pub fn new(
        status: StatusCode,
        text: impl Into<Cow<'static, str>>,
        reason: &'static str,
    ) -> Self {
        Self {
            status,
            text: text.into(),
            code: None,
            reason,
            challenge: None,
            allow: None,
            retry_after: None,
            details: None,
            extra: None,
            toll: None,
            shape: PhantomData,
        }
    }

    /// With the status' own reason phrase.
    pub fn plain(status: StatusCode, reason: &'static str) -> Self {
        Self::new(status, phrase(status), reason)
    }

    /// What every contract says of a refusal of the gateway: status, challenge, when to come back, which methods there
    /// are, which limit. The contract's own is the sentence.
    pub fn denied(deny: &Deny, text: impl Into<Cow<'static, str>>) -> Self {
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
            ..Self::new(deny.status(), text, deny.reason())
        }
    }

    /// 503 of identity: busy, or its store does not answer.
    pub fn unavailable(text: impl Into<Cow<'static, str>>, reason: &'static str) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { retry_after: Some(Duration::from_secs(1)), ..Self::new(status, text, reason) }
    }

    /// With a stable code for the client.
    #[must_use]
    pub fn with_code(self, code: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    /// With the fields that do not fit.
    #[must_use]
    pub fn with_details(self, details: Vec<Detail>) -> Self {
        Self { details: Some(details.into()), ..self }
    }

    /// With a member of the body that only this contract has.
    #[must_use]
    pub fn with_extra(self, extra: serde_json::Value) -> Self {
        Self { extra: Some(Box::new(extra)), ..self }
    }

    /// `retry_after` as clients read it: whole seconds, rounded up, at least 1.
    pub fn retry_seconds(&self) -> Option<u64> {
        self.retry_after.map(whole_seconds)
    }

    /// Writes it down.
    pub fn render(&self, facts: &ReplyFacts<'_>) -> Reply {
        Reply {
            status: self.status,
            headers: self.headers(),
            body: Bytes::from(S::body(self, facts)),
        }
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let json = HeaderValue::from_static("application/json");
        let mut headers = vec![(header::CONTENT_TYPE, json)];
        if let Some(challenge) = self.challenge {
            headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
        if let Some(after) = self.retry_seconds() {
            headers.push((header::RETRY_AFTER, HeaderValue::from(after)));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|text| HeaderValue::from_str(text).ok())
        {
            headers.push((header::ALLOW, allow));
        }
        headers
    }
}

impl<S: ErrorShape> From<&Deny> for Refusal<S> {
    fn from(deny: &Deny) -> Self {
        S::of_deny(deny)
    }
}

impl<S: ErrorShape> From<Deny> for Refusal<S> {
    fn from(deny: Deny) -> Self {
        S::of_deny(&deny)
    }
}

impl<S: ErrorShape> From<&IdentityError> for Refusal<S> {
    fn from(error: &IdentityError) -> Self {
        S::of_identity(error)
    }
}

impl<S: ErrorShape> From<IdentityError> for Refusal<S> {
    fn from(error: IdentityError) -> Self {
        S::of_identity(&error)
    }
}

/// Faults of identity as details of a body.
pub fn details(faults: &[FieldError]) -> Vec<Detail> {
    faults.iter().map(Detail::from).collect()
}

/// Writes a body of texts, numbers and lists, which cannot fail.
pub fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// Whole seconds, rounded up, at least 1: clients read an integer, and 0 would make them come at once.
pub fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}
