//! Out to the provider and back.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
};

use super::{on, session_cookie, wants_page};
use crate::{
    dialects::{
        App,
        cookies::{self, Cookie, SameSite},
        exchange::{Answer, Asked, Hop},
        oidc::wire::{CallbackQuery, LoginQuery, Page, Refusal},
    },
    identity::{OidcCallback, OidcSettings},
    model::{SystemRandom, opaque, secret::ExposeSecret},
    pipeline::Deny,
};

/// Sends the browser to the provider.
pub(super) async fn begin(
    State(app): State<App>,
    hop: Hop,
    headers: HeaderMap,
    Asked(query): Asked<LoginQuery>,
) -> Result<Answer, Refusal> {
    let oidc = app.identity.oidc(&app.mount)?;
    let start = match app.identity.begin_oidc(&app.mount, query.return_to.as_deref()).await {
        Ok(start) => start,
        Err(error) => {
            let refusal = Refusal::from(error);
            return told(&refusal, &hop, &headers)?.ok_or(refusal);
        }
    };
    let answer = on(start.location.expose_secret())?;
    let cookie = flow_cookie(&oidc, &start.cookie, start.sealed.expose_secret());
    let cookie = Cookie { max_age: start.lifetime, ..cookie };
    Ok(answer.adding(header::SET_COOKIE, cookie.set().ok_or(Deny::Internal)?))
}

/// Takes the browser back, with a session.
pub(super) async fn finish(
    State(app): State<App>,
    hop: Hop,
    headers: HeaderMap,
    Asked(query): Asked<CallbackQuery>,
) -> Result<Answer, Refusal> {
    let oidc = app.identity.oidc(&app.mount)?;
    let state = query.state.as_ref().map(ExposeSecret::expose_secret);
    // Only of a state that can be ours is a name made.
    let flow = state.filter(|text| opaque::digest(text).is_some());
    let flow = flow.map(|state| oidc.flow_cookie(state));
    let callback = OidcCallback {
        code: query.code,
        sealed: flow.as_deref().and_then(|name| cookies::read(&headers, name)),
        state: query.state,
        issuer: query.issuer,
        refused: query.refused,
        session: cookies::read(&headers, &oidc.cookie),
    };
    let finished = app.identity.finish_oidc(&app.mount, callback, &hop.actor()).await;
    let answer = match finished {
        Ok(opened) => {
            let cookie = session_cookie(&oidc, opened.secret.expose_secret()).set();
            on(&opened.return_to)?
                .about(&opened.account)
                .adding(header::SET_COOKIE, cookie.ok_or(Deny::Internal)?)
        }
        Err(error) => {
            let refusal = Refusal::from(error);
            let Some(page) = told(&refusal, &hop, &headers)? else { return Err(refusal) };
            page
        }
    };
    // It is good for one login, whatever came of that.
    let spent = flow.and_then(|name| flow_cookie(&oidc, &name, "").cleared().set());
    Ok(match spent {
        Some(spent) => answer.adding(header::SET_COOKIE, spent),
        None => answer,
    })
}

fn flow_cookie<'a>(oidc: &OidcSettings, name: &'a str, value: &'a str) -> Cookie<'a> {
    Cookie {
        name,
        value,
        max_age: std::time::Duration::ZERO,
        secure: oidc.secure(),
        // The provider's redirect is a navigation from another site, and must bring it.
        same_site: SameSite::Lax,
    }
}

/// A refusal for people, where it is a browser that asks. The reason is told to the edge as for any other.
fn told(refusal: &Refusal, hop: &Hop, headers: &HeaderMap) -> Result<Option<Answer>, Deny> {
    if !wants_page(headers) {
        return Ok(None);
    }
    let nonce = opaque::issue(&SystemRandom).map_err(|_| Deny::Internal)?.0;
    let page = Page::refused(refusal, &hop.0.client.request_id, nonce.expose_secret());
    let policy = HeaderValue::try_from(page.policy).map_err(|_| Deny::Internal)?;
    let answer = Answer::html(refusal.status, page.html)
        .adding(header::CONTENT_SECURITY_POLICY, policy)
        .with(header::CACHE_CONTROL, "no-store")
        .with(header::REFERRER_POLICY, "no-referrer")
        .because(refusal.reason);
    Ok(Some(match refusal.retry_seconds() {
        Some(wait) => answer.adding(header::RETRY_AFTER, HeaderValue::from(wait)),
        None => answer,
    }))
}
