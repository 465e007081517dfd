//! The page of the code flow: asks for name and password, and sends the browser back with a code. It needs no script.

use std::time::Duration;

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use crate::{
    dialects::{
        App,
        cookies::{self, Cookie, SameSite},
        exchange::{Answer, Hop, Sent},
        fields,
        oauth::wire::{AuthorizeQuery, LoginForm, LoginPage, Refusal, fault, wrong_login},
    },
    identity::{GrantFault, Step},
    model::{Digest, SecretString, SystemRandom, opaque, secret::ExposeSecret},
    pipeline::Deny,
};

/// How long somebody may think about a password.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The cookie that binds the page to the browser that asked for it. On loopback without TLS the prefix cannot stand.
fn cookie_name(app: &App) -> &'static str {
    if app.secure_cookies { "__Host-portcullis-authorize" } else { "portcullis-authorize" }
}

/// Shows the page, or sends the browser back at once.
pub(super) async fn ask(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Answer, Refusal> {
    let query = query.unwrap_or_default();
    let asked = read(&query).map_err(fault)?;
    match app.identity.authorizing(&app.mount, &asked.0).await {
        Ok(Step::Back(to)) => Ok(away(&to)?),
        Ok(Step::Ask { client, redirect_uri }) => {
            let brought = cookies::read(&headers, cookie_name(&app));
            let brought = brought.filter(|text| opaque::digest(text.expose_secret()).is_some());
            let bound = match brought {
                Some(bound) => bound,
                None => opaque::issue(&SystemRandom).map_err(|_| Deny::Internal)?.0,
            };
            let page = page(&app, &bound, &query, &client, &redirect_uri, None)?;
            Ok(shown(StatusCode::OK, page, Some((&app, &bound)))?)
        }
        // Nobody to send the browser back to that we know.
        Err(error) => {
            let refusal = Refusal::from(error);
            if refusal.status.is_server_error() {
                return Err(refusal);
            }
            let page = LoginPage::refused(nonce()?.expose_secret());
            Ok(shown(refusal.status, page, None)?.because(refusal.reason))
        }
    }
}

/// Takes name and password, and sends the browser back with a code.
pub(super) async fn enter(
    State(app): State<App>,
    hop: Hop,
    headers: HeaderMap,
    Sent(form): Sent<LoginForm>,
) -> Result<Answer, Refusal> {
    let forged = || fault(GrantFault::Request("This form is not ours, or too old: begin anew"));
    let bound = cookies::read(&headers, cookie_name(&app)).ok_or_else(forged)?;
    let proof = app.identity.form_proof(&bound, &form.request);
    // Digests compare in constant time.
    let same = Digest::of(proof.as_bytes()) == Digest::of(form.proof.as_bytes());
    if !same || !same_origin(&app, &headers) {
        return Err(forged());
    }
    let asked = read(&form.request).map_err(fault)?;
    match app.identity.authorize(&app.mount, &asked.0, form.login, &hop.actor()).await {
        Ok(to) => Ok(away(&to)?),
        Err(error) => {
            let (client, redirect_uri) = match app.identity.authorizing(&app.mount, &asked.0).await
            {
                Ok(Step::Ask { client, redirect_uri }) => (client, redirect_uri),
                _ => return Err(error.into()),
            };
            let words = wrong_login(&error);
            let refusal = Refusal::from(error);
            let Some(words) = words else { return Err(refusal) };
            let page = page(&app, &bound, &form.request, &client, &redirect_uri, Some(words))?;
            let answer = shown(refusal.status, page, Some((&app, &bound)))?;
            let wait = refusal.retry_seconds().map(HeaderValue::from);
            let answer = match wait {
                Some(wait) => answer.adding(header::RETRY_AFTER, wait),
                None => answer,
            };
            Ok(answer.because(refusal.reason))
        }
    }
}

fn read(query: &str) -> Result<AuthorizeQuery, GrantFault> {
    let repeated = |_| GrantFault::Request("A parameter stands twice or is not text");
    fields::parse_query(Some(query)).map_err(repeated)
}

/// Browsers say where a form came from; a form of another site is none of ours (ASVS 3.5).
fn same_origin(app: &App, headers: &HeaderMap) -> bool {
    let Ok(own) = app.identity.authorization_server(&app.mount) else { return false };
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text(header::ORIGIN.as_str()).is_none_or(|origin| {
        let behind = own.issuer.strip_prefix(origin);
        behind.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    origin && site
}

fn page(
    app: &App,
    bound: &SecretString,
    query: &str,
    client: &str,
    redirect_uri: &str,
    wrong: Option<&str>,
) -> Result<LoginPage, Deny> {
    let proof = app.identity.form_proof(bound, query);
    let nonce = nonce()?;
    Ok(LoginPage::form(client, redirect_uri, query, &proof, wrong, nonce.expose_secret()))
}

fn shown(
    status: StatusCode,
    page: LoginPage,
    bound: Option<(&App, &SecretString)>,
) -> Result<Answer, Deny> {
    let policy = HeaderValue::try_from(page.policy).map_err(|_| Deny::Internal)?;
    let answer = Answer::html(status, page.html)
        .adding(header::CONTENT_SECURITY_POLICY, policy)
        .with(header::CACHE_CONTROL, "no-store")
        .with(header::REFERRER_POLICY, "no-referrer");
    let Some((app, bound)) = bound else { return Ok(answer) };
    let cookie = Cookie {
        name: cookie_name(app),
        value: bound.expose_secret(),
        max_age: PATIENCE,
        secure: app.secure_cookies,
        same_site: SameSite::Lax,
    };
    Ok(answer.adding(header::SET_COOKIE, cookie.set().ok_or(Deny::Internal)?))
}

/// 303: the browser asks with GET, and forgets the password (RFC 9700 section 4.12).
fn away(to: &SecretString) -> Result<Answer, Deny> {
    let answer = Answer::redirect(StatusCode::SEE_OTHER, to.expose_secret());
    let answer = answer.ok_or(Deny::Internal)?;
    Ok(answer.with(header::REFERRER_POLICY, "no-referrer").with(header::CACHE_CONTROL, "no-store"))
}

fn nonce() -> Result<SecretString, Deny> {
    opaque::issue(&SystemRandom).map(|(nonce, _)| nonce).map_err(|_| Deny::Internal)
}
