//! `/livez`, `/readyz`, `/metrics`.

use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Readiness, guard::Unproven, operator::App};

/// What `/livez` answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Live {
    status: &'static str,
}

/// What `/readyz` answers. A stale configuration keeps it at 200: a typo must not drain a fleet.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    /// `starting`, `ready`, `draining`.
    status: &'static str,
    /// `current` or `stale`.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'static str>,
    /// Hash of what is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    config_hash: Option<String>,
    /// Why the last reload was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "probes", responses((status = 200, body = Live)))]
pub(super) async fn livez() -> Json<Live> {
    Json(Live { status: "alive" })
}

/// The process takes traffic.
#[utoipa::path(get, path = "/readyz", tag = "probes",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub(super) async fn readyz(
    State(app): State<App>,
    unproven: Option<Extension<Unproven>>,
) -> Response {
    let readiness = app.parts.control.readiness();
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::Starting | Readiness::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut body = Ready { status: word(readiness), config: None, config_hash: None, reason: None };
    if unproven.is_none() {
        let config = app.parts.control.config();
        body.config = Some(config_word(config.stale.as_deref()));
        body.config_hash = Some(config.hash.to_string());
        body.reason = config.stale;
    }
    (status, Json(body)).into_response()
}

/// Every metric, Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "probes",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let gauges = app.parts.identity.gauges();
    let metrics = &app.parts.metrics;
    metrics.hash_pool(gauges.hashes_running, gauges.hashes_waiting);
    metrics.revocations(gauges.revocations);
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, metrics.render()).into_response()
}

pub(super) const fn word(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Starting => "starting",
        Readiness::Ready => "ready",
        Readiness::Draining => "draining",
    }
}

pub(super) const fn config_word(stale: Option<&str>) -> &'static str {
    if stale.is_some() { "stale" } else { "current" }
}
