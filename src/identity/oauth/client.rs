//! The provider's three addresses, asked through the `oauth2` library: authorize, token, profile.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use http::{HeaderValue, header};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse},
};

use super::{OAuthSettings, Outgoing, outgoing::CallError, profile::Profile};
use crate::{
    identity::{ForeignFault, IdentityError},
    model::{SecretString, Timestamp, secret::ExposeSecret},
};

/// What `expires_in` is taken for where a provider does not say.
const UNSAID: std::time::Duration = std::time::Duration::from_secs(3600);
/// What hh.ru answers to a refresh that comes too early.
const NOT_EXPIRED: &str = "token not expired";

type Library =
    BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A provider, ready to be asked.
pub(super) struct Provider<'a> {
    settings: Arc<OAuthSettings>,
    outgoing: &'a Outgoing,
    library: Library,
}

/// Tokens as the provider gave them.
pub(super) struct Given {
    pub(super) access: SecretString,
    pub(super) refresh: Option<SecretString>,
    pub(super) expires_at: Timestamp,
}

/// What a refresh brought.
pub(super) enum Renewed {
    /// New tokens.
    Given(Given),
    /// The present ones are still good, and the provider renews no good ones.
    NotYet,
    /// The provider will never renew these.
    Refused,
}

impl<'a> Provider<'a> {
    pub(super) fn new(
        settings: &Arc<OAuthSettings>,
        outgoing: &'a Outgoing,
        redirect_uri: &str,
    ) -> Result<Self, IdentityError> {
        // The configuration was checked when it was loaded.
        let wrong = |_| IdentityError::Internal;
        let secret = settings.client_secret.expose_secret().to_owned();
        let library = BasicClient::new(ClientId::new(settings.client_id.to_string()))
            .set_client_secret(ClientSecret::new(secret))
            .set_auth_uri(AuthUrl::new(settings.authorize_url.to_string()).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(settings.token_url.to_string()).map_err(wrong)?)
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(wrong)?)
            .set_auth_type(AuthType::RequestBody);
        Ok(Self { settings: settings.clone(), outgoing, library })
    }

    /// Where the browser is to go.
    pub(super) fn authorize(
        &self,
        state: &SecretString,
        verifier: Option<&SecretString>,
    ) -> SecretString {
        let state = CsrfToken::new(state.expose_secret().to_owned());
        let mut request = self.library.authorize_url(|| state);
        if let Some(verifier) = verifier {
            let challenge = PkceCodeChallenge::from_code_verifier_sha256(&pkce(verifier));
            request = request.set_pkce_challenge(challenge);
        }
        let (url, _) = request.url();
        String::from(url).into()
    }

    /// Trades the code of a callback. `None`: the provider rejects it.
    pub(super) async fn trade(
        &self,
        code: &SecretString,
        verifier: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Option<Given>, IdentityError> {
        use BasicErrorResponseType::{InvalidGrant, InvalidRequest};
        let code = AuthorizationCode::new(code.expose_secret().to_owned());
        let mut request = self.library.exchange_code(code);
        if let Some(verifier) = verifier {
            request = request.set_pkce_verifier(pkce(verifier));
        }
        let call = self.call(true);
        match request.request_async(&call).await {
            Ok(reply) => Ok(Some(given(&reply, now))),
            Err(RequestTokenError::ServerResponse(said))
                if matches!(said.error(), InvalidGrant | InvalidRequest) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failed("token", &error, &call)),
        }
    }

    /// Trades a refresh token.
    pub(super) async fn renew(
        &self,
        refresh: &SecretString,
        now: Timestamp,
    ) -> Result<Renewed, IdentityError> {
        let token = RefreshToken::new(refresh.expose_secret().to_owned());
        let call = self.call(self.settings.client_at_refresh);
        match self.library.exchange_refresh_token(&token).request_async(&call).await {
            Ok(reply) => Ok(Renewed::Given(given(&reply, now))),
            Err(RequestTokenError::ServerResponse(said))
                if *said.error() == BasicErrorResponseType::InvalidGrant =>
            {
                let why = said.error_description().map_or("", String::as_str);
                let early = why.trim().eq_ignore_ascii_case(NOT_EXPIRED);
                Ok(if early { Renewed::NotYet } else { Renewed::Refused })
            }
            // A clear no in other words than the standard's.
            Err(RequestTokenError::Parse(..)) if call.was_refused() => Ok(Renewed::Refused),
            Err(error) => Err(self.failed("refresh", &error, &call)),
        }
    }

    /// Asks who the holder of an access token is.
    pub(super) async fn profile(&self, access: &SecretString) -> Result<Profile, IdentityError> {
        let call = self.call(true);
        let bearer = format!("Bearer {}", access.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| IdentityError::Internal)?;
        bearer.set_sensitive(true);
        let request = http::Request::get(&*self.settings.profile_url)
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|_| IdentityError::Internal)?;
        let reply = call.send(request).await;
        let reply = reply.map_err(|error| self.told("profile", &error.to_string(), &call))?;
        if !reply.status().is_success() {
            return Err(self.told("profile", "not a success", &call));
        }
        Profile::read(reply.body()).ok_or_else(|| self.told("profile", "no id in it", &call))
    }

    fn call(&self, with_client: bool) -> Call<'a> {
        let (settings, outgoing) = (self.settings.clone(), self.outgoing);
        Call { settings, outgoing, with_client, status: AtomicU16::new(0) }
    }

    fn failed(
        &self,
        step: &'static str,
        error: &RequestTokenError<CallError, BasicErrorResponse>,
        call: &Call<'_>,
    ) -> IdentityError {
        match error {
            // The error word is the provider's, from a closed set or an extension: its text stays out.
            RequestTokenError::ServerResponse(said) => match said.error() {
                BasicErrorResponseType::Extension(_) => self.told(step, "refused", call),
                known => self.told(step, known.as_ref(), call),
            },
            RequestTokenError::Request(error) => self.told(step, &error.to_string(), call),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                self.told(step, "not a token reply", call)
            }
        }
    }

    /// The operator hears step, status and kind; contents and addresses may hold secrets.
    fn told(&self, step: &'static str, why: &str, call: &Call<'_>) -> IdentityError {
        let status = call.status.load(Ordering::Relaxed);
        let provider = &*self.settings.provider;
        tracing::warn!(event = "provider_failed", provider, step, status, why);
        IdentityError::Foreign(ForeignFault::Provider)
    }
}

