//! The operator API: one endpoint per command, described at `/v1/openapi.json`. Commands without a running gateway
//! call the same router in process.

mod ask;
mod clients;
mod explain;
mod issuers;
mod keys;
mod process;
mod sessions;
mod tokens;
mod users;
mod views;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa::OpenApi;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt},
    routes,
};

use super::{
    control::Control,
    probes,
    problem::{Problem, Rendered},
    shared::Shared,
};
use crate::{
    identity::Identity,
    model::{Clock, Random, Timestamp},
    telemetry::Metrics,
};

/// Bodies of the operator are small, but for imports.
const BODY_LIMIT: usize = 1024 * 1024;

/// What the operator API needs from its surroundings.
#[derive(Clone)]
pub struct Parts {
    /// The domain.
    pub identity: Identity,
    /// The process.
    pub control: Arc<dyn Control>,
    /// What `/metrics` renders.
    pub metrics: Metrics,
    /// Which mounts and realms there are.
    pub shared: Arc<Shared>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For passwords that it makes up.
    pub random: Arc<dyn Random>,
}

/// State of the handlers.
#[derive(Clone)]
pub(super) struct App {
    pub(super) parts: Parts,
    pub(super) store: Arc<probes::StoreCheck>,
    started: Timestamp,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Portcullis operator API",
    description = "One endpoint per command. On TCP every request carries the operator token as a bearer token; \
                   the operator's Unix socket needs none. Refusals are RFC 9457 problem documents."
))]
struct Description;

/// Every operator endpoint, `/metrics`, `/livez` and `/readyz`. Guards nothing: the door does.
pub fn operator_router(parts: Parts) -> Router {
    let started = parts.clock.now();
    let (router, description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(users::create, users::list))
        .routes(routes!(users::import).layer(users::import_limit()))
        .routes(routes!(users::disable))
        .routes(routes!(users::enable))
        .routes(routes!(users::reset_factor))
        .routes(routes!(users::set_password))
        .routes(routes!(users::set_roles))
        .routes(routes!(users::links))
        .routes(routes!(users::link))
        .routes(routes!(users::unlink))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(tokens::list))
        .routes(routes!(tokens::revoke))
        .routes(routes!(sessions::audit))
        .routes(routes!(sessions::export_audit))
        .routes(routes!(sessions::verify_audit))
        .routes(routes!(clients::create, clients::list))
        .routes(routes!(clients::rotate_secret))
        .routes(routes!(clients::disable))
        .routes(routes!(clients::enable))
        .routes(routes!(clients::remove))
        .routes(routes!(process::signing_keys))
        .routes(routes!(process::rotate_signing_keys))
        .routes(routes!(issuers::list))
        .routes(routes!(issuers::refresh))
        .routes(routes!(process::rotate_signing_key))
        .routes(routes!(process::backup))
        .routes(routes!(process::effective))
        .routes(routes!(process::reload))
        .routes(routes!(process::status))
        .routes(routes!(explain::explain))
        .routes(routes!(explain::refusal))
        .routes(routes!(explain::shadow))
        .routes(routes!(probes::metrics))
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
        .split_for_parts();
    let description = Arc::new(description);
    router
        .route(
            "/v1/openapi.json",
            axum::routing::get(move || async move { Json(description.as_ref().clone()) }),
        )
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(shape))
        .with_state(App { parts, store: Arc::default(), started })
}

/// `after` of the next part: the last id when the part is full.
fn next<T>(part: &[T], limit: u32, id: impl Fn(&T) -> &String) -> Option<String> {
    let full = usize::try_from(limit).is_ok_and(|limit| part.len() >= limit);
    part.last().filter(|_| full).map(|last| id(last).clone())
}

/// Gives the framework's own refusals (no route, wrong method, unreadable path) the shape of ours.
async fn shape(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    // A name with NUL in it is nobody's, and not every store can be asked for it.
    if path.contains("%00") {
        return ask::nul().into_response();
    }
    let mut response = next.run(request).await;
    let status = response.status();
    let ours = response.extensions().get::<Rendered>().is_some()
        || response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/json");
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let code = match status {
        StatusCode::NOT_FOUND => "no_route",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
        _ => "bad_request",
    };
    let mut out = Problem::new(status, code, format!("{method} {path}")).into_response();
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        out.headers_mut().insert(header::ALLOW, allow);
    }
    out
}
