//! Users of the caller's organisation.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Hop, Param, Sent},
        inkpass::wire::{ChangeUser, CreateUser, Grants, Member, Refusal},
    },
    model::AccountId,
};

pub(super) async fn list(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let members = app.identity.members(hop.caller()?).await?;
    Ok(Answer::ok(&members.into_iter().map(Member::from).collect::<Vec<_>>()))
}

pub(super) async fn one(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let member = app.identity.member(hop.caller()?, &id.into()).await;
    Ok(Answer::ok(&Member::from(member.map_err(Refusal::missing(NONE))?)))
}

pub(super) async fn create(
    State(app): State<App>,
    hop: Hop,
    Sent(CreateUser(new)): Sent<CreateUser>,
) -> Result<Answer, Refusal> {
    let member = app.identity.create_member(hop.caller()?, new, &hop.actor()).await?;
    Ok(Answer::created(&Member::from(member)))
}

pub(super) async fn change(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(ChangeUser(change)): Sent<ChangeUser>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let member = app.identity.change_member(caller, &id.into(), change, &by).await;
    Ok(Answer::ok(&Member::from(member.map_err(Refusal::missing(NONE))?)))
}

pub(super) async fn remove(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    app.identity.delete_member(caller, &id.into(), &by).await.map_err(Refusal::missing(NONE))?;
    Ok(Answer::message("User deleted successfully"))
}

pub(super) async fn permissions(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let (caller, id) = (hop.caller()?, AccountId::from(id));
    let member = app.identity.member(caller, &id).await.map_err(Refusal::missing(NONE))?;
    let granted = app.identity.permissions_of(caller, &id).await.map_err(Refusal::missing(NONE))?;
    Ok(Answer::ok(&Grants::new(member.account, granted)))
}

const NONE: &str = "User not found";
