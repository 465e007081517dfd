//! Handlers of hh: wire to identity and back. No rule lives here.

mod admin;
mod basic;
mod login;
mod sessions;

use axum::{
    Router,
    routing::{delete, get, post},
};

use super::{Hh, wire::Shape};
use crate::dialects::{App, exchange};

/// The router of one mount.
pub fn router(app: App) -> Router {
    let handlers = Router::new()
        .route("/auth/login", get(login::begin))
        .route("/auth/callback", get(login::finish))
        .route("/auth/exchange", post(sessions::exchange))
        .route("/auth/token", post(sessions::token))
        .route("/auth/refresh", post(sessions::refresh))
        .route("/auth/logout", post(sessions::logout))
        .route("/users/me", get(sessions::me))
        .route("/admin/users/allow", post(admin::allow))
        .route("/admin/users", get(admin::list))
        .route("/admin/users/{hh_user_id}", delete(admin::remove))
        .route("/admin/sessions", get(admin::sessions))
        .route("/admin/sessions/{id}", delete(admin::terminate))
        .route("/admin/audit-log", get(admin::events))
        .route("/admin/statistics", get(admin::statistics))
        .route("/admin/whitelist", post(admin::white_allow).get(admin::white_list))
        .route("/admin/whitelist/{hh_user_id}", delete(admin::remove))
        .route("/ping", get(sessions::ping));
    exchange::complete::<Shape>(&Hh, app, handlers)
}
