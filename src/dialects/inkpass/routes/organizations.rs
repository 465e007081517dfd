//! The caller's organisation, by whatever id it is asked for: another one is not there.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Hop, Param},
        inkpass::wire::{MemberItem, OrganizationItem, OrganizationWhole, Refusal},
    },
    identity::{IdentityError, Organisation},
};

pub(super) async fn list(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let own = app.identity.organisation(hop.caller()?).await?;
    Ok(Answer::ok(&[OrganizationItem::from(own)]))
}

pub(super) async fn one(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    Ok(Answer::ok(&OrganizationWhole::from(own(&app, &hop, &id).await?)))
}

pub(super) async fn members(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    own(&app, &hop, &id).await?;
    let members = app.identity.members(hop.caller()?).await?;
    Ok(Answer::ok(&members.into_iter().map(MemberItem::from).collect::<Vec<_>>()))
}

async fn own(app: &App, hop: &Hop, id: &str) -> Result<Organisation, Refusal> {
    let own = app.identity.organisation(hop.caller()?).await?;
    if own.id.as_str().eq_ignore_ascii_case(id) {
        return Ok(own);
    }
    Err(Refusal::missing("Organization not found")(IdentityError::NotFound))
}
