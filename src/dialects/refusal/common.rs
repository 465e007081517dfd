//! What contracts say alike: every refusal of the core with its plain status and words, and the few translations that
//! several contracts need. A contract says only where it differs.

use http::StatusCode;

use super::{ErrorShape, Refusal, details};
use crate::{
    identity::{FieldError, IdentityError, OidcFault},
    pipeline::{Deny, deny::TokenFault},
};

impl<S: ErrorShape> Refusal<S> {
    /// A refusal of the gateway for which the contract has no sentence of its own.
    pub fn common_deny(deny: &Deny) -> Self {
        Self::denied(deny, phrase(deny.status()))
    }

    /// A refusal of identity for which the contract has no words of its own. What the gateway refuses too is told as there.
    pub fn common(error: &IdentityError) -> Self {
        let reason = error.reason();
        let plain = |status| Self::plain(status, reason);
        let like = |deny: &Deny| Self { reason, ..S::of_deny(deny) };
        match error {
            IdentityError::InvalidCredentials
            | IdentityError::SecondFactor { .. }
            | IdentityError::InvalidRefreshToken => plain(StatusCode::UNAUTHORIZED),
            IdentityError::CredentialEnded => like(&Deny::Token(TokenFault::Revoked)),
            IdentityError::Throttled(toll) => like(&Deny::RateLimited(toll.clone())),
            // For contracts without a lock, where an operator switches one on: it is told like a limit.
            IdentityError::Locked { retry_after, .. } => Self {
                retry_after: Some(*retry_after),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded", reason)
            },
            IdentityError::Forbidden { action } => like(&Deny::forbidden(*action)),
            IdentityError::Disabled | IdentityError::NotVerified | IdentityError::AgentRefused => {
                plain(StatusCode::FORBIDDEN)
            }
            IdentityError::InvalidCode
            | IdentityError::AlreadyVerified
            | IdentityError::WrongCurrentPassword
            | IdentityError::AlreadyExists { .. } => plain(StatusCode::BAD_REQUEST),
            IdentityError::NotFound => plain(StatusCode::NOT_FOUND),
            IdentityError::WeakPassword(faults) | IdentityError::Invalid(faults) => {
                Self { reason, ..S::invalid(details(faults)) }
            }
            IdentityError::Foreign(fault) => plain(fault.status()),
            IdentityError::Oidc(OidcFault::Away) => {
                Self::unavailable("Service Unavailable", reason)
            }
            IdentityError::Oidc(fault) => plain(fault.status()),
            // The standard issuer's own endpoints word these; no contract asks for what they refuse.
            IdentityError::Grant(_) => plain(StatusCode::BAD_REQUEST),
            IdentityError::Busy | IdentityError::Unavailable => {
                Self::unavailable("Service Unavailable", reason)
            }
            IdentityError::Internal => plain(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// From identity where one thing is looked up; `text` says what is missing.
    pub fn missing(text: &'static str) -> impl Fn(IdentityError) -> Self {
        Self::missing_as(text, None)
    }

    /// The same with the contract's code for it.
    pub fn missing_as(
        text: &'static str,
        code: Option<&'static str>,
    ) -> impl Fn(IdentityError) -> Self {
        move |error| match &error {
            IdentityError::NotFound => {
                let code = code.map(Into::into);
                Self { code, ..Self::new(StatusCode::NOT_FOUND, text, error.reason()) }
            }
            _ => error.into(),
        }
    }

    /// From identity at a refresh, where the token of an account that was switched off is one that is not good any more.
    pub fn at_refresh(error: IdentityError) -> Self {
        match error {
            IdentityError::Disabled => IdentityError::InvalidRefreshToken.into(),
            other => other.into(),
        }
    }
}

/// The status' own reason phrase.
pub fn phrase(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

/// All faults in one sentence; `None`: there are none.
pub fn sentence(faults: &[FieldError]) -> Option<String> {
    let reasons: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ReplyFacts;

    /// A contract that says nothing but how its body looks.
    #[derive(Clone, Debug, PartialEq)]
    struct Bare;

    impl ErrorShape for Bare {
        fn body(refusal: &Refusal<Self>, _: &ReplyFacts<'_>) -> Vec<u8> {
            refusal.text.as_bytes().to_vec()
        }
    }

    #[test]
    fn without_words_of_a_contract_each_refusal_has_a_status_that_says_whose_doing_it_is() {
        for error in IdentityError::every() {
            let refusal = Refusal::<Bare>::common(&error);
            assert_eq!(refusal.reason, error.reason());
            assert!(!refusal.text.is_empty(), "{error:?}");
            let outage = matches!(error, IdentityError::Busy | IdentityError::Unavailable);
            let ours = match &error {
                IdentityError::Foreign(fault) => fault.status().is_server_error(),
                IdentityError::Oidc(fault) => fault.status().is_server_error(),
                other => outage || *other == IdentityError::Internal,
            };
            assert_eq!(refusal.status.is_server_error(), ours, "{error:?}");
            assert!(!outage || refusal.status == 503 && refusal.retry_after.is_some());
            let waits = matches!(error, IdentityError::Throttled(_) | IdentityError::Locked { .. });
            assert_eq!(refusal.status == 429, waits, "{error:?}");
        }
    }

    #[test]
    fn only_what_is_missing_gets_the_name_of_what_is_missing() {
        let told = Refusal::<Bare>::missing_as("No such key", Some("NO_KEY"));
        let refusal = told(IdentityError::NotFound);
        assert_eq!((&*refusal.text, refusal.code.as_deref()), ("No such key", Some("NO_KEY")));
        assert_eq!(told(IdentityError::Disabled), Refusal::common(&IdentityError::Disabled));
    }

    #[test]
    fn at_a_refresh_nobody_learns_that_an_account_was_switched_off() {
        let refusal = Refusal::<Bare>::at_refresh(IdentityError::Disabled);
        assert_eq!(refusal, Refusal::common(&IdentityError::InvalidRefreshToken));
        let busy = Refusal::<Bare>::at_refresh(IdentityError::Busy);
        assert_eq!(busy, Refusal::common(&IdentityError::Busy));
    }
}
