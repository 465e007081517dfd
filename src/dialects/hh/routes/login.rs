//! Out to the provider and back.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::App;
use crate::{
    dialects::{
        cookies::{self, Cookie, SameSite},
        exchange::{Answer, Asked, Hop},
        hh::wire::{CallbackQuery, Language, Page, Refusal, Start},
    },
    identity::{OAuthSettings, oauth::Callback},
    model::{SecretString, SystemRandom, opaque, secret::ExposeSecret},
    pipeline::Deny,
};

/// The cookie that binds a login's state to the browser that began it. The prefix makes browsers refuse one that another
/// host of the domain has set; on loopback without TLS there is none.
fn cookie_name(oauth: &OAuthSettings) -> &'static str {
    if oauth.secure() { "__Host-portcullis-login" } else { "portcullis-login" }
}

/// What the browser brought of it. The other cookies are the client applications' own.
fn browser(headers: &HeaderMap, oauth: &OAuthSettings) -> Option<SecretString> {
    cookies::read(headers, cookie_name(oauth))
}

/// The host that the browser asked, as the edge tells it.
fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-forwarded-host")?.to_str().ok()
}

/// Sends the browser to the provider.
pub(super) async fn begin(State(app): State<App>, headers: HeaderMap) -> Result<Answer, Refusal> {
    let oauth = app.identity.oauth(&app.mount)?;
    let brought = browser(&headers, &oauth);
    let start = app.identity.begin_login(&app.mount, host(&headers), brought.as_ref()).await?;
    if oauth.json_login {
        return Ok(Answer::ok(&Start::from(&start)));
    }
    let answer = Answer::redirect(StatusCode::FOUND, start.authorization_url.expose_secret());
    let answer = answer.ok_or(Deny::Internal)?;
    let bound = start.browser.as_ref().ok_or(Deny::Internal)?;
    let cookie = Cookie {
        name: cookie_name(&oauth),
        value: bound.expose_secret(),
        max_age: start.lifetime,
        secure: oauth.secure(),
        // The provider's redirect is a navigation from another site, and must bring it.
        same_site: SameSite::Lax,
    };
    let cookie = cookie.set().ok_or(Deny::Internal)?;
    Ok(answer.adding(header::SET_COOKIE, cookie).with(header::REFERRER_POLICY, "no-referrer"))
}

/// Takes the browser back: a page with the exchange code, or the operator's page.
pub(super) async fn finish(
    State(app): State<App>,
    hop: Hop,
    headers: HeaderMap,
    Asked(query): Asked<CallbackQuery>,
) -> Result<Answer, Refusal> {
    let oauth = app.identity.oauth(&app.mount)?;
    let callback = Callback {
        // A report of an error is never a consent, whatever else stands in the query.
        code: query.code.filter(|_| !query.refused),
        state: query.state,
        browser: browser(&headers, &oauth),
    };
    let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|field| field.to_str().ok());
    let language = Language::asked(language);
    match app.identity.finish_login(&app.mount, callback, &hop.actor()).await {
        Ok(code) => Ok(handed_on(&oauth, &code, language)?),
        Err(error) => {
            let refusal = Refusal::from(error);
            // What says when to come back stays the contract's object.
            if refusal.retry_after.is_some() || !wants_page(&headers) {
                return Err(refusal);
            }
            Ok(refused(&oauth, &refusal, language)?)
        }
    }
}

fn handed_on(
    oauth: &OAuthSettings,
    code: &SecretString,
    language: Language,
) -> Result<Answer, Deny> {
    let code = code.expose_secret();
    if let Some(page) = &oauth.redirect_page {
        let sign = if page.contains('?') { '&' } else { '?' };
        let code = utf8_percent_encode(code, NON_ALPHANUMERIC);
        let answer =
            Answer::redirect(StatusCode::FOUND, &format!("{page}{sign}exchange_code={code}"));
        let answer = answer.ok_or(Deny::Internal)?;
        return Ok(answer.with(header::REFERRER_POLICY, "no-referrer"));
    }
    let minutes = oauth.code_lifetime.as_secs().div_ceil(60);
    let nonce = nonce()?;
    shown(oauth, StatusCode::OK, Page::code(language, code, minutes, nonce.expose_secret()))
}

/// A refusal for people. The reason is told to the edge as for any other.
fn refused(oauth: &OAuthSettings, refusal: &Refusal, language: Language) -> Result<Answer, Deny> {
    let nonce = nonce()?;
    let status = refusal.status.as_u16();
    let page = Page::refusal(language, status, &refusal.text, nonce.expose_secret());
    Ok(shown(oauth, refusal.status, page)?.because(refusal.reason))
}

fn shown(oauth: &OAuthSettings, status: StatusCode, page: Page) -> Result<Answer, Deny> {
    let policy = HeaderValue::try_from(page.policy);
    let policy = policy.map_err(|_| Deny::Internal)?;
    let answer = Answer::html(status, page.html);
    // Of this host alone: what else the domain serves is not ours to decide (RFC 6797 section 6.1).
    let answer = match oauth.secure() {
        true => answer.with(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        false => answer,
    };
    Ok(answer
        .adding(header::CONTENT_SECURITY_POLICY, policy)
        .with(header::CACHE_CONTROL, "no-store")
        .with(header::REFERRER_POLICY, "no-referrer")
        .with(header::VARY, "accept-language"))
}

/// Random, so that nothing that was slipped into the page can carry it.
fn nonce() -> Result<SecretString, Deny> {
    let made = opaque::issue(&SystemRandom);
    made.map(|(nonce, _)| nonce).map_err(|_| Deny::Internal)
}

/// Whether the client asks for a page: browsers name the type, programs do not.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|field| field.to_str().ok());
    accept.is_some_and(|field| field.to_ascii_lowercase().contains("text/html"))
}
