//! Accounts: the caller's own, and new ones made by an administrator.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Hop, Param, Sent},
        tmws::wire::{ChangePassword, CreateUser, Message, Refusal, User},
    },
    identity::IdentityError,
    pipeline::Deny,
};

/// The caller's own account; for a key, its owner's.
pub(super) async fn me(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    match app.identity.account(&caller.realm, &caller.subject).await {
        Ok(account) => Ok(Answer::ok(&User::from(account))),
        // The credential outlived its account: it proves nobody any more.
        Err(IdentityError::NotFound) => Err(Refusal::nobody()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn create(
    State(app): State<App>,
    hop: Hop,
    Sent(CreateUser(new)): Sent<CreateUser>,
) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    let account = app.identity.create_account(&caller.realm, new, &hop.actor()).await?;
    Ok(Answer::created(&User::from(account)))
}

pub(super) async fn change_own_password(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<ChangePassword>,
) -> Result<Answer, Refusal> {
    change(&app, &hop, &sent).await
}

pub(super) async fn change_password(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(sent): Sent<ChangePassword>,
) -> Result<Answer, Refusal> {
    // Whoever it is, an administrator too, knows at most the own current password.
    if !hop.caller()?.subject.as_str().eq_ignore_ascii_case(&id) {
        return Err(Refusal::from(&Deny::Forbidden { action: "update".into() }));
    }
    change(&app, &hop, &sent).await
}

async fn change(app: &App, hop: &Hop, sent: &ChangePassword) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    let by = hop.actor();
    app.identity
        .change_password(
            &caller.subject,
            &caller.realm,
            &sent.current,
            &sent.new,
            caller.session.as_ref(),
            &by,
        )
        .await
        .map_err(|error| match error {
            IdentityError::NotFound => Refusal::nobody(),
            other => Refusal::on_password_change(&other),
        })?;
    Ok(Answer::ok(&Message { message: "Password changed" }))
}
