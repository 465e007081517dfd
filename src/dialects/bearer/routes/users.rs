//! Accounts: the caller's own, and everybody's for a superuser (the policy table has let nobody else in).

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        bearer::{
            defaults::{SUPERUSER, USER},
            wire::{During, Refusal, Update, User},
        },
        exchange::{Answer, Hop, Param, Sent},
    },
    identity::{Account, AccountChanges},
    model::AccountId,
};

pub(super) async fn me(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let account = app.identity.account_of(hop.caller()?).await?;
    Ok(Answer::ok(&User::from(account)))
}

/// The three flags are ignored, whoever it is: the owner of an account does not give them.
pub(super) async fn change_me(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<Update>,
) -> Result<Answer, Refusal> {
    let changes =
        AccountChanges { email: sent.email, password: sent.password, ..AccountChanges::default() };
    let account = app.identity.change_own(hop.caller()?, changes, &hop.actor()).await;
    let account = account.map_err(|error| Refusal::during(During::Update, &error))?;
    Ok(Answer::ok(&User::from(account)))
}

pub(super) async fn one(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let account = app.identity.account(&hop.caller()?.realm, &id_of(&id)).await?;
    Ok(Answer::ok(&User::from(account)))
}

pub(super) async fn change(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(sent): Sent<Update>,
) -> Result<Answer, Refusal> {
    let (realm, id) = (&hop.caller()?.realm, id_of(&id));
    let account = app.identity.account(realm, &id).await?;
    let changes = AccountChanges {
        email: sent.email,
        password: sent.password,
        enabled: sent.is_active,
        email_verified: sent.is_verified,
        roles: sent.is_superuser.and_then(|superuser| roles(&account, superuser)),
        ..AccountChanges::default()
    };
    let account = app.identity.change_account(realm, &id, changes, &hop.actor()).await;
    let account = account.map_err(|error| Refusal::during(During::Update, &error))?;
    Ok(Answer::ok(&User::from(account)))
}

pub(super) async fn remove(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    app.identity.remove_account(&hop.caller()?.realm, &id_of(&id), &hop.actor()).await?;
    Ok(Answer::no_content())
}

fn id_of(text: &str) -> AccountId {
    text.to_ascii_lowercase().into()
}

/// The roles with which `is_superuser` is what was asked for; `None`: it is so already.
fn roles(account: &Account, superuser: bool) -> Option<Vec<String>> {
    let is = account.roles.iter().any(|role| role == SUPERUSER);
    if is == superuser {
        return None;
    }
    let mut roles: Vec<String> =
        account.roles.iter().filter(|role| *role != SUPERUSER).cloned().collect();
    if superuser {
        roles.insert(0, SUPERUSER.to_owned());
    } else if roles.is_empty() {
        roles.push(USER.to_owned());
    }
    Some(roles)
}
