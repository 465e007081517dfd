//! The process itself: state, configuration, store, signing keys.

use std::path::Path as FilePath;

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    App, Vitals,
    ask::{Asked, AtMount, Done, Sent},
};
use crate::{
    admin::{
        ReloadOutcome,
        probes::{config_word, word},
        problem::Problem,
    },
    identity::{Actor, IdentityError, issuer_keys},
    model::{MountName, Timestamp},
};

/// State of the process.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// `starting`, `ready`, `draining`.
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    started_at: String,
    /// `current` or `stale`.
    config: &'static str,
    config_hash: String,
    /// Why the last reload was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// `healthy` or `unhealthy`: whether the truth can be asked, in the store or at identity nodes.
    store: &'static str,
}

/// Where a copy of the store goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    /// Absolute path of a file that does not exist yet, as the gateway's own user sees it.
    path: String,
}

/// A key that signs from now on.
#[derive(Serialize, ToSchema)]
pub(super) struct SigningKey {
    mount: String,
    kid: String,
}

/// Whose keys.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeysOf {
    /// Of the contract's own login.
    Login,
    /// Of the standard issuer.
    Issuer,
}

/// Which keys are rotated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRotation {
    /// May be left out when there is exactly one.
    mount: Option<String>,
    of: KeysOf,
}

/// A key that verifies.
#[derive(Serialize, ToSchema)]
pub(super) struct SigningKeyView {
    mount: String,
    of: KeysOf,
    kid: String,
    algorithm: &'static str,
    /// Whether it signs now.
    signs: bool,
    /// Null for one that signs or will sign.
    verifies_until: Option<String>,
}

/// What signs and verifies.
#[derive(Serialize, ToSchema)]
pub(super) struct SigningKeys {
    keys: Vec<SigningKeyView>,
}

/// A configuration just taken over.
#[derive(Serialize, ToSchema)]
pub(super) struct Reloaded {
    config_hash: String,
}

/// State, version, configuration.
#[utoipa::path(get, path = "/v1/status", tag = "process", responses((status = 200, body = Status)))]
pub(super) async fn status(State(app): State<Vitals>) -> Json<Status> {
    let config = app.parts.control.config();
    let store = app.parts.truth.healthy().await;
    Json(Status {
        status: word(app.parts.control.readiness()),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.parts.clock.now().since(app.started).as_secs(),
        started_at: app.started.iso(),
        config: config_word(config.stale.as_deref()),
        config_hash: config.hash.to_string(),
        reason: config.stale,
        store: if store { "healthy" } else { "unhealthy" },
    })
}

/// The effective configuration as TOML, secrets as references.
#[utoipa::path(get, path = "/v1/config/effective", tag = "process",
    responses((status = 200, body = String, content_type = "application/toml")))]
pub(super) async fn effective(State(app): State<Vitals>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/toml; charset=utf-8")];
    (kind, app.parts.control.effective()).into_response()
}

/// Compiles the configuration file and takes it over, or refuses it whole.
#[utoipa::path(post, path = "/v1/reload", tag = "process",
    responses((status = 200, body = Reloaded), (status = 422, body = Problem)))]
pub(super) async fn reload(State(app): State<Vitals>) -> Result<Json<Reloaded>, Problem> {
    match app.parts.control.reload().await {
        ReloadOutcome::Applied { hash } => Ok(Json(Reloaded { config_hash: hash.to_string() })),
        ReloadOutcome::Refused { report } => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "config_refused", report))
        }
    }
}

/// Makes a new signing key for a mount; the old ones verify until their tokens have expired.
#[utoipa::path(post, path = "/v1/signing-keys/{mount}/rotate", tag = "process", params(("mount" = String, Path)),
    responses((status = 201, body = SigningKey), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn rotate_signing_key(
    State(app): State<App>,
    Path(mount): Path<String>,
) -> Result<(StatusCode, Json<SigningKey>), Problem> {
    let (mount, _) = app.mount(Some(&mount))?;
    let kid = rotated(app, mount.clone()).await?;
    Ok((StatusCode::CREATED, Json(SigningKey { mount: mount.to_string(), kid })))
}

/// Makes a new signing key for the standard issuer or the login of a mount; the old ones verify until their tokens have
/// expired. That of an issuer is published for a while before it signs.
#[utoipa::path(post, path = "/v1/signing-keys/rotate", tag = "process", request_body = KeyRotation,
    responses((status = 201, body = SigningKey), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn rotate_signing_keys(
    State(app): State<App>,
    Sent(rotation): Sent<KeyRotation>,
) -> Result<(StatusCode, Json<SigningKey>), Problem> {
    let (mount, _) = app.mount(rotation.mount.as_deref())?;
    let set = match rotation.of {
        KeysOf::Login => mount.clone(),
        KeysOf::Issuer => issuer_keys(&mount),
    };
    let kid = rotated(app, set).await?;
    Ok((StatusCode::CREATED, Json(SigningKey { mount: mount.to_string(), kid })))
}

/// Lists what signs and verifies.
#[utoipa::path(get, path = "/v1/signing-keys", tag = "process", params(AtMount),
    responses((status = 200, body = SigningKeys), (status = 422, body = Problem)))]
pub(super) async fn signing_keys(
    State(app): State<App>,
    Asked(query): Asked<AtMount>,
) -> Result<Json<SigningKeys>, Problem> {
    let named = app.mount_filter(query.mount.as_deref())?;
    let mut keys = Vec::new();
    for (mount, _) in app.parts.shared.mounts() {
        if named.as_ref().is_some_and(|named| *named != mount) {
            continue;
        }
        for (set, facts) in app.parts.identity.key_facts(&mount)? {
            let of = if set == mount { KeysOf::Login } else { KeysOf::Issuer };
            keys.extend(facts.into_iter().map(|key| SigningKeyView {
                mount: mount.to_string(),
                of,
                kid: key.kid.to_string(),
                algorithm: key.algorithm,
                signs: key.signs,
                verifies_until: key.verifies_until.map(Timestamp::iso),
            }));
        }
    }
    Ok(Json(SigningKeys { keys }))
}

/// To the end, also when the caller hangs up: a key that signs but does not verify would log everybody out.
async fn rotated(app: App, set: MountName) -> Result<String, Problem> {
    let rotation = tokio::spawn(async move {
        let kid = app.parts.identity.rotate_signing_key(&set, &Actor::operator()).await?;
        app.parts.control.keys_changed().await;
        app.parts.identity.sign_with_newest(&set).await;
        Ok::<_, IdentityError>(kid)
    });
    Ok(rotation.await.map_err(|_| IdentityError::Internal)??)
}

/// Copies the store to a file while the gateway runs.
#[utoipa::path(post, path = "/v1/store/backup", tag = "process", request_body = Backup,
    responses((status = 200, body = Done), (status = 422, body = Problem)))]
pub(super) async fn backup(
    State(app): State<App>,
    Sent(backup): Sent<Backup>,
) -> Result<Json<Done>, Problem> {
    let path = FilePath::new(&backup.path);
    if !path.is_absolute() {
        // The gateway's working directory is not the operator's.
        return Err(Problem::field("path", "invalid", "path must be absolute"));
    }
    app.parts.identity.backup(path).await?;
    Ok(Json(Done { message: format!("store copied to {}", backup.path) }))
}
