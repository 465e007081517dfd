//! Handlers of tmws: wire to identity and back. No rule lives here except the contract's own about whose object it is.

mod keys;
mod sessions;
#[cfg(test)]
mod tests;
mod users;

use axum::{
    Router,
    routing::{get, post, put},
};

use super::{Tmws, wire::Shape};
use crate::dialects::{App, exchange};

/// The router of one mount.
pub fn router(app: App) -> Router {
    let handlers = Router::new()
        .route("/api/v1/auth/login", post(sessions::login))
        .route("/api/v1/auth/refresh", post(sessions::refresh))
        .route("/api/v1/auth/logout", post(sessions::logout))
        .route("/api/v1/auth/api-keys", post(keys::create).get(keys::list))
        .route("/api/v1/auth/api-keys/current", get(keys::current))
        .route("/api/v1/auth/api-keys/{key_id}/rotate", post(keys::rotate))
        .route("/api/v1/auth/api-keys/{key_id}", axum::routing::delete(keys::revoke))
        .route("/api/v1/users", post(users::create))
        .route("/api/v1/users/me/password", put(users::change_own_password))
        .route("/api/v1/users/{id}/password", put(users::change_password))
        .route("/api/v1/auth/me", get(users::me))
        .route("/api/v1/users/me", get(users::me));
    exchange::complete::<Shape>(&Tmws, app, handlers)
}
