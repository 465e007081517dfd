//! The toy provider: hh.ru's three addresses with its rules, for the login of the demo. It believes everybody.
//!
//! A browser gets a page that asks for consent; whoever does not ask for HTML is sent back at once, so that scripts need
//! no page. `POST /toy` changes how it behaves: `{"expires_in": 5, "person": "…", "instant": true}`.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use self::rules::{Rules, Traded};
use super::contracts::Played;
use crate::{
    identity::{Actor, Identity},
    run::RunError,
};

mod rules;

/// Its port, before the offset.
pub(super) const PORT: u16 = 9902;
/// The port that browsers reach the gateway's callback at, before the offset.
const GATEWAY: u16 = 8000;
/// The file that `conf/demo.toml` names for the client's secret, and its text.
pub(super) const SECRET: (&str, &str) = ("hh-client.secret", "the-demo-client-secret-is-no-secret");
/// Whom the allow list of the demo holds, and who logs in unless another one is named.
pub(super) const PERSON: &str = "174714255";

/// What the gateway must know of its address.
pub(super) fn sets(address: SocketAddr) -> Vec<String> {
    let gateway =
        SocketAddr::new(address.ip(), address.port().wrapping_sub(PORT).wrapping_add(GATEWAY));
    let provider = "mount.hh.provider";
    vec![
        format!("{provider}.authorize_url=http://{address}/oauth/authorize"),
        format!("{provider}.token_url=http://{address}/token"),
        format!("{provider}.profile_url=http://{address}/me"),
        format!("{provider}.redirect_uri=http://{gateway}/auth/callback"),
        // Published pages write the address with this name, and a cookie of one host is none of the other.
        format!(
            "{provider}.other_redirect_uris=[\"http://localhost:{}/auth/callback\"]",
            gateway.port()
        ),
    ]
}

/// Serves on the current runtime until the process ends.
pub(super) fn start(listener: TcpListener) -> Result<(), RunError> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let app = Router::new()
        .route("/oauth/authorize", get(authorize))
        .route("/oauth/decide", get(decide))
        .route("/token", post(token))
        .route("/me", get(me))
        .route("/toy", post(change))
        .with_state(Arc::new(Rules::default()));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(event = "toy_provider_ended", %error);
        }
    });
    Ok(())
}

/// Puts the person on the allow list of the mount that has one.
pub(super) async fn allow(identity: &Identity, played: &Played) -> Result<(), RunError> {
    let mount = played.mount.into();
    if identity.oauth(&mount).is_err() {
        return Ok(());
    }
    let by = Actor::operator();
    let allowed = identity.allow(&mount, PERSON, Some("the demo's own person"), "demo", &by).await;
    allowed.map(drop).map_err(|error| RunError::Demo(format!("allow {PERSON}: {error}")))
}

/// What the browser brings.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    client_id: String,
    redirect_uri: String,
    state: String,
    /// Who answers; left out, the present person.
    person: String,
    /// `allow` or `refuse`.
    answer: String,
}

async fn authorize(
    State(rules): State<Arc<Rules>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    if !is_loopback(&asked.redirect_uri) {
        return (StatusCode::BAD_REQUEST, "redirect_uri is not of this machine\n").into_response();
    }
    let accept = headers.get(header::ACCEPT).and_then(|field| field.to_str().ok());
    let browser = accept.is_some_and(|accept| accept.contains("text/html"));
    if !browser || rules.instant() {
        return sent_back(&rules, &asked, true);
    }
    let field = |name: &str, value: &str| {
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value))
    };
    let page = CONSENT
        .replace("{{client}}", &escaped(&asked.client_id))
        .replace("{{person}}", &escaped(&rules.person()))
        .replace("{{redirect}}", &field("redirect_uri", &asked.redirect_uri))
        .replace("{{state}}", &field("state", &asked.state));
    Html(page).into_response()
}

