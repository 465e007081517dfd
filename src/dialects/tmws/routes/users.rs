//! Accounts: the caller's own, and new ones made by an administrator.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Hop, Param, Sent},
        tmws::wire::{ChangePassword, CreateUser, Refusal, User},
    },
    pipeline::Deny,
};

/// The caller's own account; for a key, its owner's.
pub(super) async fn me(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let account = app.identity.account_of(hop.caller()?).await?;
    Ok(Answer::ok(&User::from(account)))
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
        return Err(Refusal::from(&Deny::forbidden("update")));
    }
    change(&app, &hop, &sent).await
}

async fn change(app: &App, hop: &Hop, sent: &ChangePassword) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let changed = app.identity.change_password(caller, &sent.current, &sent.new, &by).await;
    changed.map_err(|error| Refusal::on_password_change(&error))?;
    Ok(Answer::message("Password changed"))
}
