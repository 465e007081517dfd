//! Handlers of inkpass: wire to identity and back. No rule lives here.

mod accounts;
mod factor;
mod groups;
mod keys;
mod organizations;
mod permissions;
mod qr;
mod sessions;
mod users;

use axum::{
    Router,
    routing::{delete, get, patch, post},
};

use super::{Inkpass, wire::Shape};
use crate::dialects::{App, exchange};

/// The router of one mount.
pub fn router(app: App) -> Router {
    let handlers = own_account().merge(within_organisation()).merge(of_organisation());
    exchange::complete::<Shape>(&Inkpass, app, handlers)
}

fn own_account() -> Router<App> {
    Router::new()
        .route("/api/v1/auth/register", post(accounts::register))
        .route("/api/v1/auth/login", post(sessions::login))
        .route("/api/v1/auth/refresh", post(sessions::refresh))
        .route("/api/v1/auth/logout", post(sessions::logout))
        .route("/api/v1/auth/me", get(accounts::me))
        .route("/api/v1/auth/check", post(permissions::check))
        .route("/api/v1/auth/api-key/validate", get(accounts::me))
        .route("/api/v1/auth/verify-email", post(accounts::verify_email))
        .route("/api/v1/auth/resend-verification", post(accounts::resend_verification))
        .route("/api/v1/auth/forgot-password", post(accounts::forgot_password))
        .route("/api/v1/auth/reset-password", post(accounts::reset_password))
        .route("/api/v1/auth/profile", patch(accounts::change_profile))
        .route("/api/v1/auth/2fa/setup", post(factor::setup))
        .route("/api/v1/auth/2fa/enable", post(factor::enable))
        .route("/api/v1/auth/2fa/verify", post(factor::verify))
        .route("/api/v1/auth/2fa/disable", post(factor::disable))
        .route("/api/v1/auth/2fa/backup-codes", post(factor::backup_codes))
}

fn within_organisation() -> Router<App> {
    Router::new()
        .route("/api/v1/permissions", get(permissions::list).post(permissions::create))
        .route("/api/v1/permissions/check", post(permissions::check_own))
        .route("/api/v1/permissions/{id}", patch(permissions::change).delete(permissions::remove))
        .route("/api/v1/permissions/{id}/assign", post(permissions::assign))
        .route("/api/v1/permissions/{id}/groups", post(permissions::assign))
        .route("/api/v1/groups", get(groups::list).post(groups::create))
        .route("/api/v1/groups/{id}", patch(groups::change).delete(groups::remove))
        .route("/api/v1/groups/{id}/members/{user_id}", post(groups::join).delete(groups::leave))
        .route("/api/v1/groups/{id}/users", post(groups::join_named))
}

fn of_organisation() -> Router<App> {
    Router::new()
        .route("/api/v1/api-keys", get(keys::list).post(keys::create))
        .route("/api/v1/api-keys/{id}", delete(keys::revoke).patch(keys::change))
        .route("/api/v1/api-keys/{id}/usage", get(keys::usage))
        .route("/api/v1/users", get(users::list).post(users::create))
        .route("/api/v1/users/{id}", get(users::one).patch(users::change).delete(users::remove))
        .route("/api/v1/users/{id}/permissions", get(users::permissions))
        .route("/api/v1/organizations", get(organizations::list))
        .route("/api/v1/organizations/{id}", get(organizations::one))
        .route("/api/v1/organizations/{id}/members", get(organizations::members))
}
