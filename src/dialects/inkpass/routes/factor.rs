//! The second factor of the caller.

use axum::extract::State;

use super::{App, qr};
use crate::{
    dialects::{
        exchange::{Answer, Hop, Sent},
        inkpass::wire::{BackupCodes, EnableFactor, FactorCode, FactorSetup, Refusal, at_factor},
    },
    model::secret::ExposeSecret,
};

pub(super) async fn setup(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    let issuer = app.identity.organisation(caller).await?.name;
    let prepared = app.identity.prepare_factor(caller, &issuer).await.map_err(at_factor)?;
    let picture = qr::data_uri(prepared.uri.expose_secret());
    Ok(Answer::ok(&FactorSetup::new(&prepared, picture)))
}

pub(super) async fn enable(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<EnableFactor>,
) -> Result<Answer, Refusal> {
    let (caller, by) = (hop.caller()?, hop.actor());
    let made = app.identity.enable_factor(caller, sent.secret.as_ref(), &sent.code, &by).await;
    let codes = made.map_err(at_factor)?;
    Ok(Answer::ok(&BackupCodes::new(Some("2FA enabled successfully"), &codes)))
}

pub(super) async fn verify(
    State(app): State<App>,
    hop: Hop,
    Sent(FactorCode(code)): Sent<FactorCode>,
) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    app.identity.verify_factor(caller, &code, &hop.actor()).await.map_err(at_factor)?;
    Ok(Answer::message("2FA code verified"))
}

pub(super) async fn disable(
    State(app): State<App>,
    hop: Hop,
    Sent(FactorCode(code)): Sent<FactorCode>,
) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    app.identity.disable_factor(caller, &code, &hop.actor()).await.map_err(at_factor)?;
    Ok(Answer::message("2FA disabled successfully"))
}

pub(super) async fn backup_codes(
    State(app): State<App>,
    hop: Hop,
    Sent(FactorCode(code)): Sent<FactorCode>,
) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    let made = app.identity.renew_backup_codes(caller, &code, &hop.actor()).await;
    Ok(Answer::ok(&BackupCodes::new(None, &made.map_err(at_factor)?)))
}
