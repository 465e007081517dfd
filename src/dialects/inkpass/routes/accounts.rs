//! The caller's own account: made, shown, proven, changed.

use axum::extract::State;

use super::App;
use crate::{
    dialects::{
        exchange::{Answer, Hop, Sent},
        inkpass::wire::{
            ChangeProfile, KeyFacts, Me, Profile, Refusal, Register, Registered, ResetPassword,
            SendCode, VerifyEmail, at_code, at_registration,
        },
    },
    identity::IdentityError,
};

pub(super) async fn register(
    State(app): State<App>,
    hop: Hop,
    Sent(Register(request)): Sent<Register>,
) -> Result<Answer, Refusal> {
    let made = app.identity.register(&app.mount, request, &hop.actor()).await;
    let account = made.map_err(at_registration)?;
    let id = account.id.clone();
    Ok(Answer::created(&Registered::from(account)).about(&id))
}

/// For a login its account, for a key the key itself.
pub(super) async fn me(State(app): State<App>, hop: Hop) -> Result<Answer, Refusal> {
    let caller = hop.caller()?;
    if caller.key.is_some() {
        let stored = app.identity.own_key_facts(caller).await?;
        return Ok(Answer::ok(&KeyFacts::new(caller, stored)));
    }
    Ok(Answer::ok(&Me::from(app.identity.account_of(caller).await?)))
}

pub(super) async fn verify_email(
    State(app): State<App>,
    hop: Hop,
    Sent(VerifyEmail(proof)): Sent<VerifyEmail>,
) -> Result<Answer, Refusal> {
    let verified = app.identity.verify_email(&app.mount, &proof, &hop.actor()).await;
    match verified {
        Err(IdentityError::AlreadyVerified) => Ok(Answer::message("Email already verified")),
        other => {
            let account = other.map_err(at_code("Invalid or expired verification code"))?;
            Ok(Answer::message("Email verified successfully").about(&account.id))
        }
    }
}

pub(super) async fn resend_verification(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<SendCode>,
) -> Result<Answer, Refusal> {
    app.identity.request_verification(&app.mount, &sent.email, &hop.actor()).await?;
    let message = "If the email exists and is unverified, a new code has been sent";
    Ok(Answer::message(message))
}

pub(super) async fn forgot_password(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<SendCode>,
) -> Result<Answer, Refusal> {
    app.identity.request_reset(&app.mount, &sent.email, &hop.actor()).await?;
    let message = "If an account with this email exists, a password reset code has been sent";
    Ok(Answer::message(message))
}

pub(super) async fn reset_password(
    State(app): State<App>,
    hop: Hop,
    Sent(sent): Sent<ResetPassword>,
) -> Result<Answer, Refusal> {
    let done = app.identity.reset_password(&app.mount, &sent.proof, &sent.new, &hop.actor()).await;
    let account = done.map_err(at_code("Invalid or expired reset code"))?;
    Ok(Answer::message("Password reset successfully").about(&account.id))
}

pub(super) async fn change_profile(
    State(app): State<App>,
    hop: Hop,
    Sent(ChangeProfile(changes)): Sent<ChangeProfile>,
) -> Result<Answer, Refusal> {
    let account = app.identity.change_own(hop.caller()?, changes, &hop.actor()).await?;
    Ok(Answer::ok(&Profile::from(account)))
}
