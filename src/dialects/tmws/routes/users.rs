//! Accounts: the caller's own, and new ones made by an administrator.

use axum::extract::State;

use super::{
    App,
    exchange::{Answer, Hop, Param, Sent},
};
use crate::{
    dialects::tmws::{
        defaults::ROLES,
        wire::{ChangePassword, CreateUser, Message, Refusal, User},
    },
    identity::IdentityError,
    model::Principal,
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
    Sent(CreateUser(mut new)): Sent<CreateUser>,
) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    if let Some(roles) = &mut new.roles {
        roles.iter_mut().for_each(contract_spelling);
        if !roles.iter().all(|role| may_give(caller, role)) {
            return Err(Refusal::from(&Deny::Forbidden { action: "create".into() }));
        }
    }
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
        .change_password(&caller.subject, &caller.realm, &sent.current, &sent.new, &by)
        .await
        .map_err(|error| match error {
            IdentityError::NotFound => Refusal::nobody(),
            other => Refusal::on_password_change(&other),
        })?;
    Ok(Answer::ok(&Message { message: "Password changed" }))
}

/// Roles of the contract are taken in any case, like its scopes.
fn contract_spelling(role: &mut String) {
    if let Some(known) = ROLES.iter().find(|known| known.eq_ignore_ascii_case(role)) {
        (*known).clone_into(role);
    }
}

/// Nobody gives a role above the own one. A role the contract does not know has no rank: only the top, or who has it
/// already, may give it.
fn may_give(caller: &Principal, role: &str) -> bool {
    let rank = |role: &str| ROLES.iter().position(|known| *known == role);
    let own = caller.roles.iter().filter_map(|role| rank(role)).min();
    match rank(role) {
        Some(wanted) => own.is_some_and(|own| own <= wanted),
        None => own == Some(0) || caller.roles.iter().any(|has| &**has == role),
    }
}
