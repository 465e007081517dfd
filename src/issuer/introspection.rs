//! Asking an issuer whether a token is good (RFC 7662): a few calls at a time, and none for a moment while it is away.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    client::{Client, DEADLINE, FetchFault},
    registry::Parts,
    settings::Asking,
};
use crate::{
    model::secret::ExposeSecret,
    pipeline::jwt::{Claims, read_claims},
};

/// Calls to one issuer at once.
const MAX_CALLS: usize = 64;
/// After a failed call nobody else is asked for so long.
const BREATH: Duration = Duration::from_secs(1);

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
    away: Mutex<Away>,
}

#[derive(Default)]
struct Away {
    /// Nobody is asked before.
    until: Option<Instant>,
    /// What was told of it.
    told: Option<&'static str>,
}

impl Asker {
    pub(super) fn new(name: Arc<str>, settings: Asking, parts: Parts) -> Result<Arc<Self>, String> {
        let failed = |error: String| format!("no client for issuer \"{name}\": {error}");
        let client = Client::new(settings.authorities.as_deref())
            .map_err(|error| failed(error.to_string()))?;
        let authorization = basic(&settings).map_err(|error| failed(error.to_string()))?;
        let (calls, away) = (Semaphore::new(MAX_CALLS), Mutex::default());
        Ok(Arc::new(Self { name, settings, client, authorization, parts, calls, away }))
    }

    /// Name of the issuer.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn settings(&self) -> &Asking {
        &self.settings
    }

    /// How long an answer is taken as it is.
    pub fn cache(&self) -> Duration {
        self.settings.cache
    }

    /// What the issuer says of a token; `Ok(None)`: that it is not active.
    pub async fn ask(&self, token: &str) -> Result<Option<Claims>, Untold> {
        let now = Instant::now();
        let resting = |away: &Away| away.until.is_some_and(|until| now < until);
        let call = self.calls.try_acquire();
        let (Ok(_call), false) = (call, resting(&self.away())) else {
            self.parts.metrics.introspection(&self.name, "not_asked");
            return Err(Untold);
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .finish();
        let asked = self.client.post(&self.settings.url, &self.authorization, form);
        let reply = tokio::time::timeout(DEADLINE, asked).await;
        let reply = reply.unwrap_or(Err(FetchFault::Timeout));
        match reply.map_err(FetchFault::reason).and_then(|reply| read(&reply.body)) {
            Ok(said) => {
                self.came_back();
                let result = if said.is_some() { "active" } else { "inactive" };
                self.parts.metrics.introspection(&self.name, result);
                Ok(said)
            }
            Err(reason) => {
                self.went_away(now, reason);
                self.parts.metrics.introspection(&self.name, reason);
                Err(Untold)
            }
        }
    }

    fn away(&self) -> std::sync::MutexGuard<'_, Away> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn came_back(&self) {
        let before = std::mem::take(&mut *self.away());
        if before.told.is_some() {
            tracing::info!(event = "introspection_again", issuer = %self.name);
        }
    }

    fn went_away(&self, now: Instant, reason: &'static str) {
        let mut away = self.away();
        away.until = Some(now + BREATH);
        let first = away.told.replace(reason) != Some(reason);
        drop(away);
        if first {
            tracing::warn!(event = "introspection_failed", issuer = %self.name, reason);
        }
    }
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("name", &self.name).finish_non_exhaustive()
    }
}

/// `client_secret_basic` (RFC 6749 section 2.3.1): both halves in the form of a form first.
fn basic(settings: &Asking) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let coded =
        |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = format!("{}:{}", coded(&settings.client_id), coded(settings.secret.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))?;
    value.set_sensitive(true);
    Ok(value)
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
    use url::Url;

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

    #[test]
    fn a_client_proves_itself_as_forms_write_it() {
        let asking = Asking {
            url: Url::parse("https://a.example/").unwrap(),
            client_id: "a:b c".into(),
            secret: "p+\u{e9}".into(),
            cache: Duration::ZERO,
            authorities: None,
        };
        let value = basic(&asking).unwrap();
        let coded = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        assert_eq!(STANDARD.decode(coded).unwrap(), b"a%3Ab+c:p%2B%C3%A9");
        assert!(value.is_sensitive());
    }
}
