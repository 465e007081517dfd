//! Handlers of browser login: wire to identity and back.

mod login;
mod logout;

use axum::{
    Router,
    http::HeaderMap,
    middleware,
    routing::{get, post},
};

use super::{BACKCHANNEL_LOGOUT, CALLBACK, LOGIN, LOGOUT, SESSION, wire};
use crate::{
    dialects::{
        App,
        cookies::{Cookie, SameSite},
        exchange::{Answer, Hop, write, wrong_method},
    },
    identity::OidcSettings,
    pipeline::Deny,
};

/// Puts the endpoints before those of the mount's contract.
pub fn beside(app: App, contract: Router) -> Router {
    let router = Router::new()
        .route(LOGIN, get(login::begin))
        .route(CALLBACK, get(login::finish))
        .route(LOGOUT, post(logout::here))
        .route(BACKCHANNEL_LOGOUT, post(logout::by_provider))
        .route(SESSION, get(who))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(write::<wire::Oidc>));
    router.with_state(app).fallback_service(contract)
}

async fn who(hop: Hop) -> Result<Answer, wire::Refusal> {
    Ok(Answer::ok(&wire::who(hop.caller()?)).with(http::header::CACHE_CONTROL, "no-store"))
}

/// The cookie of a session, which may be empty to take it away.
fn session_cookie<'a>(oidc: &'a OidcSettings, value: &'a str) -> Cookie<'a> {
    Cookie {
        name: &oidc.cookie,
        value,
        max_age: oidc.lifetime,
        secure: oidc.secure(),
        // A link from elsewhere finds the person logged in; what changes something is refused from there.
        same_site: SameSite::Lax,
    }
}

/// Whether the client asks for a page: browsers name the type, programs do not.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(http::header::ACCEPT).and_then(|field| field.to_str().ok());
    accept.is_some_and(|field| field.to_ascii_lowercase().contains("text/html"))
}

/// Sends the browser on. The address it comes from holds a code.
fn on(to: &str) -> Result<Answer, Deny> {
    let answer = Answer::redirect(http::StatusCode::SEE_OTHER, to).ok_or(Deny::Internal)?;
    Ok(answer
        .with(http::header::CACHE_CONTROL, "no-store")
        .with(http::header::REFERRER_POLICY, "no-referrer"))
}
