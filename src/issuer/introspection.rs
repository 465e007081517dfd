//! Asking an issuer whether a token is good (RFC 7662): a few calls at a time, and none for a moment while it is away.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::HeaderValue;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    client::{Client, DEADLINE, FetchFault, basic},
    registry::Parts,
    settings::Asking,
};
use crate::pipeline::jwt::{Claims, read_claims};

/// Calls to one issuer at once, and questions that wait for a place among them.
const MAX_CALLS: usize = 64;
const MAX_WAITING: usize = 1024;
/// Longest wait for a place.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a call that says that nobody is answered, nobody else is asked for so long.
const BREATH: Duration = Duration::from_secs(1);
/// What can be the fault of one token is told no more often than this: whoever makes tokens up could fill the log.
const QUIET: Duration = Duration::from_secs(60);

/// The issuer could not be asked, or its answer is none: nothing can be said of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untold;

/// Asks one issuer.
pub struct Asker {
    name: Arc<str>,
    settings: Asking,
    client: Client,
    authorization: HeaderValue,
    parts: Parts,
    calls: Semaphore,
    /// Places of those who call and those who wait for it.
    seats: Semaphore,
    away: Mutex<Away>,
}

#[derive(Default)]
struct Away {
    /// Nobody is asked before.
    until: Option<Instant>,
    /// What was told of it.
    told: Option<&'static str>,
    /// When a fault was told that says nothing of other tokens.
    murmured: Option<Instant>,
}

/// Why a question has no answer.
#[derive(Clone, Copy)]
struct Unanswered {
    reason: &'static str,
    /// Others would have none either.
    about_all: bool,
}

impl Asker {
    pub(super) fn new(name: Arc<str>, settings: Asking, parts: Parts) -> Result<Arc<Self>, String> {
        let failed = |error: String| format!("no client for issuer \"{name}\": {error}");
        let client = Client::new(settings.authorities.as_deref())
            .map_err(|error| failed(error.to_string()))?;
        let authorization = basic(&settings.client_id, &settings.secret)
            .map_err(|error| failed(error.to_string()))?;
        let (calls, away) = (Semaphore::new(MAX_CALLS), Mutex::default());
        let seats = Semaphore::new(MAX_CALLS + MAX_WAITING);
        Ok(Arc::new(Self { name, settings, client, authorization, parts, calls, seats, away }))
    }

    /// Name of the issuer.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn settings(&self) -> &Asking {
        &self.settings
    }

    /// Stands for everything that makes an answer this issuer's: under other settings it is asked again.
    pub fn policy(&self) -> impl std::fmt::Debug + '_ {
        let Asking { url, client_id, secret: _, cache, authorities } = &self.settings;
        (&self.name, url, client_id, cache, authorities)
    }

    /// How long an answer is taken as it is.
    pub fn cache(&self) -> Duration {
        self.settings.cache
    }

    /// What the issuer says of a token; `Ok(None)`: that it is not active.
    pub async fn ask(&self, token: &str) -> Result<Option<Claims>, Untold> {
        let not_asked = || {
            self.parts.metrics.introspection(&self.name, "not_asked");
            Untold
        };
        if self.is_away() {
            return Err(not_asked());
        }
        let _seat = self.seats.try_acquire().map_err(|_| not_asked())?;
        let turn = tokio::time::timeout(PATIENCE, self.calls.acquire()).await;
        let Ok(Ok(_call)) = turn else { return Err(not_asked()) };
        // It may have turned out meanwhile.
        if self.is_away() {
            return Err(not_asked());
        }
        match self.call(token).await {
            Ok(said) => {
                self.came_back();
                let result = if said.is_some() { "active" } else { "inactive" };
                self.parts.metrics.introspection(&self.name, result);
                Ok(said)
            }
            Err(fault) => {
                self.parts.metrics.introspection(&self.name, fault.reason);
                if fault.about_all {
                    self.went_away(fault.reason);
                } else {
                    self.murmur(fault.reason);
                }
                Err(Untold)
            }
        }
    }

    async fn call(&self, token: &str) -> Result<Option<Claims>, Unanswered> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .finish();
        let post = || self.client.post(&self.settings.url, Some(&self.authorization), form.clone());
        let asked = async {
            match post().await {
                // One that it closed just then says nothing of the issuer, and a question may be asked twice.
                Err(FetchFault::Broken) => post().await,
                told => told,
            }
        };
        let reply = tokio::time::timeout(DEADLINE, asked).await;
        let reply = reply.unwrap_or(Err(FetchFault::Timeout)).map_err(|fault| Unanswered {
            reason: fault.reason(),
            about_all: fault.is_about_all(),
        })?;
        read(&reply.body).map_err(|reason| Unanswered { reason, about_all: false })
    }

    fn is_away(&self) -> bool {
        self.away().until.is_some_and(|until| Instant::now() < until)
    }

    fn away(&self) -> std::sync::MutexGuard<'_, Away> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn came_back(&self) {
        let mut away = self.away();
        away.until = None;
        let was_away = away.told.take().is_some();
        drop(away);
        if was_away {
            tracing::info!(event = "introspection_again", issuer = %self.name);
        }
    }

    fn went_away(&self, reason: &'static str) {
        let mut away = self.away();
        away.until = Some(Instant::now() + BREATH);
        let first = away.told.replace(reason) != Some(reason);
        drop(away);
        if first {
            tracing::warn!(event = "introspection_failed", issuer = %self.name, reason);
        }
    }

    /// Tells of an answer that is none: perhaps of this token only.
    fn murmur(&self, reason: &'static str) {
        let now = Instant::now();
        let mut away = self.away();
        let quiet = away.murmured.is_some_and(|at| now.saturating_duration_since(at) < QUIET);
        if !quiet {
            away.murmured = Some(now);
        }
        drop(away);
        if !quiet {
            tracing::warn!(event = "introspection_failed", issuer = %self.name, reason);
        }
    }
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("name", &self.name).finish_non_exhaustive()
    }
}

/// `active` is true or false; anything else is no answer.
fn read(body: &[u8]) -> Result<Option<Claims>, &'static str> {
    let claims = read_claims(body).ok_or("no_answer")?;
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(Some(claims)),
        Some(Value::Bool(false)) => Ok(None),
        _ => Err("no_answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_or_no_is_an_answer() {
        assert!(matches!(read(br#"{"active":true,"sub":"a"}"#), Ok(Some(_))));
        assert_eq!(read(br#"{"active":false,"sub":"a"}"#), Ok(None));
        for body in [
            "",
            "{}",
            "[]",
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            "<html>",
            r#"{"active":true,"active":false}"#,
            r#"{"active":null}"#,
        ] {
            assert_eq!(read(body.as_bytes()), Err("no_answer"), "{body}");
        }
    }
}
