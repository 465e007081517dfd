//! What identity answers when it does not do what was asked. Dialects and the operator API render it.

use std::time::Duration;

use super::{ForeignFault, GrantFault, OidcFault};
use crate::{pipeline::Toll, store::StoreError};

mod reasons;

/// One field of a request that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Field name in the core's words (`password`, `username`, `scopes`).
    pub field: &'static str,
    /// Stable kind: `missing`, `too_short`, `too_long`, `invalid`, `weak`, `unknown`.
    pub kind: &'static str,
    /// One sentence for the client; repeats nothing secret.
    pub message: String,
}

/// Everything that can come instead of success.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// Unknown name, wrong password: one answer, one cost.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// The login name is locked.
    #[error("account is locked")]
    Locked {
        /// Until it unlocks by itself.
        retry_after: Duration,
        /// Whether this very failure set the lock: what was presented was looked at, and is wrong.
        by_this: bool,
    },
    /// Right password, but the account is disabled.
    #[error("account is disabled")]
    Disabled,
    /// A limit of identity's own is used up.
    #[error("rate limit exceeded")]
    Throttled(Toll),
    /// Refresh token unknown, expired, revoked or already used.
    #[error("invalid refresh token")]
    InvalidRefreshToken,
    /// The access token or key behind this request has ended meanwhile.
    #[error("credential has ended")]
    CredentialEnded,
    /// A one-time code is wrong, used, expired, or was tried too often.
    #[error("invalid code")]
    InvalidCode,
    /// The address is proven already.
    #[error("already verified")]
    AlreadyVerified,
    /// Right password, but the realm asks for a proven address.
    #[error("address is not verified")]
    NotVerified,
    /// Right password, but a second factor is on, and its code is missing or wrong.
    #[error("second factor")]
    SecondFactor {
        /// A code came, and it is not good.
        wrong: bool,
    },
    /// The current password given for a change is wrong.
    #[error("current password is incorrect")]
    WrongCurrentPassword,
    /// Not allowed; the action as the policy names it.
    #[error("permission required: {action}")]
    Forbidden {
        /// `create`, `update`, …
        action: &'static str,
    },
    /// The account may not run an agent of that type, or there is no such type.
    #[error("agent not allowed")]
    AgentRefused,
    /// No such thing, or somebody else's.
    #[error("not found")]
    NotFound,
    /// The name or address is taken.
    #[error("already exists: {field}")]
    AlreadyExists {
        /// `username` or `email`.
        field: &'static str,
    },
    /// The new password does not meet the realm's rule; every reason.
    #[error("the password is not acceptable")]
    WeakPassword(Vec<FieldError>),
    /// Fields that are not acceptable; every one.
    #[error("invalid request")]
    Invalid(Vec<FieldError>),
    /// Logins through a provider, exchange codes, session secrets, administrators.
    #[error("{}", .0.reason())]
    Foreign(ForeignFault),
    /// Browser logins through an OpenID provider.
    #[error("{}", .0.reason())]
    Oidc(OidcFault),
    /// The standard issuer's refusals.
    #[error("{}", .0.reason())]
    Grant(GrantFault),
    /// The hash pool's queue is full.
    #[error("too many logins at once")]
    Busy,
    /// The store cannot be asked. 503, never 401.
    #[error("the store is unavailable")]
    Unavailable,
    /// Our own fault; the log has the cause.
    #[error("internal error")]
    Internal,
}

impl IdentityError {
    /// Stable reason code for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            IdentityError::InvalidCredentials => "invalid_credentials",
            IdentityError::Locked { .. } => "account_locked",
            IdentityError::Disabled => "account_disabled",
            IdentityError::Throttled(_) => "rate_limited",
            IdentityError::InvalidRefreshToken => "refresh_token_invalid",
            IdentityError::CredentialEnded => "credential_ended",
            IdentityError::InvalidCode => "code_invalid",
            IdentityError::AlreadyVerified => "already_verified",
            IdentityError::NotVerified => "email_not_verified",
            IdentityError::SecondFactor { wrong: false } => "second_factor_missing",
            IdentityError::SecondFactor { wrong: true } => "second_factor_wrong",
            IdentityError::WrongCurrentPassword => "current_password_wrong",
            IdentityError::Forbidden { .. } => "insufficient_scope",
            IdentityError::AgentRefused => "agent_refused",
            IdentityError::NotFound => "not_found",
            IdentityError::AlreadyExists { .. } => "already_exists",
            IdentityError::WeakPassword(_) => "weak_password",
            IdentityError::Invalid(_) => "validation",
            IdentityError::Foreign(fault) => fault.reason(),
            IdentityError::Oidc(fault) => fault.reason(),
            IdentityError::Grant(fault) => fault.reason(),
            IdentityError::Busy => "hash_pool_full",
            IdentityError::Unavailable => "dependency_unavailable",
            IdentityError::Internal => "internal",
        }
    }
}

impl From<StoreError> for IdentityError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable | StoreError::Locked => Self::Unavailable,
            StoreError::Conflict { field } => Self::AlreadyExists { field },
            StoreError::NotFound => Self::NotFound,
            StoreError::Unwritable => Self::Invalid(vec![FieldError {
                field: "path",
                kind: "invalid",
                message:
                    "the file cannot be written: is its folder there, and the gateway's to write?"
                        .to_owned(),
            }]),
            // Whoever can say what a change in between means says it before this; here it is only bad luck.
            StoreError::Changed => Self::Unavailable,
            StoreError::Spent => Self::SecondFactor { wrong: true },
            StoreError::Full => Self::Invalid(vec![FieldError {
                field: "name",
                kind: "too_many",
                message: "There are as many as there may be".to_owned(),
            }]),
            StoreError::Elsewhere => Self::Invalid(vec![FieldError {
                field: "path",
                kind: "invalid",
                message: "the store is a database: back it up with pg_dump".to_owned(),
            }]),
            // At an opening only, which tells of it itself.
            StoreError::NodeTaken | StoreError::Older | StoreError::Newer => Self::Unavailable,
            StoreError::Schema | StoreError::Corrupt | StoreError::Internal => Self::Internal,
        }
    }
}
