//! Login, refresh, logout.

use axum::extract::State;

use super::App;
use crate::dialects::{
    exchange::{Answer, Asked, Hop, Rejected, Sent},
    fields::Detail,
    inkpass::wire::{LogIn, RefreshBody, RefreshQuery, Refusal, Tokens},
};

pub(super) async fn login(
    State(app): State<App>,
    hop: Hop,
    Sent(LogIn(login)): Sent<LogIn>,
) -> Result<Answer, Refusal> {
    let granted = app.identity.login(&app.mount, login, &hop.actor()).await?;
    Ok(Answer::ok(&Tokens::from(&granted)).about(&granted.account.id))
}

pub(super) async fn refresh(
    State(app): State<App>,
    hop: Hop,
    Asked(RefreshQuery(in_query)): Asked<RefreshQuery>,
    Sent(RefreshBody(in_body)): Sent<RefreshBody>,
) -> Result<Answer, Refusal> {
    let Some(token) = in_query.or(in_body) else {
        let missing =
            Detail::at(&["query".to_owned()], "refresh_token", "missing", "Field required");
        return Err(Rejected::Invalid(vec![missing]).into());
    };
    let granted = app.identity.refresh(&app.mount, &token, &hop.actor()).await;
    let granted = granted.map_err(Refusal::at_refresh)?;
    Ok(Answer::ok(&Tokens::from(&granted)).about(&granted.account.id))
}

pub(super) async fn logout(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    app.identity.logout(caller, None, &hop.actor()).await?;
    Ok(Answer::message("Logged out successfully"))
}
