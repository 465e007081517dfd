//! What surrounds every handler: reading body and caller, writing reply, refusal and the verdict for the edge.
//!
//! A handler returns an [`Answer`] or a [`Refusal`]; [`write`] alone knows request id and path, so it turns the refusal
//! into the contract's shape.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Serialize;

use super::super::wire::{self, Refusal};
use crate::{
    identity::Actor,
    model::{
        AccountId, Principal,
        hop::{self, HopContext, HopToll, HopVerdict, VERDICT_HEADER},
    },
    pipeline::{Deny, Reply, ReplyFacts, Toll, deny::Malformed},
};

/// The contract's bodies are small; the edge holds the same bound.
const BODY_LIMIT: usize = 64 * 1024;

/// A success: status, JSON body, and whom it was about.
pub(super) struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    subject: Option<AccountId>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: &impl Serialize) -> Self {
        // Reply types hold texts, numbers and lists: serialising cannot fail.
        Self { status, body: serde_json::to_vec(body).unwrap_or_default(), subject: None }
    }

    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::new(StatusCode::OK, body)
    }

    pub(super) fn created(body: &impl Serialize) -> Self {
        Self::new(StatusCode::CREATED, body)
    }

    /// For the access log, where the edge does not know the caller yet.
    pub(super) fn about(self, subject: &AccountId) -> Self {
        Self { subject: Some(subject.clone()), ..self }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(subject) = self.subject {
            let subject = Some(subject.to_string());
            set_verdict(response.headers_mut(), &HopVerdict { subject, ..HopVerdict::default() });
        }
        response
    }
}

impl IntoResponse for Refusal {
    /// Carries the refusal out to [`write`], which renders it.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes refusals in the contract's shape and tells the edge why.
pub(super) async fn write(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().to_string();
    let context = request.extensions().get::<HopContext>();
    let id = context.map(|context| context.client.request_id.clone());
    let facts =
        ReplyFacts { request_id: id.as_deref().unwrap_or_default(), path: &path, method: &method };
    if id.is_none() {
        tracing::error!(event = "hop_context_missing", "a contract request came without context");
        return rendered(&Refusal::from(&Deny::Internal), &facts);
    }
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Refusal>() {
        None => response,
        Some(refusal) => {
            let mut out = rendered(&refusal, &facts);
            // The router knows which methods a path has.
            if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
                out.headers_mut().insert(header::ALLOW, allow);
            }
            out
        }
    }
}

pub(super) async fn no_route() -> Refusal {
    Refusal::from(&Deny::NoRoute)
}

pub(super) async fn wrong_method() -> Refusal {
    Refusal::from(&Deny::MethodNotAllowed { allow: String::new() })
}

/// What the edge says about the client and, on protected endpoints, the caller.
pub(super) struct Hop(pub(super) HopContext);

impl Hop {
    /// For identity: on whose behalf.
    pub(super) fn actor(&self) -> Actor {
        Actor {
            client: Some(self.0.client.clone()),
            account: self.0.principal.as_ref().map(|principal| principal.subject.clone()),
        }
    }

    /// The proven caller. The edge always sends one to a protected endpoint; without one nobody is let in.
    pub(super) fn caller(&self) -> Result<&Principal, Refusal> {
        self.0.principal.as_ref().ok_or_else(|| Refusal::from(&Deny::MissingCredential))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Hop {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let context = parts.extensions.get::<HopContext>().cloned();
        context.map(Self).ok_or_else(|| Refusal::from(&Deny::Internal))
    }
}

/// One parameter of the path.
pub(super) struct Param(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Param {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| Refusal::from(&Deny::Malformed(Malformed::PathEncoding)))
    }
}

/// A request body of the contract.
pub(super) struct Sent<T>(pub(super) T);

impl<S: Send + Sync, T: wire::Request> FromRequest<S> for Sent<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        if !body.is_empty() && !is_json(&parts.headers) {
            return Err(Refusal::media_type());
        }
        wire::parse(&body).map(Self).map_err(Refusal::invalid)
    }
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            if error.is::<http_body_util::LengthLimitError>() {
                return Refusal::from(&Deny::BodyTooLarge);
            }
            cause = error.source();
        }
        Refusal::broken_body()
    })
}

/// JSON in any dress, or no declaration at all: some clients send none.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(declared) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let Ok(declared) = declared.to_str() else {
        return false;
    };
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json") || essence.is_empty()
}

fn rendered(refusal: &Refusal, facts: &ReplyFacts<'_>) -> Response {
    let Reply { status, headers, body } = refusal.render(facts);
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    let verdict = HopVerdict {
        reason: Some(refusal.reason().to_owned()),
        subject: None,
        toll: refusal.toll().map(in_transit),
    };
    set_verdict(response.headers_mut(), &verdict);
    response
}

fn set_verdict(headers: &mut HeaderMap, verdict: &HopVerdict) {
    // Base64url is always a header value.
    if let Ok(value) = HeaderValue::from_str(&hop::encode(verdict)) {
        headers.insert(VERDICT_HEADER, value);
    }
}

fn in_transit(toll: &Toll) -> HopToll {
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    HopToll {
        name: toll.name.to_string(),
        limit: toll.window.limit,
        window_ms: millis(toll.window.per),
        remaining: toll.remaining,
        reset_ms: millis(toll.reset_after),
        retry_ms: toll.retry_after.map(millis),
    }
}
