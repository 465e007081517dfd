//! Clients of the standard issuers.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    App,
    ask::{Asked, AtMount, ClientsAsked, Sent, limit},
    views::{ClientView, NewClientView},
};
use crate::{
    admin::problem::Problem,
    identity::{Actor, IdentityError, NewClient},
    model::{ClientId, MountName},
};

const DAY_SECONDS: u64 = 24 * 60 * 60;
const MAX_EXPIRES_DAYS: u64 = 36_500;

/// A new client.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewClientRequest {
    /// May be left out when there is exactly one.
    mount: Option<String>,
    name: String,
    /// `client_credentials`, `authorization_code`, `refresh_token`, `token_exchange`, `introspection`.
    grants: Vec<String>,
    /// Scopes it may have.
    #[serde(default)]
    scopes: Vec<String>,
    /// Roles of the realm that it has where it acts for itself.
    #[serde(default)]
    roles: Vec<String>,
    /// Resources beside the mount's own that it may have tokens for.
    #[serde(default)]
    resources: Vec<String>,
    /// Where browsers may be sent back to, compared exactly.
    #[serde(default)]
    redirect_uris: Vec<String>,
    /// Its public keys as a JWK set; then it has no secret and proves itself by signatures.
    jwks: Option<Value>,
    /// Left out: no end.
    expires_days: Option<u64>,
}

/// How a secret is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the old secret stays good, at most a week.
    #[serde(default)]
    overlap_seconds: u64,
}

/// A part of the clients.
#[derive(Serialize, ToSchema)]
pub(super) struct Clients {
    clients: Vec<ClientView>,
    /// `after` of the next part; null when this was the last.
    next: Option<String>,
}

/// Makes a client; its secret is shown this once.
#[utoipa::path(post, path = "/v1/clients", tag = "clients", request_body = NewClientRequest,
    responses((status = 201, body = NewClientView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Sent(new): Sent<NewClientRequest>,
) -> Result<(StatusCode, Json<NewClientView>), Problem> {
    let (mount, _) = app.mount(new.mount.as_deref())?;
    if new.expires_days.is_some_and(|days| !(1..=MAX_EXPIRES_DAYS).contains(&days)) {
        let message = format!("expires_days must be 1 to {MAX_EXPIRES_DAYS}");
        return Err(Problem::field("expires_days", "out_of_range", message));
    }
    let new = NewClient {
        name: new.name,
        scopes: new.scopes,
        roles: new.roles,
        grants: new.grants,
        resources: new.resources,
        redirect_uris: new.redirect_uris,
        jwks: new.jwks,
        lifetime: new.expires_days.map(|days| Duration::from_secs(days * DAY_SECONDS)),
    };
    let made = app.parts.identity.create_client(&mount, new, &Actor::operator()).await;
    Ok((StatusCode::CREATED, Json(made.map_err(|error| without_issuer(&mount, error))?.into())))
}

/// Lists clients, disabled ones included.
#[utoipa::path(get, path = "/v1/clients", tag = "clients", params(ClientsAsked),
    responses((status = 200, body = Clients), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Asked(page): Asked<ClientsAsked>,
) -> Result<Json<Clients>, Problem> {
    let mount = app.mount_filter(page.mount.as_deref())?;
    let after = page.after.as_deref().map(ClientId::from);
    let limit = limit(page.limit)?;
    let found = app.parts.identity.clients(mount.as_ref(), after.as_ref(), limit).await?;
    let clients: Vec<_> = found.into_iter().map(ClientView::from).collect();
    Ok(Json(Clients { next: super::next(&clients, limit, |client| &client.id), clients }))
}

/// Gives a client another secret; the old one stays good for the overlap.
#[utoipa::path(post, path = "/v1/clients/{id}/rotate-secret", tag = "clients",
    params(AtMount, ("id" = String, Path)), request_body = Rotation,
    responses((status = 201, body = NewClientView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn rotate_secret(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(query): Asked<AtMount>,
    Sent(rotation): Sent<Rotation>,
) -> Result<(StatusCode, Json<NewClientView>), Problem> {
    let (mount, id) = found(&app, &query, id).await?;
    let overlap = Duration::from_secs(rotation.overlap_seconds);
    let by = Actor::operator();
    let made = app.parts.identity.rotate_client_secret(&mount, &id, overlap, &by).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Disables a client: its tokens and logins end at the next request.
#[utoipa::path(post, path = "/v1/clients/{id}/disable", tag = "clients",
    params(AtMount, ("id" = String, Path)),
    responses((status = 200, body = ClientView), (status = 404, body = Problem)))]
pub(super) async fn disable(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(query): Asked<AtMount>,
) -> Result<Json<ClientView>, Problem> {
    let (mount, id) = found(&app, &query, id).await?;
    let client = app.parts.identity.disable_client(&mount, &id, &Actor::operator()).await?;
    Ok(Json(client.into()))
}

/// Lets a disabled client come back; what ended stays ended.
#[utoipa::path(post, path = "/v1/clients/{id}/enable", tag = "clients",
    params(AtMount, ("id" = String, Path)),
    responses((status = 200, body = ClientView), (status = 404, body = Problem)))]
pub(super) async fn enable(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(query): Asked<AtMount>,
) -> Result<Json<ClientView>, Problem> {
    let (mount, id) = found(&app, &query, id).await?;
    let client = app.parts.identity.enable_client(&mount, &id, &Actor::operator()).await?;
    Ok(Json(client.into()))
}

/// Takes a client away: its tokens and logins end at the next request.
#[utoipa::path(delete, path = "/v1/clients/{id}", tag = "clients", params(AtMount, ("id" = String, Path)),
    responses((status = 200, body = ClientView), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(query): Asked<AtMount>,
) -> Result<Json<ClientView>, Problem> {
    let (mount, id) = found(&app, &query, id).await?;
    let client = app.parts.identity.remove_client(&mount, &id, &Actor::operator()).await?;
    Ok(Json(client.into()))
}

/// A client with the mount it belongs to: the named one, or the one that knows it.
async fn found(app: &App, at: &AtMount, id: String) -> Result<(MountName, ClientId), Problem> {
    let (named, id) = (app.mount_filter(at.mount.as_deref())?, ClientId::from(id));
    for (mount, _) in app.parts.shared.mounts() {
        if named.as_ref().is_some_and(|named| *named != mount) {
            continue;
        }
        match app.parts.identity.client(&mount, &id).await {
            Ok(_) => return Ok((mount, id)),
            Err(IdentityError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let what = format!("no mount has a client {id}");
    Err(Problem::new(StatusCode::NOT_FOUND, "not_found", what))
}

fn without_issuer(mount: &MountName, error: IdentityError) -> Problem {
    match error {
        IdentityError::NotFound => {
            let what = format!("mount {mount} has no [mount.authorization_server]");
            Problem::new(StatusCode::NOT_FOUND, "not_found", what)
        }
        other => other.into(),
    }
}
