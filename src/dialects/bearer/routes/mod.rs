//! Handlers of bearer: wire to identity and back.

mod auth;
mod users;

use axum::{
    Router,
    routing::{get, post},
};

use super::{Bearer, wire::Shape};
use crate::dialects::{App, exchange};

/// The router of one mount.
pub fn router(app: App) -> Router {
    let handlers = Router::new()
        .route("/auth/jwt/login", post(auth::login))
        .route("/auth/jwt/logout", post(auth::logout))
        .route("/auth/register", post(auth::register))
        .route("/auth/forgot-password", post(auth::forgot_password))
        .route("/auth/reset-password", post(auth::reset_password))
        .route("/auth/request-verify-token", post(auth::request_verify_token))
        .route("/auth/verify", post(auth::verify))
        .route("/users/me", get(users::me).patch(users::change_me))
        .route("/users/{id}", get(users::one).patch(users::change).delete(users::remove));
    exchange::complete::<Shape>(&Bearer, app, handlers)
}
