//! Login, logout, registration, codes by mail. Where the library answers `null`, so do we (trap 7).

use axum::{extract::State, http::StatusCode};

use super::App;
use crate::dialects::{
    bearer::wire::{Address, During, LogIn, Refusal, Register, Reset, Token, User, Verify},
    exchange::{Answer, Hop, Sent},
};

pub(super) async fn login(
    State(app): State<App>,
    hop: Hop,
    Sent(LogIn(login)): Sent<LogIn>,
) -> Result<Answer, Refusal> {
    let granted = app.identity.login(&app.mount, login, &hop.actor()).await;
    let granted = granted.map_err(|error| Refusal::during(During::Login, &error))?;
    Ok(Answer::ok(&Token::from(&granted)).about(&granted.account.id))
}

pub(super) async fn logout(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    app.identity.logout(hop.caller()?, None, &hop.actor()).await?;
    Ok(Answer::no_content())
}

pub(super) async fn register(
    State(app): State<App>,
    hop: Hop,
    Sent(Register(new)): Sent<Register>,
) -> Result<Answer, Refusal> {
    let account = app.identity.register(&app.mount, new, &hop.actor()).await;
    let account = account.map_err(|error| Refusal::during(During::Registration, &error))?;
    let id = account.id.clone();
    Ok(Answer::created(&User::from(account)).about(&id))
}

pub(super) async fn forgot_password(
    State(app): State<App>,
    hop: Hop,
    Sent(Address(email)): Sent<Address>,
) -> Result<Answer, Refusal> {
    app.identity.request_reset(&app.mount, &email, &hop.actor()).await?;
    Ok(Answer::null(StatusCode::ACCEPTED))
}

pub(super) async fn reset_password(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<Reset>,
) -> Result<Answer, Refusal> {
    let by = hop.actor();
    let done = app.identity.reset_password(&app.mount, &sent.proof, &sent.password, &by).await;
    let account = done.map_err(|error| Refusal::during(During::Reset, &error))?;
    Ok(Answer::null(StatusCode::OK).about(&account.id))
}

pub(super) async fn request_verify_token(
    State(app): State<App>,
    hop: Hop,
    Sent(Address(email)): Sent<Address>,
) -> Result<Answer, Refusal> {
    app.identity.request_verification(&app.mount, &email, &hop.actor()).await?;
    Ok(Answer::null(StatusCode::ACCEPTED))
}

pub(super) async fn verify(
    State(app): State<App>,
    hop: Hop,
    Sent(Verify(proof)): Sent<Verify>,
) -> Result<Answer, Refusal> {
    let account = app.identity.verify_email(&app.mount, &proof, &hop.actor()).await;
    let account = account.map_err(|error| Refusal::during(During::Verification, &error))?;
    let id = account.id.clone();
    Ok(Answer::ok(&User::from(account)).about(&id))
}
