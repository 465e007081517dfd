//! What the holder of an exchange code or of a session may ask.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Asked, Hop, Sent},
        hh::wire::{BySession, Exchange, Opened, Ping, Profile, Refusal, SessionQuery, Token},
    },
    identity::{ForeignFault, IdentityError},
};

pub(super) async fn exchange(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<Exchange>,
) -> Result<Answer, Refusal> {
    let opened = app.identity.exchange(&app.mount, &sent.code, &hop.actor()).await?;
    Ok(Answer::ok(&Opened::from(opened)))
}

pub(super) async fn token(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<BySession>,
) -> Result<Answer, Refusal> {
    of_provider(&app, &hop, &sent, false).await
}

pub(super) async fn refresh(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<BySession>,
) -> Result<Answer, Refusal> {
    of_provider(&app, &hop, &sent, true).await
}

async fn of_provider(
    app: &App,
    hop: &Hop,
    sent: &BySession,
    force: bool,
) -> Result<Answer, Refusal> {
    let (identity, by) = (&app.identity, hop.actor());
    let token = identity.provider_token(&app.mount, &sent.session, force, &by).await?;
    Ok(Answer::ok(&Token::from(token)))
}

pub(super) async fn logout(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<BySession>,
) -> Result<Answer, Refusal> {
    app.identity.log_out_session(&app.mount, &sent.session, &hop.actor()).await?;
    Ok(Answer::message("Logout successful"))
}

pub(super) async fn me(
    State(app): State<App>,
    hop: Hop,
    Asked(asked): Asked<SessionQuery>,
) -> Result<Answer, Refusal> {
    const NONE: IdentityError = IdentityError::Foreign(ForeignFault::Session);
    // Where the endpoint is protected, the edge has proven the session of the cookie or header already.
    let person = match &hop.0.principal {
        Some(caller) => {
            let session = caller.session.as_ref().ok_or(NONE)?;
            app.identity.person_of(&app.mount, session).await
        }
        None => app.identity.person(&app.mount, &asked.session.ok_or(NONE)?).await,
    };
    let person = person.map_err(Refusal::missing("User not found"))?;
    Ok(Answer::ok(&Profile::from(person)))
}

pub(super) async fn ping() -> Answer {
    Answer::ok(&Ping { ping: "pong" })
}
