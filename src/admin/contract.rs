//! The private socket's service: reads what the edge says about a request and hands it to the mount's router.
//!
//! The context header is believed because only our own edge can open the socket. A request without one is our fault,
//! never a client's, so it is 500.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use http_body_util::Limited;
use serde_json::json;
use tower::ServiceExt;

use super::shared::Shared;
use crate::{
    model::hop::{self, CONTEXT_HEADER, HopContext, HopVerdict, VERDICT_HEADER},
    pipeline::{Deny, Face, ReplyFacts},
};

/// Upper bound for any contract; each holds its own, smaller one.
const BODY_LIMIT: usize = 1024 * 1024;

/// Serves the contract endpoints of every mount.
pub fn contract_router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(forward).with_state(shared)
}

async fn forward(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    let context: Option<HopContext> = request
        .headers_mut()
        .remove(CONTEXT_HEADER)
        .and_then(|value| value.to_str().ok().and_then(hop::decode));
    let Some(context) = context else {
        tracing::error!(event = "hop_context_bad", path = request.uri().path());
        return failed(StatusCode::INTERNAL_SERVER_ERROR, None);
    };
    let id = context.client.request_id.clone();
    let (path, method) = (request.uri().path().to_owned(), request.method().to_string());
    let facts = ReplyFacts { request_id: &id, path: &path, method: &method };
    let Some((router, face)) = shared.router(&context.mount) else {
        // A reload took the mount away between the edge's decision and now: in its own words, that it is not there at the
        // moment. Who comes again is answered by what stands there then.
        tracing::warn!(event = "mount_gone", mount = %context.mount, request_id = id);
        let Some(face) = shared.face_of_gone(&context.mount) else {
            return failed(StatusCode::SERVICE_UNAVAILABLE, Some(&id));
        };
        return refused(face, &Deny::Unavailable { dependency: "mount" }, &facts);
    };
    request.extensions_mut().insert(context);
    let request = request.map(|body| Body::new(Limited::new(body, BODY_LIMIT)));
    // A task of its own: a panic ends this request only, and what was begun is finished when the client goes away.
    match tokio::spawn(router.oneshot(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(error) => {
            tracing::error!(event = "handler_failed", request_id = id, panicked = error.is_panic());
            // The handler is gone.
            refused(face, &Deny::Internal, &facts)
        }
    }
}

/// In the shape of the contract, where no handler can say so.
fn refused(face: &dyn Face, deny: &Deny, facts: &ReplyFacts<'_>) -> Response {
    let reply = face.render(deny, facts);
    let mut response = (reply.status, reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value);
    }
    let verdict = HopVerdict { reason: Some(deny.reason().to_owned()), ..HopVerdict::default() };
    if let Ok(value) = HeaderValue::from_str(&hop::encode(&verdict)) {
        response.headers_mut().insert(VERDICT_HEADER, value);
    }
    response
}

/// The fixed object of what belongs to no contract.
fn failed(status: StatusCode, request_id: Option<&str>) -> Response {
    let text = status.canonical_reason().unwrap_or("Error");
    let body = json!({
        "error": text, "detail": text, "status_code": status.as_u16(), "request_id": request_id,
    });
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let value = HeaderValue::from_static("1");
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, value);
    }
    response
}
