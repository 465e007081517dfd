//! Live sessions, and the record of what happened.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    App,
    ask::{Asked, Done, EventsAsked, RangeAsked, SessionsAsked, limit, moment},
    views::{EventView, Exported, ExportedEvent, SessionView},
};
use crate::{
    admin::problem::Problem,
    identity::{Actor, AuditCheck, AuditRange},
    model::{AccountId, RealmName, SessionId},
};

/// Live sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    sessions: Vec<SessionView>,
    /// Whether there are more than were asked for.
    more: bool,
}

/// Newest events first.
#[derive(Serialize, ToSchema)]
pub(super) struct Events {
    events: Vec<EventView>,
}

/// Whether the audit log is as it was written.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditChecked {
    /// Whether every event is there and none was changed.
    whole: bool,
    /// Events that were read.
    checked: u64,
    /// The first fault.
    fault: Option<String>,
}

/// Lists live sessions, of one user if asked.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(SessionsAsked),
    responses((status = 200, body = Sessions), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Asked(page): Asked<SessionsAsked>,
) -> Result<Json<Sessions>, Problem> {
    let limit = limit(page.limit)?;
    let (realm, account) = whose(&app, &page).await?;
    // One beyond the limit tells whether there are more.
    let found = app.parts.identity.sessions(realm.as_ref(), account.as_ref(), limit + 1).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > most;
    let sessions = found.into_iter().take(most).map(SessionView::from).collect();
    Ok(Json(Sessions { sessions, more }))
}

/// Whom it is asked about.
pub(super) async fn whose(
    app: &App,
    page: &SessionsAsked,
) -> Result<(Option<RealmName>, Option<AccountId>), Problem> {
    match &page.user {
        None => Ok((app.realm_filter(page.realm.as_deref())?, None)),
        Some(user) => {
            let realm = app.realm(page.realm.as_deref())?;
            let account = app.account(&realm, user).await?;
            Ok((Some(realm), Some(account.id)))
        }
    }
}

/// Ends a session and everything issued in it.
#[utoipa::path(post, path = "/v1/sessions/{id}/end", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Problem)))]
pub(super) async fn end(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Done>, Problem> {
    app.parts.identity.end_session(&SessionId::new(id.as_str()), &Actor::operator()).await?;
    Ok(Json(Done { message: format!("session {id} ended") }))
}

/// The newest audit events.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(EventsAsked),
    responses((status = 200, body = Events), (status = 422, body = Problem)))]
pub(super) async fn audit(
    State(app): State<App>,
    Asked(page): Asked<EventsAsked>,
) -> Result<Json<Events>, Problem> {
    let events = app.parts.identity.audit(limit(page.limit)?).await?;
    Ok(Json(Events { events: events.into_iter().map(EventView::from).collect() }))
}

/// A part of one node's audit log, oldest first. Ask again behind the last `seq` while there are more.
#[utoipa::path(get, path = "/v1/audit/export", tag = "audit", params(RangeAsked),
    responses((status = 200, body = Exported), (status = 422, body = Problem)))]
pub(super) async fn export_audit(
    State(app): State<App>,
    Asked(asked): Asked<RangeAsked>,
) -> Result<Json<Exported>, Problem> {
    let limit = limit(asked.limit)?;
    let range = AuditRange {
        node: asked.node,
        after: asked.after.unwrap_or_default(),
        since: moment("since", asked.since.as_deref())?,
        until: moment("until", asked.until.as_deref())?,
    };
    // One beyond the limit tells whether there are more.
    let found = app.parts.identity.audit_range(&range, limit + 1).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > most;
    let events = found.into_iter().take(most).map(ExportedEvent::from).collect();
    let nodes = app.parts.identity.audit_chains().await?;
    Ok(Json(Exported { nodes, events, more }))
}

/// Checks the chain of the audit log from its base to its head.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "audit",
    responses((status = 200, body = AuditChecked), (status = 503, body = Problem)))]
pub(super) async fn verify_audit(State(app): State<App>) -> Result<Json<AuditChecked>, Problem> {
    let AuditCheck { checked, fault } = app.parts.identity.verify_audit().await?;
    Ok(Json(AuditChecked { whole: fault.is_none(), checked, fault }))
}
