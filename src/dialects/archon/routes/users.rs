//! The caller's own account, and what strangers may do: register, prove an address, set a forgotten password anew.

use axum::extract::State;
use serde_json::json;

use super::{App, talk::Talk};
use crate::dialects::{
    archon::wire::{self, ChangePassword, Confirm, Email, Profile, Refusal, Register, Token},
    exchange::{Answer, Sent},
};

pub(super) async fn register(
    State(app): State<App>,
    talk: Talk,
    Sent(Register(request)): Sent<Register>,
) -> Result<Answer, Refusal> {
    let account = app.identity.register(&app.mount, request, &talk.actor()).await?;
    let answer = talk.created(json!({
        "user_id": account.id.as_str(),
        "email": account.email,
        "email_verification_sent": true,
    }));
    Ok(answer.about(&account.id))
}

pub(super) async fn verify_email(
    State(app): State<App>,
    talk: Talk,
    Sent(Token(proof)): Sent<Token>,
) -> Result<Answer, Refusal> {
    let account = app.identity.verify_email(&app.mount, &proof, &talk.actor()).await?;
    Ok(talk.ok(wire::message("E-mail address verified")).about(&account.id))
}

pub(super) async fn resend_verification(
    State(app): State<App>,
    talk: Talk,
    Sent(Email(email)): Sent<Email>,
) -> Result<Answer, Refusal> {
    app.identity.request_verification(&app.mount, &email, &talk.actor()).await?;
    Ok(talk.ok(wire::message("If the address needs to be verified, a letter is on its way")))
}

pub(super) async fn ask_reset(
    State(app): State<App>,
    talk: Talk,
    Sent(Email(email)): Sent<Email>,
) -> Result<Answer, Refusal> {
    app.identity.request_reset(&app.mount, &email, &talk.actor()).await?;
    Ok(talk.ok(wire::message("If there is such an account, a letter is on its way")))
}

pub(super) async fn reset(
    State(app): State<App>,
    talk: Talk,
    Sent(sent): Sent<Confirm>,
) -> Result<Answer, Refusal> {
    let by = talk.actor();
    let done = app.identity.reset_password(&app.mount, &sent.proof, &sent.new, &by).await;
    let account = done.map_err(Refusal::on_new_password)?;
    Ok(talk.ok(wire::message("Password changed")).about(&account.id))
}

pub(super) async fn me(State(app): State<App>, talk: Talk) -> Result<Answer, Refusal> {
    let account = app.identity.account_of(talk.caller()?).await?;
    Ok(talk.ok(wire::user(&account, talk.snake)))
}

pub(super) async fn change(
    State(app): State<App>,
    talk: Talk,
    Sent(Profile(changes)): Sent<Profile>,
) -> Result<Answer, Refusal> {
    let account = app.identity.change_own(talk.caller()?, changes, &talk.actor()).await?;
    Ok(talk.ok(wire::user(&account, talk.snake)))
}

pub(super) async fn change_password(
    State(app): State<App>,
    talk: Talk,
    Sent(sent): Sent<ChangePassword>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (talk.caller()?, talk.actor());
    let done = app.identity.change_password(caller, &sent.current, &sent.new, &by).await;
    done.map_err(Refusal::on_new_password)?;
    Ok(talk.ok(wire::message("Password changed")))
}
