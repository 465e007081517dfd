//! Failed authentication, counted by address: looked at before a signature, a hash or a look-up is paid for.
//!
//! What the caches know as good passes without a look at this count, so that people behind one address with a guesser
//! keep what they have. What is genuine but past its time is no guess and counts for nobody.

use std::net::IpAddr;

use super::{Live, Shared, ctx::Trail};
use crate::{
    limit::LimitError,
    pipeline::{
        Deny, Toll,
        deny::{KeyFault, SessionFault, TokenFault},
        quota,
    },
};

/// Refuses an address whose failures have used up a window. Charges nothing.
pub(super) async fn refuse_guesser(
    edge: &Shared,
    live: &Live,
    address: IpAddr,
) -> Result<(), Deny> {
    let windows = &live.snapshot.failure_windows;
    if windows.is_empty() {
        return Ok(());
    }
    match edge.parts.limiter.peek(&[quota::failure_charge(windows, address)]).await {
        Ok(Some(toll)) if toll.retry_after.is_some() => Err(Deny::RateLimited(toll)),
        Ok(_) => Ok(()),
        Err(error) => Err(unavailable(&error)),
    }
}

/// Charges a refusal to the address it came from, if it was a guess. `Err`: one too many, which is told instead.
pub(super) async fn charge(
    edge: &Shared,
    live: &Live,
    address: IpAddr,
    deny: &Deny,
) -> Result<(), Deny> {
    let windows = &live.snapshot.failure_windows;
    if windows.is_empty() || !is_guess(deny) {
        return Ok(());
    }
    match edge.parts.limiter.check(&[quota::failure_charge(windows, address)]).await {
        Ok(_) => Ok(()),
        Err(LimitError::Limited(toll)) => Err(Deny::RateLimited(toll)),
        Err(error) => Err(unavailable(&error)),
    }
}

/// Shows the count of failures on a refusal that comes of it.
pub(super) fn show(trail: &mut Trail, deny: &Deny) {
    if let Deny::RateLimited(toll) = deny {
        trail.toll = Some(Toll::clone(toll));
    }
}

fn is_guess(deny: &Deny) -> bool {
    matches!(
        deny,
        Deny::Token(TokenFault::Invalid | TokenFault::Inactive)
            | Deny::Key(KeyFault::Malformed | KeyFault::Unknown)
            | Deny::Session(SessionFault::Invalid)
    )
}

fn unavailable(error: &LimitError) -> Deny {
    // Told where it is lost and found, once; here it would be a line per request.
    tracing::debug!(event = "limiter_unavailable", %error);
    Deny::Unavailable { dependency: "limiter" }
}
