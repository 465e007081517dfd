//! Access tokens of agents and of the standard issuer: what lives, and the end of one.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    App,
    ask::{Asked, Done, SessionsAsked, limit},
    sessions,
    views::TokenView,
};
use crate::{admin::problem::Problem, identity::Actor, model::TokenId};

/// Live tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    tokens: Vec<TokenView>,
    /// Whether there are more than were asked for.
    more: bool,
}

/// Lists live tokens of agents and of the standard issuer, of one user if asked. Tokens of logins end with their session.
#[utoipa::path(get, path = "/v1/tokens", tag = "sessions", params(SessionsAsked),
    responses((status = 200, body = Tokens), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Asked(page): Asked<SessionsAsked>,
) -> Result<Json<Tokens>, Problem> {
    let limit = limit(page.limit)?;
    let (realm, account) = sessions::whose(&app, &page).await?;
    // One beyond the limit tells whether there are more.
    let found = app.parts.identity.live_tokens(realm.as_ref(), account.as_ref(), limit + 1).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > most;
    Ok(Json(Tokens { tokens: found.into_iter().take(most).map(TokenView::from).collect(), more }))
}

/// Revokes a token, and all that were made from it.
#[utoipa::path(post, path = "/v1/tokens/{id}/revoke", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Done>, Problem> {
    app.parts.identity.end_live_token(&TokenId::new(id.as_str()), &Actor::operator()).await?;
    Ok(Json(Done { message: format!("token {id} revoked") }))
}
