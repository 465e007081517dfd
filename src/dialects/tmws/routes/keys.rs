//! API keys of the caller. Everyone, administrators too, sees and ends only the own keys here (contract: the list is
//! "own keys only", someone else's key is 404); a rotation answers with a secret, so a wider reach would hand over
//! other people's powers. The operator API reaches all keys.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Hop, Param, Sent},
        tmws::wire::{
            CreateKey, Created, CurrentKey, Deleted, KeyList, Refusal, RotateKey, Rotated,
        },
    },
    identity::IdentityError,
    model::{Clock, KeyId, SystemClock},
    pipeline::{Deny, deny::KeyFault},
};

pub(super) async fn create(
    State(app): State<App>,
    hop: Hop,
    Sent(CreateKey(new)): Sent<CreateKey>,
) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    let new = app.identity.create_key(&app.mount, &caller.subject, new, &hop.actor()).await?;
    Ok(Answer::created(&Created::from(&new)))
}

pub(super) async fn list(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    let keys = app.identity.keys_of(&app.mount, &caller.subject).await?;
    Ok(Answer::ok(&KeyList::from(keys)))
}

pub(super) async fn current(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    let Some(id) = &caller.key else {
        return Err(Refusal::from(&Deny::MissingCredential));
    };
    let key = match app.identity.key(&app.mount, id).await {
        Err(IdentityError::NotFound) => return Err(Refusal::from(&Deny::Key(KeyFault::Unknown))),
        other => other?,
    };
    let allowance = app.identity.key_allowance(&key).await?;
    Ok(Answer::ok(&CurrentKey::new(key, allowance.as_ref(), SystemClock.now())))
}

pub(super) async fn rotate(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
    Sent(sent): Sent<RotateKey>,
) -> Result<Answer, Refusal> {
    let owner = &hop.caller()?.subject;
    let id = KeyId::from(id);
    let rotated =
        app.identity.rotate_key(&app.mount, Some(owner), &id, sent.overlap, &hop.actor()).await?;
    Ok(Answer::created(&Rotated::from(&rotated)))
}

pub(super) async fn revoke(
    State(app): State<App>,
    hop: Hop,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let owner = &hop.caller()?.subject;
    let id = KeyId::from(id);
    let key = app.identity.revoke_key(&app.mount, Some(owner), &id, &hop.actor()).await?;
    Ok(Answer::ok(&Deleted::from(key)))
}
