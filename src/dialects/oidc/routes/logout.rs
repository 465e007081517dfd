//! The end of a session, here or there.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use serde_json::json;

use super::{on, session_cookie, wants_page};
use crate::{
    dialects::{
        App, cookies,
        exchange::{Answer, Hop, Sent},
        oidc::wire::{LogoutForm, Refusal},
    },
    pipeline::{Deny, deny::Lack, landing},
};

/// Logs a browser out here, and sends it to the provider so that it logs out there as well. Only for pages of our own: nobody
/// else shall log people out.
pub(super) async fn here(
    State(app): State<App>,
    hop: Hop,
    headers: HeaderMap,
) -> Result<Answer, Refusal> {
    let oidc = app.identity.oidc(&app.mount)?;
    if !landing::is_from_own_page(&headers, &oidc.origin) {
        return Err(Deny::forbidden("same-site").because(Lack::of("same-site")).into());
    }
    let secret = cookies::read(&headers, &oidc.cookie);
    let next = app.identity.log_out_oidc(&app.mount, secret.as_ref(), &hop.actor()).await?;
    let answer = match wants_page(&headers) {
        true => on(&next)?,
        false => Answer::ok(&json!({ "next": next })).with(header::CACHE_CONTROL, "no-store"),
    };
    let gone = session_cookie(&oidc, "").cleared().set().ok_or(Deny::Internal)?;
    Ok(answer.adding(header::SET_COOKIE, gone))
}

/// The provider says that somebody has logged out there (Back-Channel Logout 1.0 section 2.5).
pub(super) async fn by_provider(
    State(app): State<App>,
    hop: Hop,
    Sent(form): Sent<LogoutForm>,
) -> Result<Answer, Refusal> {
    app.identity.provider_logged_out(&app.mount, &form.token, &hop.actor()).await?;
    Ok(Answer::of(StatusCode::OK, "application/json", "{}").with(header::CACHE_CONTROL, "no-store"))
}
