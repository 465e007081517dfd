//! Handlers of archon: wire to identity and back.

mod admin;
mod agents;
mod cookie;
mod sessions;
mod talk;
mod users;
mod webhooks;

use axum::{
    Router,
    routing::{get, post, put},
};

use super::{Archon, wire::Shape};
use crate::dialects::{App, exchange};

/// The router of one mount.
pub fn router(app: App) -> Router {
    let handlers = Router::new()
        .route("/auth/login", post(sessions::login))
        .route("/auth/register", post(users::register))
        .route("/auth/refresh", post(sessions::refresh))
        .route("/auth/logout", post(sessions::logout))
        .route("/auth/agents/authenticate", post(agents::authenticate))
        .route("/auth/agents/validate", post(agents::validate))
        .route("/auth/verify-email", post(users::verify_email))
        .route("/auth/resend-verification", post(users::resend_verification))
        .route("/auth/password-reset", post(users::ask_reset))
        .route("/auth/password-reset/confirm", post(users::reset))
        .route("/users/me", get(users::me).put(users::change))
        .route("/users/me/password", put(users::change_password))
        .route("/users/me/sessions", get(sessions::list).delete(sessions::end_others))
        .route("/users/me/sessions/{session_id}", axum::routing::delete(sessions::end))
        .route("/admin/users", get(admin::list))
        .route("/admin/users/{user_id}", get(admin::get).put(admin::change).delete(admin::remove))
        .route("/webhooks", post(webhooks::create).get(webhooks::list))
        .route(
            "/webhooks/{webhook_id}",
            get(webhooks::get).put(webhooks::change).delete(webhooks::remove),
        )
        .route("/webhooks/{webhook_id}/test", post(webhooks::test))
        .route("/webhooks/{webhook_id}/deliveries", get(webhooks::deliveries))
        .route(
            "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
            post(webhooks::redeliver),
        );
    exchange::complete::<Shape>(&Archon, app, handlers)
}
