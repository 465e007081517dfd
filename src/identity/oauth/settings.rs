//! What the configuration says about a provider and about the logins through it.

use std::{sync::Arc, time::Duration};

use crate::model::SecretString;

/// One provider as one mount uses it.
#[derive(Clone, Debug)]
pub struct OAuthSettings {
    /// Name in the store: people are (provider, id).
    pub provider: Arc<str>,
    /// Where the browser is sent.
    pub authorize_url: Arc<str>,
    /// Where codes and refresh tokens are traded.
    pub token_url: Arc<str>,
    /// What tells who somebody is.
    pub profile_url: Arc<str>,
    /// Our name there.
    pub client_id: Arc<str>,
    /// Our secret there.
    pub client_secret: SecretString,
    /// Our callback, exactly as registered there.
    pub redirect_uri: Arc<str>,
    /// The callback at other hosts that browsers reach us at: the state's cookie is of the host where the login began.
    pub other_redirect_uris: Arc<[Arc<str>]>,
    /// `User-Agent` of every call.
    pub user_agent: Arc<str>,
    /// Whether codes are bound to a verifier (RFC 7636), where the provider can.
    pub pkce: bool,
    /// Whether a refresh names the client as well; hh.ru wants the bare token.
    pub client_at_refresh: bool,
    /// Deadline of one call.
    pub timeout: Duration,
    /// Life of a login's state.
    pub state_lifetime: Duration,
    /// Life of an exchange code.
    pub code_lifetime: Duration,
    /// Life of a session, from the exchange on.
    pub session_lifetime: Duration,
    /// Whether taking a person off the allow list also ends its sessions.
    pub removal_ends_sessions: bool,
    /// Page of the operator's that gets the exchange code in its query; `None`: a page of ours shows it.
    pub redirect_page: Option<Arc<str>>,
    /// Answer the login with JSON; the state is then bound to no browser.
    pub json_login: bool,
}

impl OAuthSettings {
    /// The callback at the host that the browser asked, else the first.
    pub fn callback_at(&self, host: Option<&str>) -> &Arc<str> {
        let here = |uri: &&Arc<str>| {
            let uri = uri.parse::<http::Uri>().ok();
            let own = uri.as_ref().and_then(http::Uri::authority);
            own.is_some_and(|own| host.is_some_and(|host| own.as_str().eq_ignore_ascii_case(host)))
        };
        let mut all = [&self.redirect_uri].into_iter().chain(self.other_redirect_uris.iter());
        all.find(here).unwrap_or(&self.redirect_uri)
    }

    /// Whether browsers reach us over TLS, so that the state's cookie can ask for it.
    pub fn secure(&self) -> bool {
        self.redirect_uri.starts_with("https://")
    }
}
