//! Permissions of the caller's organisation, and the questions that are the point of all this.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Asked, Hop, Param, Sent},
        inkpass::wire::{
            AskedPermission, Assign, ChangePermission, CheckQuery, Checked, Context,
            CreatePermission, PermissionItem, PermittedAnswer, Refusal,
        },
    },
    pipeline::{Question, grants::Facts},
};

/// The body is the context itself, the question stands in the query (traps 6 and 9).
pub(super) async fn check(
    State(app): State<App>,
    hop: Hop,
    Asked(asked): Asked<CheckQuery>,
    Sent(Context(context)): Sent<Context>,
) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    let CheckQuery { resource, action } = &asked;
    let question = Question { resource, action, context: &context };
    Ok(Answer::ok(&Checked {
        has_permission: app.identity.may(caller, &question).await?,
        resource,
        action,
        user_id: caller.subject.as_str(),
        organization_id: caller.tenant.as_deref().unwrap_or_default(),
    }))
}

pub(super) async fn check_own(
    State(app): State<App>,
    hop: Hop,
    Sent(AskedPermission(asked)): Sent<AskedPermission>,
) -> Result<Answer, Refusal> {
    let CheckQuery { resource, action } = &asked;
    let context = Facts::new();
    let question = Question { resource, action, context: &context };
    let allowed = app.identity.may(hop.caller()?, &question).await?;
    Ok(Answer::ok(&PermittedAnswer { allowed, resource, action }))
}

pub(super) async fn list(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let all = app.identity.permissions(hop.caller()?).await?;
    Ok(Answer::ok(&all.into_iter().map(PermissionItem::from).collect::<Vec<_>>()))
}

pub(super) async fn create(
    State(app): State<App>,
    hop: Hop,
    Sent(CreatePermission(new)): Sent<CreatePermission>,
) -> Result<Answer, Refusal> {
    let made = app.identity.create_permission(hop.caller()?, new, &hop.actor()).await?;
    Ok(Answer::created(&PermissionItem::from(made)))
}

pub(super) async fn change(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(ChangePermission(change)): Sent<ChangePermission>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let changed = app.identity.change_permission(caller, &id.into(), change, &by).await;
    Ok(Answer::ok(&PermissionItem::from(changed.map_err(Refusal::missing(NONE))?)))
}

pub(super) async fn remove(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    app.identity
        .delete_permission(caller, &id.into(), &by)
        .await
        .map_err(Refusal::missing(NONE))?;
    Ok(Answer::message("Permission deleted successfully"))
}

pub(super) async fn assign(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(Assign(to)): Sent<Assign>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let Some(to) = to else {
        let text = "Either group_id or user_id must be provided";
        return Err(Refusal::new(http::StatusCode::BAD_REQUEST, text, "validation"));
    };
    let granted = app.identity.grant_permission(caller, &id.into(), to, &by).await;
    granted.map_err(Refusal::missing("Permission, group or user not found"))?;
    Ok(Answer::message("Permission assigned successfully"))
}

const NONE: &str = "Permission not found";
