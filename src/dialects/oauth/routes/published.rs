//! What everybody may read.

use axum::extract::State;
use http::{StatusCode, header};

use crate::{
    dialects::{
        App, ResourceFacts,
        exchange::Answer,
        oauth::wire::{self, Refusal},
        refusal::to_json,
    },
    identity::issuer_keys,
};

/// May be kept for a while: a new key is published before it signs.
const KEPT: &str = "public, max-age=300";

pub(super) async fn server(State(app): State<App>) -> Result<Answer, Refusal> {
    let own = app.identity.authorization_server(&app.mount)?;
    Ok(Answer::ok(&wire::server(&own)).with(header::CACHE_CONTROL, KEPT))
}

pub(super) async fn keys(State(app): State<App>) -> Answer {
    let keys = to_json(&app.identity.jwks(&issuer_keys(&app.mount)));
    Answer::of(StatusCode::OK, "application/jwk-set+json", keys).with(header::CACHE_CONTROL, KEPT)
}

pub(super) fn resource(about: &ResourceFacts) -> Answer {
    Answer::ok(&wire::resource(about)).with(header::CACHE_CONTROL, KEPT)
}
