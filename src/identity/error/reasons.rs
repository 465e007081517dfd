//! Every answer of identity in words, for the reference of reason codes. Nothing here is ever shown to a client.

use std::time::Duration;

use super::IdentityError;
use crate::{
    identity::{ForeignFault, GrantFault, OidcFault},
    pipeline::{Toll, Window},
};

impl IdentityError {
    /// One of every reason there is. `tests/docs.rs` holds it against [`IdentityError::reason`].
    pub fn every() -> Vec<IdentityError> {
        let mut all = vec![
            IdentityError::InvalidCredentials,
            IdentityError::Locked { retry_after: Duration::from_secs(1), by_this: false },
            IdentityError::Disabled,
            IdentityError::Throttled(Toll {
                name: "login-address".into(),
                window: Window { limit: 1, per: Duration::from_secs(1) },
                remaining: 0,
                reset_after: Duration::from_secs(1),
                retry_after: Some(Duration::from_secs(1)),
            }),
            IdentityError::InvalidRefreshToken,
            IdentityError::CredentialEnded,
            IdentityError::InvalidCode,
            IdentityError::AlreadyVerified,
            IdentityError::NotVerified,
            IdentityError::SecondFactor { wrong: false },
            IdentityError::SecondFactor { wrong: true },
            IdentityError::WrongCurrentPassword,
            IdentityError::Forbidden { action: "read" },
            IdentityError::AgentRefused,
            IdentityError::NotFound,
            IdentityError::AlreadyExists { field: "username" },
            IdentityError::WeakPassword(Vec::new()),
            IdentityError::Invalid(Vec::new()),
            IdentityError::Busy,
            IdentityError::Unavailable,
            IdentityError::Internal,
        ];
        all.extend(ForeignFault::every().map(IdentityError::Foreign));
        all.extend(OidcFault::every().map(IdentityError::Oidc));
        all.extend(GrantFault::every().map(IdentityError::Grant));
        all
    }

    /// What it means, and what the operator can do about it.
    pub const fn explained(&self) -> (&'static str, &'static str) {
        match self {
            IdentityError::InvalidCredentials => (
                "Login: unknown name or wrong password. The audit log knows which.",
                "The user tries again, or the operator sets a password: `user passwd`.",
            ),
            IdentityError::Locked { .. } => (
                "Login: too many failures in a row for this name.",
                "Wait, or lift the lock with `user passwd`.",
            ),
            IdentityError::Disabled => (
                "Login or refresh: right, but the account is disabled.",
                "`user enable`, if it should come back.",
            ),
            IdentityError::Throttled(_) => (
                "Login: too many failures from this address.",
                "Wait. `[[realm]] throttle` says how many are allowed.",
            ),
            IdentityError::InvalidRefreshToken => (
                "Refresh: unknown, expired, ended, or already used. `REFRESH_REUSE` in the audit log: a copy is about.",
                "The client logs in again.",
            ),
            IdentityError::CredentialEnded => (
                "The token or key behind the request ended while it ran.",
                "The client logs in again, or uses another key.",
            ),
            IdentityError::InvalidCode => (
                "Reset or verification: the code is wrong, used, expired, or was tried too often.",
                "The user asks for a new one.",
            ),
            IdentityError::AlreadyVerified => {
                ("Verification: the address is proven already.", "Nothing needs to be done.")
            }
            IdentityError::NotVerified => (
                "Login: right, but the realm asks for a proven address first.",
                "The user asks for a new verification mail; `[[realm]] verified_email` is the rule.",
            ),
            IdentityError::SecondFactor { wrong: false } => (
                "Login: right password, but the account has a second factor and no code came.",
                "The client asks for the code and logs in again with it.",
            ),
            IdentityError::SecondFactor { wrong: true } => (
                "The code of the second factor is wrong, or was used before.",
                "The user takes the next code, or a backup code; check the clock of the phone.",
            ),
            IdentityError::WrongCurrentPassword => {
                ("Password change: the current password is wrong.", "The user tries again.")
            }
            IdentityError::Forbidden { .. } => (
                "The caller may not do this, or not to this object.",
                "Give the account the role it needs.",
            ),
            IdentityError::AgentRefused => (
                "No role of the account may run an agent of that type, or there is no such type.",
                "`[mount.agents] runs` says which roles may run what.",
            ),
            IdentityError::NotFound => {
                ("No such thing, or somebody else's.", "Compare the id with a listing.")
            }
            IdentityError::AlreadyExists { .. } => {
                ("The login name or e-mail address is taken.", "Choose another one.")
            }
            IdentityError::WeakPassword(_) => (
                "The new password does not meet the realm's rule.",
                "`[[realm]] password` is the rule; the reply lists what is missing.",
            ),
            IdentityError::Invalid(_) => {
                ("Fields of the request are not acceptable.", "The reply lists every field.")
            }
            IdentityError::Foreign(fault) => fault.explained(),
            IdentityError::Oidc(fault) => fault.explained(),
            IdentityError::Grant(fault) => fault.explained(),
            IdentityError::Busy => (
                "More logins at once than may wait for a place to hash.",
                "Try again; raise `[hashing] permits` if there are cores to spare.",
            ),
            IdentityError::Unavailable => (
                "The store could not be asked, or an account changed again and again meanwhile.",
                "Look for `store_error` in the log: disk full? slow disk?",
            ),
            IdentityError::Internal => (
                "A fault of the gateway itself.",
                "The log has the cause beside the request id. Please report it.",
            ),
        }
    }
}
