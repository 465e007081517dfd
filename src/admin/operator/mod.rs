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
    extract::{DefaultBodyLimit, FromRef, Request},
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
    truth::Truth,
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

/// What the operator API of an edge node needs: there are no accounts there.
#[derive(Clone)]
pub struct EdgeParts {
    /// The process.
    pub control: Arc<dyn Control>,
    /// Who knows the truth.
    pub truth: Arc<dyn Truth>,
    /// What `/metrics` renders.
    pub metrics: Metrics,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// State of the handlers.
#[derive(Clone)]
pub(super) struct App {
    pub(super) parts: Parts,
    vitals: Vitals,
}

/// State of the handlers that every plane has.
#[derive(Clone)]
pub(super) struct Vitals {
    pub(super) parts: EdgeParts,
    pub(super) store: Arc<probes::StoreCheck>,
    started: Timestamp,
}

impl FromRef<App> for Vitals {
    fn from_ref(app: &App) -> Self {
        app.vitals.clone()
    }
}

impl Vitals {
    fn new(parts: EdgeParts) -> Self {
        let started = parts.clock.now();
        Self { parts, store: Arc::default(), started }
    }
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
    let vitals = Vitals::new(EdgeParts {
        control: parts.control.clone(),
        truth: Arc::new(parts.identity.clone()),
        metrics: parts.metrics.clone(),
        clock: parts.clock.clone(),
    });
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
        .routes(routes!(process::rotate_signing_key))
        .routes(routes!(process::backup))
        .merge(of_every_plane())
        .split_for_parts();
    whole(router, description).with_state(App { parts, vitals })
}

/// What an edge node answers its operator. For the rest it names who can.
pub fn edge_router(parts: EdgeParts) -> Router {
    let router = OpenApiRouter::with_openapi(Description::openapi()).merge(of_every_plane());
    let (router, description) = router.split_for_parts();
    whole(router.fallback(elsewhere), description).with_state(Vitals::new(parts))
}

/// What is about the process and its configuration, and not about accounts.
fn of_every_plane<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Vitals: FromRef<S>,
{
    OpenApiRouter::default()
        .routes(routes!(issuers::list))
        .routes(routes!(issuers::refresh))
        .routes(routes!(process::effective))
        .routes(routes!(process::reload))
        .routes(routes!(process::status))
        .routes(routes!(explain::explain))
        .routes(routes!(explain::refusal))
        .routes(routes!(explain::shadow))
        .routes(routes!(probes::metrics))
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
}

fn whole<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    description: utoipa::openapi::OpenApi,
) -> Router<S> {
    let description = Arc::new(description);
    router
        .route(
            "/v1/openapi.json",
            axum::routing::get(move || async move { Json(description.as_ref().clone()) }),
        )
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(shape))
}

async fn elsewhere() -> Problem {
    let detail =
        "this is an edge node, which has no accounts, keys or sessions: ask an identity node";
    Problem::new(StatusCode::NOT_FOUND, "edge_node", detail)
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
