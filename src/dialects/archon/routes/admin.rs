//! Accounts as administrators see them. Who is one is the policy table's to say.

use axum::extract::State;

use super::{App, talk::Talk};
use crate::{
    dialects::{
        archon::wire::{self, AdminChange, AdminQuery, Page, Refusal},
        exchange::{Answer, Asked, Param, Sent},
    },
    identity::IdentityError,
};

pub(super) async fn list(
    State(app): State<App>,
    talk: Talk,
    Asked(asked): Asked<AdminQuery>,
) -> Result<Answer, Refusal> {
    let AdminQuery { page, filter } = asked;
    let realm = &talk.caller()?.realm;
    let found = app.identity.account_page(realm, filter, page.offset(), page.limit).await?;
    let users = found.accounts.iter().map(|account| wire::user(account, talk.snake)).collect();
    Ok(talk.page(users, Page { page: page.page, limit: page.limit, total: found.total }))
}

pub(super) async fn get(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let account = app.identity.account(&talk.caller()?.realm, &id.into()).await;
    Ok(talk.ok(wire::user(&account.map_err(missing)?, talk.snake)))
}

pub(super) async fn change(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
    Sent(AdminChange(changes)): Sent<AdminChange>,
) -> Result<Answer, Refusal> {
    let (realm, by) = (&talk.caller()?.realm, talk.actor());
    let account = app.identity.change_account(realm, &id.into(), changes, &by).await;
    Ok(talk.ok(wire::user(&account.map_err(missing)?, talk.snake)))
}

pub(super) async fn remove(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let (realm, by) = (&talk.caller()?.realm, talk.actor());
    app.identity.remove_account(realm, &id.into(), &by).await.map_err(missing)?;
    Ok(talk.ok(wire::message("User deleted")))
}

fn missing(error: IdentityError) -> Refusal {
    Refusal::missing_as("User not found", Some("USER_NOT_FOUND"))(error)
}
