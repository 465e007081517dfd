//! Keys of issuers outside: what is known of them, and fetching them now.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Vitals, ask::Done};
use crate::{admin::problem::Problem, issuer::KeyState, model::Timestamp};

/// The keys of every issuer that is asked for them.
#[derive(Serialize, ToSchema)]
pub(super) struct IssuerList {
    issuers: Vec<IssuerView>,
}

/// The keys of one.
#[derive(Serialize, ToSchema)]
struct IssuerView {
    name: String,
    issuer: String,
    url: String,
    /// `fresh`, `stale`, `too_old` or `none`.
    state: &'static str,
    keys: Vec<KeyView>,
    /// Keys of the set that are not used.
    passed_over: usize,
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
    next_in_seconds: u64,
    /// Why the last fetch brought nothing.
    error: Option<String>,
}

/// One key.
#[derive(Serialize, ToSchema)]
struct KeyView {
    kid: String,
    alg: &'static str,
}

impl From<KeyState> for IssuerView {
    fn from(found: KeyState) -> Self {
        let view =
            |(kid, alg): (std::sync::Arc<str>, &'static str)| KeyView { kid: kid.to_string(), alg };
        Self {
            name: found.name.to_string(),
            issuer: found.issuer.to_string(),
            url: found.url,
            state: found.state,
            keys: found.keys.into_iter().map(view).collect(),
            passed_over: found.passed_over,
            fetched_at: found.fetched_at.map(Timestamp::iso),
            age_seconds: found.age.map(|age| age.as_secs()),
            next_in_seconds: found.next_in.as_secs(),
            error: found.fault,
        }
    }
}

/// Issuers whose keys are fetched, with the keys in hand.
#[utoipa::path(get, path = "/v1/issuers", tag = "issuers", responses((status = 200, body = IssuerList)))]
pub(super) async fn list(State(app): State<Vitals>) -> Json<IssuerList> {
    let issuers = app.parts.control.issuer_keys();
    Json(IssuerList { issuers: issuers.into_iter().map(IssuerView::from).collect() })
}

/// Fetches the keys of an issuer now.
#[utoipa::path(post, path = "/v1/issuers/{name}/refresh", tag = "issuers", params(("name" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 502, body = Problem)))]
pub(super) async fn refresh(
    State(app): State<Vitals>,
    Path(name): Path<String>,
) -> Result<Json<Done>, Problem> {
    match app.parts.control.refresh_issuer_keys(&name).await {
        Some(Ok(())) => Ok(Json(Done { message: format!("keys of {name} fetched") })),
        Some(Err(why)) => Err(Problem::new(
            StatusCode::BAD_GATEWAY,
            "issuer_unavailable",
            format!("{name}: {why}"),
        )),
        None => {
            let detail = format!("no issuer \"{name}\" is asked for keys");
            Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail))
        }
    }
}
