//! Groups of the caller's organisation.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Hop, Param, Sent},
        inkpass::wire::{ChangeGroup, CreateGroup, Group, JoinGroup, Refusal},
    },
    model::AccountId,
};

pub(super) async fn list(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let teams = app.identity.teams(hop.caller()?).await?;
    Ok(Answer::ok(&teams.into_iter().map(Group::from).collect::<Vec<_>>()))
}

pub(super) async fn create(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<CreateGroup>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let team = app.identity.create_team(caller, sent.name, sent.description, &by).await?;
    Ok(Answer::created(&Group::from(team)))
}

pub(super) async fn change(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(ChangeGroup(change)): Sent<ChangeGroup>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let team = app.identity.change_team(caller, &id.into(), change, &by).await;
    Ok(Answer::ok(&Group::from(team.map_err(Refusal::missing(NONE))?)))
}

pub(super) async fn remove(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    app.identity.delete_team(caller, &id.into(), &by).await.map_err(Refusal::missing(NONE))?;
    Ok(Answer::message("Group deleted successfully"))
}

pub(super) async fn join(
    State(app): State<App>,
    hop: Hop,
    Param((id, user)): Param<(String, String)>,
) -> Result<Answer, Refusal> {
    enter(&app, &hop, id, user).await
}

pub(super) async fn join_named(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(sent): Sent<JoinGroup>,
) -> Result<Answer, Refusal> {
    enter(&app, &hop, id, sent.user).await
}

pub(super) async fn leave(
    State(app): State<App>,
    hop: Hop,
    Param((id, user)): Param<(String, String)>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let left = app.identity.leave_team(caller, &id.into(), &user.into(), &by).await;
    left.map_err(Refusal::missing("Group, user, or membership not found"))?;
    Ok(Answer::message("User removed from group successfully"))
}

async fn enter(app: &App, hop: &Hop, id: String, user: String) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let joined = app.identity.join_team(caller, &id.into(), &AccountId::from(user), &by).await;
    joined.map_err(Refusal::missing("Group or user not found"))?;
    Ok(Answer::message("User added to group successfully"))
}

const NONE: &str = "Group not found";
