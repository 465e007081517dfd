//! Login, refresh, logout.

use axum::extract::State;

use super::App;
use crate::dialects::{
    exchange::{Answer, Hop, Sent},
    tmws::wire::{self, LogIn, LogOut, Refusal},
};

pub(super) async fn login(
    State(app): State<App>,
    hop: Hop,
    Sent(LogIn(login)): Sent<LogIn>,
) -> Result<Answer, Refusal> {
    let granted = app.identity.login(&app.mount, login, &hop.actor()).await?;
    Ok(Answer::ok(&wire::tokens(&granted, true)).about(&granted.account.id))
}

pub(super) async fn refresh(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<wire::Refresh>,
) -> Result<Answer, Refusal> {
    let granted = app.identity.refresh(&app.mount, &sent.refresh_token, &hop.actor()).await?;
    Ok(Answer::ok(&wire::tokens(&granted, false)).about(&granted.account.id))
}

pub(super) async fn logout(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<LogOut>,
) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    app.identity.logout(caller, sent.refresh_token.as_ref(), &hop.actor()).await?;
    Ok(Answer::message("Logged out"))
}