async fn decide(State(rules): State<Arc<Rules>>, Query(asked): Query<Asked>) -> Response {
    if !is_loopback(&asked.redirect_uri) {
        return (StatusCode::BAD_REQUEST, "redirect_uri is not of this machine\n").into_response();
    }
    sent_back(&rules, &asked, asked.answer == "allow")
}

fn sent_back(rules: &Rules, asked: &Asked, agreed: bool) -> Response {
    let sign = if asked.redirect_uri.contains('?') { '&' } else { '?' };
    let what = if agreed {
        let person = if asked.person.is_empty() { rules.person() } else { asked.person.clone() };
        format!("code={}", rules.code(&person, &asked.redirect_uri))
    } else {
        "error=access_denied".to_owned()
    };
    // The state is the gateway's own, in URL-safe letters; others get it back as harmless.
    let state: String =
        asked.state.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    Redirect::to(&format!("{}{sign}{what}&state={state}", asked.redirect_uri)).into_response()
}

async fn token(State(rules): State<Arc<Rules>>, headers: HeaderMap, body: Bytes) -> Response {
    if !headers.contains_key(header::USER_AGENT) {
        return nobody();
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let field = |name: &str| {
        let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(own, _)| *own == name).map(|(_, value)| value.replace('+', " "));
        percent_decode_str(&found.unwrap_or_default()).decode_utf8_lossy().into_owned()
    };
    let traded = match field("grant_type").as_str() {
        "authorization_code" if field("client_secret") != SECRET.1 => {
            Traded::Refused("invalid_client", "client_secret is wrong")
        }
        "authorization_code" => rules.trade(&field("code"), &field("redirect_uri")),
        "refresh_token" => rules.refresh(&field("refresh_token")),
        _ => Traded::Refused("unsupported_grant_type", "grant_type"),
    };
    match traded {
        Traded::Issued { access, refresh, expires_in } => Json(json!({
            "access_token": access, "token_type": "bearer",
            "refresh_token": refresh, "expires_in": expires_in,
        }))
        .into_response(),
        Traded::Refused(error, why) => {
            let body = json!({ "error": error, "error_description": why });
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

async fn me(State(rules): State<Arc<Rules>>, headers: HeaderMap) -> Response {
    if !headers.contains_key(header::USER_AGENT) {
        return nobody();
    }
    let field = headers.get(header::AUTHORIZATION).and_then(|field| field.to_str().ok());
    let token = field.and_then(|field| field.strip_prefix("Bearer ")).unwrap_or_default();
    match rules.holder(token) {
        Some(person) => Json(json!({
            "id": person, "email": format!("{person}@example.com"),
            "first_name": "Иван", "last_name": "Петров", "middle_name": null,
        }))
        .into_response(),
        // Not 401: that is how hh.ru does it.
        None => {
            let body = json!({ "errors": [{ "type": "oauth", "value": "token_expired" }] });
            (StatusCode::FORBIDDEN, Json(body)).into_response()
        }
    }
}

async fn change(State(rules): State<Arc<Rules>>, Json(wish): Json<Value>) -> Json<Value> {
    Json(rules.change(&wish))
}

fn nobody() -> Response {
    let body = json!({ "errors": [{ "type": "bad_user_agent" }] });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// The toy sends codes to this machine only.
fn is_loopback(uri: &str) -> bool {
    let parsed = uri.parse::<http::Uri>().ok();
    let host = parsed.as_ref().and_then(http::Uri::host).unwrap_or_default();
    host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const CONSENT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><title>Toy provider</title></head><body>\
    <h1>Toy provider of the demo</h1><p><b>{{client}}</b> wants to know who you are.</p>\
    <form action=\"decide\" method=\"get\">{{redirect}}{{state}}\
    <p><label>You are <input name=\"person\" value=\"{{person}}\"></label></p>\
    <button id=\"allow\" name=\"answer\" value=\"allow\">Allow</button> \
    <button id=\"refuse\" name=\"answer\" value=\"refuse\">Refuse</button></form></body></html>";
