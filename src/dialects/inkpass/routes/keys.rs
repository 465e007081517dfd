//! API keys of the caller's organisation.

use axum::extract::State;

use super::App;
use crate::dialects::{
    exchange::{Answer, Hop, Param, Sent},
    inkpass::wire::{ChangeKey, CreateKey, KeyItem, KeyMade, KeyScopes, KeyUsage, Refusal},
};

pub(super) async fn list(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let keys = app.identity.member_keys(hop.caller()?).await?;
    Ok(Answer::ok(&keys.into_iter().map(KeyItem::from).collect::<Vec<_>>()))
}

pub(super) async fn create(
    State(app): State<App>,
    hop: Hop,
    Sent(CreateKey(new)): Sent<CreateKey>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let made = app.identity.create_member_key(caller, new, &by).await;
    let made = made.map_err(Refusal::missing("User not found"))?;
    Ok(Answer::created(&KeyMade::new(made, caller.tenant.as_deref().unwrap_or_default())))
}

pub(super) async fn change(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(sent): Sent<ChangeKey>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let key = app.identity.set_key_scopes(caller, &id.into(), sent.scopes, &by).await;
    Ok(Answer::ok(&KeyScopes::from(key.map_err(Refusal::missing(NONE))?)))
}

pub(super) async fn revoke(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    app.identity
        .revoke_member_key(caller, &id.into(), &by)
        .await
        .map_err(Refusal::missing(NONE))?;
    Ok(Answer::message("API key revoked successfully"))
}

pub(super) async fn usage(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let key = app.identity.member_key(hop.caller()?, &id.into()).await;
    Ok(Answer::ok(&KeyUsage::from(key.map_err(Refusal::missing(NONE))?)))
}

const NONE: &str = "API key not found";
