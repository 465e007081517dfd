//! `/livez`, `/readyz`, `/metrics`.
//!
//! Ready means: takes traffic. A part that is in trouble makes it *degraded*, which is still 200: what is wrong with a store is
//! wrong with it for every node, and a fleet that nobody sends anything to serves nobody.

use std::time::{Duration, Instant};

use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::{Readiness, control::Trouble, guard::Unproven, operator::Vitals};
use crate::identity::Followed;

/// What `/livez` answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Live {
    status: &'static str,
}

/// How long the store may take to say that it works, before that is the answer.
const STORE_PATIENCE: Duration = Duration::from_millis(250);
/// How long that answer is good: however many probes there are, the store is asked that often. A bad one not for long: a
/// store that is back is to be seen at once.
const STORE_AGE: Duration = Duration::from_secs(1);
const TROUBLE_AGE: Duration = Duration::from_millis(250);

/// Whether the store worked when it was last asked, and when that was.
pub(super) type StoreCheck = Mutex<Option<(Instant, bool)>>;

/// What `/readyz` answers. A stale configuration keeps it at 200: a typo must not drain a fleet.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    /// `starting`, `ready`, `degraded` (200 as well), `draining`.
    status: &'static str,
    /// What is in trouble, if it is degraded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<TroubleView>,
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

/// A part that does not do all of its work.
#[derive(Serialize, ToSchema)]
pub(super) struct TroubleView {
    /// Which.
    part: &'static str,
    /// What that means.
    what: String,
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
    State(app): State<Vitals>,
    unproven: Option<Extension<Unproven>>,
) -> Response {
    let readiness = app.parts.control.readiness();
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::Starting | Readiness::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    let troubles = match readiness {
        Readiness::Ready => troubles(&app).await,
        Readiness::Starting | Readiness::Draining => Vec::new(),
    };
    let mut body = Ready {
        status: if troubles.is_empty() { word(readiness) } else { "degraded" },
        degraded: Vec::new(),
        config: None,
        config_hash: None,
        reason: None,
    };
    if unproven.is_none() {
        let config = app.parts.control.config();
        let view = |Trouble { part, what }| TroubleView { part, what };
        body.degraded = troubles.into_iter().map(view).collect();
        body.config = Some(config_word(config.stale.as_deref()));
        body.config_hash = Some(config.hash.to_string());
        body.reason = config.stale;
    }
    (status, Json(body)).into_response()
}

/// What is in trouble now, the store first.
async fn troubles(app: &Vitals) -> Vec<Trouble> {
    let store = (!store_works(app).await).then(|| app.parts.truth.lost());
    store.into_iter().chain(app.parts.control.troubles()).collect()
}

/// One probe asks for all that come meanwhile.
async fn store_works(app: &Vitals) -> bool {
    let mut last = app.store.lock().await;
    if let Some((asked, works)) = *last
        && asked.elapsed() < if works { STORE_AGE } else { TROUBLE_AGE }
    {
        return works;
    }
    let asked = tokio::time::timeout(STORE_PATIENCE, app.parts.truth.healthy()).await;
    let works = asked == Ok(true);
    *last = Some((Instant::now(), works));
    works
}

/// Every metric, Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "probes",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<Vitals>) -> Response {
    let gauges = app.parts.truth.gauges();
    let metrics = &app.parts.metrics;
    metrics.hash_pool(gauges.hashes_running, gauges.hashes_waiting);
    metrics.revocations(gauges.revocations);
    if let Some(followed) = app.parts.truth.followed() {
        let Followed { lag, newest, upto, rebuilt, owed } = followed;
        metrics.changes(lag, newest, upto, rebuilt);
        for (source, owed) in owed {
            owed.iter().for_each(|owed| metrics.changes_owed(source, *owed));
        }
    }
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
