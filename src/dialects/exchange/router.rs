//! The router of one mount: the contract's own handlers, the endpoints that are the same for every contract, and the
//! layer that writes refusals.

use std::{sync::LazyLock, time::Instant};

use axum::{
    Extension, Router,
    http::{StatusCode, header},
    middleware,
    routing::get,
};

use super::{Answer, BodyLimit, Hop, no_route, write, wrong_method};
use crate::{
    dialects::{
        self, App, Dialect, JWKS, Served, health,
        refusal::{ErrorShape, to_json},
    },
    model::{Clock, SystemClock},
};

/// The start of the process, near enough: the first router is made while it starts.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Completes a contract's handlers to the router of a mount. The endpoints that its data says are served for it are
/// added here.
pub fn complete<S: ErrorShape>(
    dialect: &'static dyn Dialect,
    app: App,
    handlers: Router<App>,
) -> Router {
    LazyLock::force(&STARTED);
    let limit = usize::try_from(dialect.defaults().body_limit).unwrap_or(usize::MAX);
    let mut router = handlers.with_state(app.clone());
    for endpoint in dialect.endpoints() {
        let app = app.clone();
        router = match endpoint.served {
            // Those of every contract, below.
            Served::Handler | Served::Keys => router,
            Served::Health => {
                router.route(endpoint.path, get(move |hop: Hop| answer_health(dialect, app, hop)))
            }
            Served::Metrics => router.route(endpoint.path, get(async move || answer_metrics(&app))),
        };
    }
    router
        .route(JWKS.path, get(async move || answer_keys(&app)))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(BodyLimit(limit)))
        .layer(middleware::from_fn(write::<S>))
}

async fn answer_health(dialect: &'static dyn Dialect, app: App, hop: Hop) -> Answer {
    let facts = health::HealthFacts {
        store_answers: app.identity.healthy().await,
        now: SystemClock.now(),
        uptime: STARTED.elapsed(),
    };
    let others = hop.0.joined.iter().filter_map(|name| dialects::find(name));
    let others = others.map(|found| found.dialect);
    let body = health::union(dialect, others, &facts);
    let status = if facts.store_answers { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer::new(status, &body)
}

/// Whoever verifies our tokens may keep it for a while: a new key is published before it signs, and old ones stay until
/// their last token has expired.
fn answer_keys(app: &App) -> Answer {
    let keys = to_json(&app.identity.jwks(&app.mount));
    Answer::of(StatusCode::OK, "application/jwk-set+json", keys)
        .with(header::CACHE_CONTROL, "public, max-age=300")
}

fn answer_metrics(app: &App) -> Answer {
    const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";
    Answer::of(StatusCode::OK, KIND, (app.figures)(&app.mount))
        .with(header::CACHE_CONTROL, "no-store")
}
