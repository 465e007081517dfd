//! What tokens are worth, and their end.

use axum::extract::State;
use http::{HeaderMap, StatusCode, header};

use super::proven;
use crate::dialects::{
    App,
    exchange::{Answer, Hop, Sent},
    oauth::wire::{Posted, Refusal},
};

pub(super) async fn introspect(
    State(app): State<App>,
    hop: Hop,
    headers: HeaderMap,
    Sent(body): Sent<Posted>,
) -> Result<Answer, Refusal> {
    let client = proven(&app, &headers, &hop, body.client).await?;
    let told = app.identity.introspect(&app.mount, &client, &body.token).await?;
    Ok(Answer::ok(&told).with(header::CACHE_CONTROL, "no-store"))
}

/// RFC 7009 section 2.2: also what is no token is answered with 200.
pub(super) async fn revoke(
    State(app): State<App>,
    hop: Hop,
    headers: HeaderMap,
    Sent(body): Sent<Posted>,
) -> Result<Answer, Refusal> {
    let client = proven(&app, &headers, &hop, body.client).await?;
    app.identity.revoke_issued(&app.mount, &client, &body.token, &hop.actor()).await?;
    Ok(Answer::new(StatusCode::OK, &serde_json::json!({})))
}
