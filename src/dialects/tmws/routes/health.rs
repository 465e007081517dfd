//! Public health: whether the store answers, and nothing an attacker could use.

use axum::{extract::State, http::StatusCode};

use super::App;
use crate::dialects::{exchange::Answer, tmws::wire::Health};

pub(super) async fn health(State(app): State<App>) -> Answer {
    let answers = app.identity.healthy().await;
    let status = if answers { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer::new(status, &Health::new(answers, app.now()))
}
