//! The identity node's end: answers questions of edge nodes, and hands on what they forward of clients.
//!
//! Whoever gets here has shown a certificate of a node. What it says about a client is believed for that alone.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{
    lines,
    words::{
        ALIVE, ASSERTION, AskedChanges, AskedFacts, AskedKey, AskedSession, CHANGES, ENDED, EVENTS,
        FACTS, KEY, KeyWords, Lost, NEWS, Page, SESSION, SessionWords, Signed, USES,
    },
};
use crate::{
    identity::{AskedAssertion, AuditEvent, Facts, Identity, IdentityError, Origin, Uses, line_of},
    model::{
        Digest,
        hop::{self, CONTEXT_HEADER, HopNews, NEWS_HEADER},
    },
    pipeline::News,
};

/// Longest body of a question.
const BODY_LIMIT: usize = 1024 * 1024;
/// Changes that are asked for at once.
const MOST_CHANGES: u32 = 5000;
/// News told with one answer: they stand in one header field.
const MOST_NEWS: usize = 150;
/// How often something is said where there is nothing to say: whoever hears nothing takes the line for dead.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Everything that is answered over the link. `contract`: what answers requests of clients.
/// `stop`: what never ends by itself ends then.
pub fn router(identity: Identity, contract: Router, stop: watch::Receiver<bool>) -> Router {
    let questions = Router::new()
        .route(ALIVE, get(alive))
        .route(KEY, post(key))
        .route(SESSION, post(session))
        .route(ASSERTION, post(assertion))
        .route(FACTS, post(facts))
        .route(CHANGES, post(changes))
        .route(ENDED, get(ended))
        .route(NEWS, get(news))
        .route(USES, post(uses))
        .route(EVENTS, post(events))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(Extension(stop))
        .with_state(identity.clone());
    Router::new().fallback(either).with_state(Ends { identity, contract, questions })
}

#[derive(Clone)]
struct Ends {
    identity: Identity,
    contract: Router,
    questions: Router,
}

/// A request with a context is a client's, whatever its path; one without is the edge node's own.
async fn either(State(ends): State<Ends>, request: Request) -> Response {
    if !request.headers().contains_key(CONTEXT_HEADER) {
        return ends.questions.oneshot(request).await.unwrap_or_else(never);
    }
    let witness = ends.identity.witness();
    let mut response = ends.contract.oneshot(request).await.unwrap_or_else(never);
    let news = told(witness.seen(MOST_NEWS));
    if news != HopNews::default()
        && let Ok(value) = HeaderValue::from_str(&hop::encode(&news))
    {
        response.headers_mut().insert(NEWS_HEADER, value);
    }
    response
}

fn never(never: Infallible) -> Response {
    match never {}
}

fn told(seen: Vec<News>) -> HopNews {
    let mut news = HopNews::default();
    for one in seen {
        match one {
            News::Token(id) => news.tokens.push(id),
            News::Session(id) => news.sessions.push(id),
            News::Key(id) => news.keys.push(id),
            News::Account(id) => news.accounts.push(id),
            News::Anything => news.anything = true,
        }
    }
    news
}

/// Why there is no answer. Says nothing else.
struct Not(IdentityError);

impl From<IdentityError> for Not {
    fn from(error: IdentityError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Not {
    fn into_response(self) -> Response {
        match self.0 {
            IdentityError::NotFound => StatusCode::NOT_FOUND,
            IdentityError::Unavailable | IdentityError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
        .into_response()
    }
}

async fn alive(State(identity): State<Identity>) -> StatusCode {
    let works = Origin::healthy(&identity).await;
    if works { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn key(
    State(identity): State<Identity>,
    Json(asked): Json<AskedKey>,
) -> Result<Json<Option<KeyWords>>, Not> {
    let found = Origin::key(&identity, &asked.mount, &asked.id).await?;
    Ok(Json(found.map(|found| KeyWords::of(&found))))
}

async fn session(
    State(identity): State<Identity>,
    Json(asked): Json<AskedSession>,
) -> Result<Json<Option<SessionWords>>, Not> {
    let digest = Digest::from_slice(&asked.secret).ok_or(IdentityError::Internal)?;
    let found = Origin::session(&identity, &asked.mount, &digest).await?;
    Ok(Json(found.map(|found| SessionWords::of(&found))))
}

async fn assertion(
    State(identity): State<Identity>,
    Json(asked): Json<AskedAssertion>,
) -> Result<Json<Signed>, Not> {
    let (text, end) = Origin::assertion(&identity, &asked).await?;
    Ok(Json(Signed { text, end }))
}

async fn facts(
    State(identity): State<Identity>,
    Json(asked): Json<AskedFacts>,
) -> Result<Json<Facts>, Not> {
    Ok(Json(identity.facts(&asked.sets).await?))
}

async fn changes(
    State(identity): State<Identity>,
    Json(asked): Json<AskedChanges>,
) -> Result<Json<Page>, Not> {
    let limit = asked.limit.min(MOST_CHANGES);
    let page = Origin::changes_since(&identity, asked.after, limit).await?;
    Ok(Json(Page::of(page)))
}

async fn ended(State(identity): State<Identity>) -> Result<Body, Not> {
    let ended = Origin::ended(&identity).await?;
    let pieces = lines::write(ended).map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
    Ok(Body::from_stream(stream::iter(pieces)))
}

async fn news(
    State(identity): State<Identity>,
    Extension(stop): Extension<watch::Receiver<bool>>,
) -> Body {
    let line = (identity.announcements(), stop);
    Body::from_stream(stream::unfold(line, |(mut announced, mut stop)| async move {
        let heard = tokio::select! {
            heard = tokio::time::timeout(HEARTBEAT, announced.heard.recv()) => heard,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        let said = match heard {
            Ok(Some(said)) => format!("{}\n", line_of(&said)),
            Ok(None) => return None,
            Err(_) => "\n".to_owned(),
        };
        Some((Ok::<_, Infallible>(Bytes::from(said)), (announced, stop)))
    }))
}

async fn uses(State(identity): State<Identity>, Json(uses): Json<Uses>) -> StatusCode {
    identity.note(&uses).await;
    StatusCode::NO_CONTENT
}

async fn events(
    State(identity): State<Identity>,
    Json(events): Json<Vec<AuditEvent>>,
) -> Json<Lost> {
    // To the end, also when the edge node goes away: events half recorded would be counted as lost.
    let lost = identity.record(events).await;
    Json(Lost { lost })
}
