//! What surrounds every handler of every contract: reading body, query and caller, writing reply, refusal and the
//! verdict for the edge.
//!
//! A handler returns an [`Answer`] or a [`Refusal`]; what cannot be read is a [`Rejected`]. [`write()`] alone knows request
//! id and path, so it turns both into the contract's shape.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{
    fields::{self, Detail, Encoding},
    refusal::{ErrorShape, Refusal},
};
use crate::{
    identity::Actor,
    model::{
        Principal,
        hop::{self, HopContext, HopToll, HopVerdict, VERDICT_HEADER},
    },
    pipeline::{Deny, Reply, ReplyFacts, Toll, deny::Malformed},
};

mod answer;
mod form;
mod router;

pub use answer::Answer;
pub use router::complete;

/// Largest body of the contract, as an extension of its requests; the edge holds the same bound.
#[derive(Clone, Copy, Debug)]
struct BodyLimit(usize);

/// Where a router has no bound of its own.
const BODY_LIMIT: BodyLimit = BodyLimit(64 * 1024);

/// A request that cannot be handed to its handler, in no contract's words yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Rejected {
    /// For a reason the gateway has a name for.
    Deny(Deny),
    /// Fields that do not fit.
    Invalid(Vec<Detail>),
    /// The body is declared as something the endpoint does not read.
    MediaType,
    /// The body broke off or its framing is wrong.
    BrokenBody,
}

impl<S: ErrorShape> From<Rejected> for Refusal<S> {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Deny(deny) => S::of_deny(&deny),
            Rejected::Invalid(details) => S::invalid(details),
            Rejected::MediaType => S::media_type(),
            Rejected::BrokenBody => S::broken_body(),
        }
    }
}

impl IntoResponse for Rejected {
    /// Carries itself out to [`write()`], which renders it.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(self);
        response
    }
}

impl<S: ErrorShape> IntoResponse for Refusal<S> {
    /// Carries itself out to [`write()`], which renders it.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes refusals in the contract's shape and tells the edge why. The outermost layer of every contract's router.
pub async fn write<S: ErrorShape>(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().to_string();
    let context = request.extensions().get::<HopContext>();
    let id = context.map(|context| context.client.request_id.clone());
    let facts =
        ReplyFacts { request_id: id.as_deref().unwrap_or_default(), path: &path, method: &method };
    if id.is_none() {
        tracing::error!(event = "hop_context_missing", "a contract request came without context");
        return rendered(&Refusal::<S>::from(&Deny::Internal), &facts);
    }
    let mut response = next.run(request).await;
    let extensions = response.extensions_mut();
    let refusal = extensions
        .remove::<Refusal<S>>()
        .or_else(|| extensions.remove::<Rejected>().map(Refusal::from));
    match refusal {
        None => response,
        Some(refusal) => {
            let mut out = rendered(&refusal, &facts);
            // The router knows which methods a path has; a handler may have set cookies.
            for name in [header::ALLOW, header::SET_COOKIE] {
                let kept: Vec<_> = response.headers().get_all(&name).iter().cloned().collect();
                for value in kept {
                    out.headers_mut().append(&name, value);
                }
            }
            out
        }
    }
}

/// Fallback: no such path.
pub async fn no_route() -> Rejected {
    Rejected::Deny(Deny::NoRoute)
}

/// Fallback: the path has other methods.
pub async fn wrong_method() -> Rejected {
    Rejected::Deny(Deny::MethodNotAllowed { allow: String::new() })
}

/// What the edge says about the client and, on protected endpoints, the caller.
pub struct Hop(pub HopContext);

impl Hop {
    /// For identity: on whose behalf.
    pub fn actor(&self) -> Actor {
        Actor {
            client: Some(self.0.client.clone()),
            account: self.0.principal.as_ref().map(|principal| principal.subject.clone()),
        }
    }

    /// The proven caller. The edge always sends one to a protected endpoint; without one nobody is let in.
    pub fn caller(&self) -> Result<&Principal, Deny> {
        self.0.principal.as_ref().ok_or(Deny::MissingCredential)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Hop {
    type Rejection = Rejected;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejected> {
        let context = parts.extensions.get::<HopContext>().cloned();
        context.map(Self).ok_or(Rejected::Deny(Deny::Internal))
    }
}

/// The parameters of the path: one text, or a tuple of them.
pub struct Param<T = String>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned + Send> FromRequestParts<S> for Param<T> {
    type Rejection = Rejected;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejected> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| Rejected::Deny(Deny::Malformed(Malformed::PathEncoding)))
    }
}

/// A query of the contract.
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: fields::Request> FromRequestParts<S> for Asked<T> {
    type Rejection = Rejected;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejected> {
        fields::parse_query(parts.uri.query()).map(Self).map_err(Rejected::Invalid)
    }
}

/// A request body of the contract.
pub struct Sent<T>(pub T);

impl<S: Send + Sync, T: fields::Request> FromRequest<S> for Sent<T> {
    type Rejection = Rejected;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejected> {
        let (parts, body) = request.into_parts();
        let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or(BODY_LIMIT);
        let body = read(body, limit).await?;
        match T::ENCODING {
            Encoding::Json if !body.is_empty() && !is_json(&parts.headers) => {
                Err(Rejected::MediaType)
            }
            Encoding::Json => fields::parse(&body).map(Self).map_err(Rejected::Invalid),
            Encoding::Form => {
                let pairs = form::pairs(&parts.headers, body).await?;
                fields::parse_form(pairs).map(Self).map_err(Rejected::Invalid)
            }
        }
    }
}

async fn read(body: Body, limit: BodyLimit) -> Result<Bytes, Rejected> {
    axum::body::to_bytes(body, limit.0).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            if error.is::<http_body_util::LengthLimitError>() {
                return Rejected::Deny(Deny::BodyTooLarge);
            }
            cause = error.source();
        }
        Rejected::BrokenBody
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
    let essence = essence(declared);
    essence == "application/json" || essence.ends_with("+json") || essence.is_empty()
}

/// A media type without its parameters.
fn essence(declared: &str) -> String {
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn rendered<S: ErrorShape>(refusal: &Refusal<S>, facts: &ReplyFacts<'_>) -> Response {
    let Reply { status, headers, body } = refusal.render(facts);
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    let verdict = HopVerdict {
        reason: Some(refusal.reason.to_owned()),
        subject: None,
        toll: refusal.toll.as_deref().map(in_transit),
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

#[cfg(test)]
mod tests;