/// One call in the provider's manner, as the library makes it.
struct Call<'a> {
    settings: Arc<OAuthSettings>,
    outgoing: &'a Outgoing,
    with_client: bool,
    /// Of the reply, for the log.
    status: AtomicU16,
}

impl Call<'_> {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, CallError> {
        // hh.ru answers nobody without one.
        let agent = HeaderValue::try_from(&*self.settings.user_agent);
        let agent = agent.map_err(|_| CallError::Unreadable)?;
        request.headers_mut().insert(header::USER_AGENT, agent);
        if !self.with_client {
            let bare = without_client(request.body());
            *request.body_mut() = bare;
        }
        let reply = self.outgoing.call(request, self.settings.timeout).await?;
        self.status.store(reply.status().as_u16(), Ordering::Relaxed);
        Ok(reply)
    }

    fn was_refused(&self) -> bool {
        matches!(self.status.load(Ordering::Relaxed), 400 | 401 | 403)
    }
}

impl<'c> AsyncHttpClient<'c> for Call<'_> {
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn pkce(verifier: &SecretString) -> PkceCodeVerifier {
    PkceCodeVerifier::new(verifier.expose_secret().to_owned())
}

fn given(reply: &BasicTokenResponse, now: Timestamp) -> Given {
    Given {
        access: reply.access_token().secret().clone().into(),
        refresh: reply.refresh_token().map(|token| token.secret().clone().into()),
        expires_at: now + reply.expires_in().unwrap_or(UNSAID),
    }
}

/// The form without the fields that name the client. The library always writes them; hh.ru wants the bare token.
fn without_client(form: &[u8]) -> Vec<u8> {
    let fields = form.split(|byte| *byte == b'&');
    let kept: Vec<&[u8]> = fields
        .filter(|field| !field.starts_with(b"client_id=") && !field.starts_with(b"client_secret="))
        .collect();
    kept.join(&b"&"[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_refresh_names_no_client() {
        let whole =
            b"grant_type=refresh_token&refresh_token=r%26client_id%3D&client_id=a&client_secret=b";
        assert_eq!(
            without_client(whole),
            b"grant_type=refresh_token&refresh_token=r%26client_id%3D"
        );
    }
}
