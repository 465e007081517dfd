//! The administrator's endpoints. Proven before the body is read.

use axum::extract::State;

use super::{App, basic::Admin};
use crate::{
    dialects::{
        exchange::{Answer, Asked, Hop, Param, Sent},
        hh::wire::{
            self, AllowEntry, AllowList, AuditLog, AuditQuery, ListQuery, ListedSessions, NewEntry,
            Refusal, Statistics, WhiteEntry, WhiteList, WhiteNew,
        },
    },
    identity::oauth::Allowed,
};

pub(super) async fn allow(
    State(app): State<App>,
    Admin(admin): Admin,
    hop: Hop,
    Sent(sent): Sent<NewEntry>,
) -> Result<Answer, Refusal> {
    Ok(Answer::ok(&AllowEntry::from(put(&app, &admin, &hop, &sent).await?)))
}

pub(super) async fn white_allow(
    State(app): State<App>,
    Admin(admin): Admin,
    hop: Hop,
    Sent(WhiteNew(sent)): Sent<WhiteNew>,
) -> Result<Answer, Refusal> {
    Ok(Answer::ok(&WhiteEntry::from(put(&app, &admin, &hop, &sent).await?)))
}

async fn put(app: &App, admin: &str, hop: &Hop, sent: &NewEntry) -> Result<Allowed, Refusal> {
    let (id, comment) = (&sent.hh_user_id, sent.comment.as_deref());
    Ok(app.identity.allow(&app.mount, id, comment, admin, &hop.actor()).await?)
}

pub(super) async fn list(
    State(app): State<App>,
    Admin(_): Admin,
    Asked(asked): Asked<ListQuery>,
) -> Result<Answer, Refusal> {
    let list = app.identity.allow_list(&app.mount, asked.active_only).await?;
    Ok(Answer::ok(&AllowList::from(list)))
}

pub(super) async fn white_list(
    State(app): State<App>,
    Admin(_): Admin,
    Asked(asked): Asked<ListQuery>,
) -> Result<Answer, Refusal> {
    let list = app.identity.allow_list(&app.mount, asked.active_only).await?;
    Ok(Answer::ok(&WhiteList::from(list)))
}

pub(super) async fn remove(
    State(app): State<App>,
    Admin(admin): Admin,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let removed = app.identity.disallow(&app.mount, &id, &admin, &hop.actor()).await;
    removed.map_err(Refusal::missing("User not found"))?;
    Ok(Answer::message("User removed from whitelist"))
}

pub(super) async fn sessions(State(app): State<App>, Admin(_): Admin) -> Result<Answer, Refusal> {
    let live = app.identity.people_sessions(&app.mount).await?;
    Ok(Answer::ok(&ListedSessions::from(live)))
}

pub(super) async fn terminate(
    State(app): State<App>,
    Admin(admin): Admin,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let ended = app.identity.terminate_session(&app.mount, &id, &admin, &hop.actor()).await;
    ended.map_err(Refusal::missing("Session not found"))?;
    Ok(Answer::message("Session terminated"))
}

pub(super) async fn events(
    State(app): State<App>,
    Admin(_): Admin,
    Asked(asked): Asked<AuditQuery>,
) -> Result<Answer, Refusal> {
    let AuditQuery { limit, offset, event_type } = asked;
    let event = event_type.as_deref().map(wire::core_name);
    let page = app.identity.mount_events(&app.mount, event, limit, offset).await?;
    Ok(Answer::ok(&AuditLog::new(page, limit, offset)))
}

pub(super) async fn statistics(State(app): State<App>, Admin(_): Admin) -> Result<Answer, Refusal> {
    let counts = app.identity.people_statistics(&app.mount).await?;
    Ok(Answer::ok(&Statistics::from(counts)))
}
