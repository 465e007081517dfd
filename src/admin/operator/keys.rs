//! API keys of every account.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    App,
    ask::{Asked, AtMount, KeysAsked, Sent, limit},
    views::{KeyView, NewKeyView, RotatedView},
};
use crate::{
    admin::problem::Problem,
    identity::{Actor, NewKey},
    model::KeyId,
};

const DAY_SECONDS: u64 = 24 * 60 * 60;
const MAX_EXPIRES_DAYS: u64 = 36_500;
/// A week, as the contract has it for the owner's own rotation.
const MAX_OVERLAP_SECONDS: u64 = 604_800;

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyRequest {
    /// May be left out when there is exactly one.
    mount: Option<String>,
    /// The owner's id, login name or e-mail.
    owner: String,
    name: String,
    description: Option<String>,
    /// Within what the owner's roles hold.
    scopes: Vec<String>,
    /// Left out: no end.
    expires_days: Option<u64>,
    /// Addresses or networks it may be used from; empty: any.
    #[serde(default)]
    allowed_ips: Vec<String>,
    /// Left out: unlimited.
    rate_limit_per_hour: Option<u32>,
}

/// How a key is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the old key stays valid, at most a week.
    #[serde(default)]
    overlap_seconds: u64,
}

/// A part of the keys.
#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    keys: Vec<KeyView>,
    /// `after` of the next part; null when this was the last.
    next: Option<String>,
}

/// Makes a key for an account.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = NewKeyRequest,
    responses((status = 201, body = NewKeyView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Sent(new): Sent<NewKeyRequest>,
) -> Result<(StatusCode, Json<NewKeyView>), Problem> {
    let (mount, realm) = app.mount(new.mount.as_deref())?;
    let lifetime = new.expires_days.map(lifetime).transpose()?;
    let owner = app.account(&realm, &new.owner).await?;
    let new = NewKey {
        name: new.name,
        description: new.description,
        scopes: new.scopes,
        lifetime,
        allowed_ips: new.allowed_ips,
        rate_limit_per_hour: new.rate_limit_per_hour,
    };
    let key = app.parts.identity.create_key(&mount, &owner.id, new, &Actor::operator()).await?;
    Ok((StatusCode::CREATED, Json(key.into())))
}

/// Lists keys, revoked ones included.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", params(KeysAsked),
    responses((status = 200, body = Keys), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Asked(page): Asked<KeysAsked>,
) -> Result<Json<Keys>, Problem> {
    let mount = app.mount_filter(page.mount.as_deref())?;
    let after = page.after.as_deref().map(KeyId::from);
    let limit = limit(page.limit)?;
    let keys = app.parts.identity.keys(mount.as_ref(), after.as_ref(), limit).await?;
    let keys: Vec<_> = keys.into_iter().map(KeyView::from).collect();
    Ok(Json(Keys { next: super::next(&keys, limit, |key| &key.id), keys }))
}

/// Revokes a key; holds for the next request.
#[utoipa::path(post, path = "/v1/keys/{id}/revoke", tag = "keys", params(AtMount, ("id" = String, Path)),
    responses((status = 200, body = KeyView), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(query): Asked<AtMount>,
) -> Result<Json<KeyView>, Problem> {
    let id = KeyId::from(id);
    let mount = app.mount_of_key(query.mount.as_deref(), &id).await?;
    let key = app.parts.identity.revoke_key(&mount, None, &id, &Actor::operator()).await?;
    Ok(Json(key.into()))
}

/// Makes a key's successor; the old one stays valid for the overlap.
#[utoipa::path(post, path = "/v1/keys/{id}/rotate", tag = "keys", params(AtMount, ("id" = String, Path)),
    request_body = Rotation,
    responses((status = 201, body = RotatedView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn rotate(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(query): Asked<AtMount>,
    Sent(rotation): Sent<Rotation>,
) -> Result<(StatusCode, Json<RotatedView>), Problem> {
    if rotation.overlap_seconds > MAX_OVERLAP_SECONDS {
        let message = format!("overlap_seconds must be at most {MAX_OVERLAP_SECONDS}");
        return Err(Problem::field("overlap_seconds", "out_of_range", message));
    }
    let id = KeyId::from(id);
    let mount = app.mount_of_key(query.mount.as_deref(), &id).await?;
    let overlap = Duration::from_secs(rotation.overlap_seconds);
    let by = Actor::operator();
    let rotated = app.parts.identity.rotate_key(&mount, None, &id, overlap, &by).await?;
    Ok((StatusCode::CREATED, Json(rotated.into())))
}

fn lifetime(days: u64) -> Result<Duration, Problem> {
    match days {
        1..=MAX_EXPIRES_DAYS => Ok(Duration::from_secs(days * DAY_SECONDS)),
        _ => {
            let message = format!("expires_days must be 1 to {MAX_EXPIRES_DAYS}");
            Err(Problem::field("expires_days", "out_of_range", message))
        }
    }
}
