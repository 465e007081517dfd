//! What can come instead of success where people log in through a provider.

use http::StatusCode;

/// Refusals and failures around a provider's logins, exchange codes, session secrets and administrators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignFault {
    /// 400: the login's state is unknown, used, too old, or of another browser.
    State,
    /// 400: the person refused consent, or the provider rejected the code.
    Rejected,
    /// 403: the provider has proven who it is, but this person may not come.
    NotAllowed {
        /// The provider's id of the person, which the client may be told.
        subject: String,
    },
    /// 400: the exchange code is unknown or too old.
    Code,
    /// 400: the exchange code was traded before.
    CodeSpent,
    /// 401: no live session of this mount.
    Session,
    /// 401: the provider does not renew the person's token any more.
    RenewalRefused,
    /// 502: the provider cannot be reached, or answers nothing usable.
    Provider,
    /// 401: not the administrator.
    Administrator,
}

impl ForeignFault {
    /// One of each.
    pub(in crate::identity) fn every() -> [Self; 9] {
        [
            Self::State,
            Self::Rejected,
            Self::NotAllowed { subject: String::new() },
            Self::Code,
            Self::CodeSpent,
            Self::Session,
            Self::RenewalRefused,
            Self::Provider,
            Self::Administrator,
        ]
    }

    /// The status, the same in every contract.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::State | Self::Rejected | Self::Code | Self::CodeSpent => StatusCode::BAD_REQUEST,
            Self::NotAllowed { .. } => StatusCode::FORBIDDEN,
            Self::Session | Self::RenewalRefused | Self::Administrator => StatusCode::UNAUTHORIZED,
            Self::Provider => StatusCode::BAD_GATEWAY,
        }
    }

    /// Stable reason code for logs and metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::State => "login_state_invalid",
            Self::Rejected => "login_rejected",
            Self::NotAllowed { .. } => "person_not_allowed",
            Self::Code => "exchange_code_invalid",
            Self::CodeSpent => "exchange_code_spent",
            Self::Session => "session_unknown",
            Self::RenewalRefused => "provider_renewal_refused",
            Self::Provider => "provider_failed",
            Self::Administrator => "administrator_unproven",
        }
    }

    /// What it means, and what the operator can do about it.
    pub const fn explained(&self) -> (&'static str, &'static str) {
        match self {
            Self::State => (
                "Callback: the state is unknown, used, too old, or of another browser.",
                "The person starts the login again. Always? Then the browser keeps no cookie: compare \
                 `redirect_uri` with the address in its bar.",
            ),
            Self::Rejected => (
                "Callback: the person refused consent, or the provider rejected the code.",
                "The person starts the login again. Always? Compare `redirect_uri` with the provider's.",
            ),
            Self::NotAllowed { .. } => (
                "Login: proven by the provider, but not on the allow list, or the account is disabled.",
                "Put the person on the list, if it should come in.",
            ),
            Self::Code => {
                ("Exchange: the code is unknown or too old.", "The person starts the login again.")
            }
            Self::CodeSpent => (
                "Exchange: the code was traded before. The session of then lives on.",
                "Once: a client sent it twice. Again and again: somebody reads along.",
            ),
            Self::Session => ("No such session, or it has ended.", "The person logs in again."),
            Self::RenewalRefused => (
                "The provider does not renew the person's token any more.",
                "The person logs in again.",
            ),
            Self::Provider => (
                "The provider cannot be reached, or answers nothing usable.",
                "Look for `provider_failed` in the log: it says which step, and why.",
            ),
            Self::Administrator => (
                "HTTP Basic of an administrator: missing or wrong.",
                "Compare `administrator` of the mount; throttled after many failures.",
            ),
        }
    }
}
