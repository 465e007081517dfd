//! What can come instead of a login through an OpenID provider.

use http::StatusCode;

/// Refusals and failures around logins through an OpenID provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OidcFault {
    /// 400: what the login remembered is not there, too old, used, or of another browser.
    State,
    /// 400: the person refused, the provider rejected the code, or somebody else answered.
    Rejected,
    /// 403: the provider has proven who it is, but no account here is that person's.
    NotLinked,
    /// 502: the provider answers, and what it says cannot be believed.
    Provider,
    /// 503: the provider cannot be asked.
    Away,
    /// 400: what claims to be a logout token is none, or came before.
    LogoutToken,
}

impl OidcFault {
    /// One of each.
    pub(in crate::identity) const fn every() -> [Self; 6] {
        use OidcFault::{Away, LogoutToken, NotLinked, Provider, Rejected, State};
        [State, Rejected, NotLinked, Provider, Away, LogoutToken]
    }

    /// The status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::State | Self::Rejected | Self::LogoutToken => StatusCode::BAD_REQUEST,
            Self::NotLinked => StatusCode::FORBIDDEN,
            Self::Provider => StatusCode::BAD_GATEWAY,
            Self::Away => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Stable reason code for logs, metrics and pages.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::State => "oidc_state_invalid",
            Self::Rejected => "oidc_login_rejected",
            Self::NotLinked => "account_not_linked",
            Self::Provider => "oidc_provider_wrong",
            Self::Away => "oidc_provider_unavailable",
            Self::LogoutToken => "logout_token_invalid",
        }
    }

    /// What it means, and what the operator can do about it.
    pub const fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::State => (
                "Callback of a browser login: its state is not there, too old, used, or of another browser.",
                "The person logs in again. Always? Then the browser keeps no cookie: compare `redirect_uri` \
                 with the address in its bar.",
            ),
            Self::Rejected => (
                "Callback of a browser login: the person refused, the provider rejected the code, or the answer \
                 is not from that provider.",
                "The person logs in again. Always? Compare `redirect_uri` with the provider's.",
            ),
            Self::NotLinked => (
                "Browser login: proven by the provider, but no account here is joined to that person.",
                "`user link` joins them, or `accounts = \"create\"` makes accounts.",
            ),
            Self::Provider => (
                "The provider's answer in a browser login cannot be believed: wrong form, signature, audience, \
                 nonce, or our secret is refused there.",
                "Look for `oidc_provider_failed` in the log: it says which step, and why.",
            ),
            Self::Away => (
                "The provider cannot be asked in a browser login. Sessions that are open go on.",
                "Look for `oidc_provider_failed` and `issuer_keys_not_fetched` in the log.",
            ),
            Self::LogoutToken => (
                "Back-channel logout: no good logout token, or one that came before.",
                "Compare `client_id` and `issuer` with what the provider sends.",
            ),
        }
    }
}
