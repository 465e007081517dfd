//! What the configuration says about browser logins through an OpenID provider.

use std::{sync::Arc, time::Duration};

use crate::pipeline::jwt::RelyingParty;

/// Browser logins of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSettings {
    /// Name of the provider among those that are asked.
    pub provider: Arc<str>,
    /// Who we are to whom.
    pub party: RelyingParty,
    /// Our callback, exactly as registered there.
    pub redirect_uri: Arc<str>,
    /// What is asked for, with blanks between; `openid` is among it.
    pub scopes: Arc<str>,
    /// Scheme, host and port of our own pages, from the callback.
    pub origin: Arc<str>,
    /// Prefix of the mount there.
    pub prefix: Arc<str>,
    /// Name of the session's cookie.
    pub cookie: Arc<str>,
    /// Roles of an account that is made at the first login; `None`: only accounts that are joined already may come.
    pub create: Option<Vec<Arc<str>>>,
    /// Whether an address that both sides have proven joins a person to an account, once.
    pub join_by_email: bool,
    /// A session that is not used for so long is over.
    pub idle: Duration,
    /// A session is over after this time, used or not.
    pub lifetime: Duration,
    /// Where browsers go after the logout: a path of our own.
    pub after_logout: Arc<str>,
}

impl OidcSettings {
    /// Whether browsers reach us over TLS, so that cookies can ask for it.
    pub fn secure(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// Name of the cookie that keeps what the login of this state remembers: tabs that log in at once have one each.
    pub fn flow_cookie(&self, state: &str) -> String {
        let host = if self.secure() { "__Host-" } else { "" };
        let tab: String = state.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        format!("{host}portcullis-oidc-{tab}")
    }
}
