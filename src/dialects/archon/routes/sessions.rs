//! Login, refresh, logout, and the caller's sessions.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
};
use serde_json::{Value, json};

use super::{App, cookie, talk::Talk};
use crate::{
    dialects::{
        archon::wire::{self, LogIn, Refresh, Refusal, plain_session_id},
        exchange::{Answer, Param, Sent},
    },
    identity::{IdentityError, Spared},
    pipeline::Deny,
};

/// A refused login is answered late (contract, "Errors"). Only this request waits: no thread, no place to hash.
const DELAY: Duration = Duration::from_millis(500);
/// Most sessions shown.
const MOST_SESSIONS: u32 = 200;

pub(super) async fn login(
    State(app): State<App>,
    talk: Talk,
    Sent(sent): Sent<LogIn>,
) -> Result<Answer, Refusal> {
    let talk = talk.written_in(sent.snake);
    let (remember, name) = (sent.login.remember, sent.login.name.clone());
    let granted = match app.identity.login(&app.mount, sent.login, &talk.actor()).await {
        Ok(granted) => granted,
        Err(error @ (IdentityError::InvalidCredentials | IdentityError::Disabled)) => {
            tokio::time::sleep(DELAY).await;
            let left = app.identity.attempts_left(&app.mount, &name).await?;
            return Err(Refusal::from(error).telling(left));
        }
        Err(error) => {
            if matches!(error, IdentityError::Locked { by_this: true, .. }) {
                tokio::time::sleep(DELAY).await;
            }
            return Err(error.into());
        }
    };
    let answer = talk.timed(wire::login(&granted, talk.snake)).about(&granted.account.id);
    let token = granted.refresh_token.as_ref();
    Ok(with_cookie(answer, token.and_then(|text| cookie::set(text, remember, app.secure_cookies))))
}

pub(super) async fn refresh(
    State(app): State<App>,
    talk: Talk,
    headers: HeaderMap,
    Sent(Refresh(sent)): Sent<Refresh>,
) -> Result<Answer, Refusal> {
    // Neither in the body nor in the cookie: 400, because a 401 would make one of the SDKs try without end.
    let missing = || Refusal::field("refresh_token", "Field required");
    let token = sent.or_else(|| cookie::read(&headers)).ok_or_else(missing)?;
    let granted = app.identity.refresh(&app.mount, &token, &talk.actor()).await;
    let granted = granted.map_err(Refusal::at_refresh)?;
    Ok(talk.ok(wire::refreshed(&granted)).about(&granted.account.id))
}

pub(super) async fn logout(State(app): State<App>, talk: Talk) -> Result<Answer, Refusal> {
    app.identity.logout(talk.caller()?, None, &talk.actor()).await?;
    let answer = talk.ok(wire::message("Logged out"));
    Ok(with_cookie(answer, cookie::clear(app.secure_cookies)))
}

pub(super) async fn list(State(app): State<App>, talk: Talk) -> Result<Answer, Refusal> {
    let caller = talk.caller()?;
    let (realm, account) = (Some(&caller.realm), Some(&caller.subject));
    let found = app.identity.sessions(realm, account, MOST_SESSIONS).await?;
    // A realm may be shared: sessions of other contracts are not this one's to show.
    let own = found.iter().filter(|session| session.mount == app.mount);
    Ok(talk.ok(own.map(wire::session).collect::<Value>()))
}

pub(super) async fn end(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let caller = talk.caller()?;
    let id = plain_session_id(&id);
    let ended = app.identity.end_own_session(&caller.subject, &id, &talk.actor()).await;
    ended.map_err(Refusal::missing_as("Session not found", Some("SESSION_NOT_FOUND")))?;
    Ok(talk.ok(wire::message("Session ended")))
}

pub(super) async fn end_others(State(app): State<App>, talk: Talk) -> Result<Answer, Refusal> {
    let caller = talk.caller()?;
    let session = caller.session.as_ref().ok_or(Deny::MissingCredential)?;
    let spare = Spared { session, mount: &caller.mount, realm: &caller.realm };
    let count = app.identity.end_other_sessions(&caller.subject, spare, &talk.actor()).await?;
    Ok(talk.ok(json!({ "message": "Other sessions ended", "count": count })))
}

fn with_cookie(answer: Answer, cookie: Option<HeaderValue>) -> Answer {
    match cookie {
        Some(field) => answer.adding(header::SET_COOKIE, field),
        None => answer,
    }
}
