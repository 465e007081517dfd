//! Logging people in through an OpenID provider (OpenID Connect Core 1.0): what it says of itself, the trade of a code, and what
//! its keys say of a token.

use std::{
    sync::{Arc, LazyLock},
    time::Instant,
};

use http::HeaderValue;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    client::{Client, DEADLINE, FetchFault, basic},
    discovery::Described,
    keeper::Keeper,
    registry::Parts,
    settings,
};
use crate::{
    model::{SecretString, secret::ExposeSecret},
    pipeline::jwt::{KeySet, Unproven, read_claims},
};

/// Trades with one provider at once.
const MAX_CALLS: usize = 64;

/// Why nothing came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be asked now: nothing can be said.
    Away(&'static str),
    /// Its answer is none that can be used.
    Wrong(&'static str),
    /// It says that the code is no good.
    Refused,
}

/// What a code was traded for.
#[derive(Debug)]
pub struct Given {
    /// Who logged in; not verified yet.
    pub id_token: SecretString,
    /// The access token beside it.
    pub access_token: Option<SecretString>,
}

/// One provider, as one mount uses it.
pub struct OpenId {
    settings: settings::Client,
    keeper: Arc<Keeper>,
    client: Client,
    authorization: HeaderValue,
    parts: Parts,
    calls: Semaphore,
}

impl OpenId {
    pub(super) fn new(
        keeper: Arc<Keeper>,
        settings: settings::Client,
        parts: Parts,
    ) -> Result<Arc<Self>, String> {
        let name = keeper.name();
        let failed = |error: String| format!("no client for \"{name}\": {error}");
        let authorities = keeper.settings().authorities.as_deref();
        let client = Client::new(authorities).map_err(|error| failed(error.to_string()))?;
        let authorization = basic(&settings.client_id, &settings.secret)
            .map_err(|error| failed(error.to_string()))?;
        let calls = Semaphore::new(MAX_CALLS);
        Ok(Arc::new(Self { settings, keeper, client, authorization, parts, calls }))
    }

    /// Its name: that of the mount, with `.oidc_login` behind it.
    pub fn name(&self) -> &Arc<str> {
        self.keeper.name()
    }

    pub(super) fn settings(&self) -> &settings::Client {
        &self.settings
    }

    pub(super) fn keeper_is(&self, keeper: &Arc<Keeper>) -> bool {
        Arc::ptr_eq(&self.keeper, keeper)
    }

    /// Counts the end of a login: `ok`, or why it was refused.
    pub fn count(&self, result: &'static str) {
        self.parts.metrics.oidc_login(self.name(), result);
    }

    /// What the provider says of itself. Waits where it has never been heard, but not for long.
    pub async fn described(&self) -> Result<Arc<Described>, Trouble> {
        const AWAY: Trouble = Trouble::Away("no_metadata");
        if let Some(found) = self.keeper.described() {
            return Ok(found);
        }
        let mut waiting = self.keeper.wait(Instant::now()).map_err(|_| AWAY)?;
        // Looked at once more first: a fetch may have ended before the wait began.
        loop {
            if let Some(found) = self.keeper.described() {
                return Ok(found);
            }
            waiting.next().await.map_err(|_| AWAY)?;
        }
    }

    /// The same, without waiting.
    pub fn known(&self) -> Option<Arc<Described>> {
        self.keeper.described()
    }

    /// Trades a code (Core section 3.1.3).
    pub async fn redeem(
        &self,
        code: &SecretString,
        verifier: &SecretString,
    ) -> Result<Given, Trouble> {
        let described = self.described().await?;
        let url = described.token.as_ref().ok_or(Trouble::Wrong("no_token_endpoint"))?;
        let _call = self.calls.try_acquire().map_err(|_| Trouble::Away("too_many_at_once"))?;
        let form = self.form(code, verifier, described.secret_in_body);
        let authorization = Some(&self.authorization).filter(|_| !described.secret_in_body);
        let post = || self.client.post(url, authorization, form.clone());
        let asked = async {
            match post().await {
                // It closed the connection just then. A code that it has taken all the same is refused now.
                Err(FetchFault::Broken) => post().await,
                told => told,
            }
        };
        let reply = tokio::time::timeout(DEADLINE, asked).await;
        let reply = reply.unwrap_or(Err(FetchFault::Timeout)).map_err(trouble)?;
        given(&reply.body).ok_or(Trouble::Wrong("no_token_reply"))
    }

    fn form(&self, code: &SecretString, verifier: &SecretString, secret_in_body: bool) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code.expose_secret())
            .append_pair("redirect_uri", &self.settings.redirect_uri)
            .append_pair("code_verifier", verifier.expose_secret());
        if secret_in_body {
            form.append_pair("client_id", &self.settings.client_id)
                .append_pair("client_secret", self.settings.secret.expose_secret());
        }
        form.finish()
    }

    /// Holds a token against the provider's keys; a newer set is fetched where the one in hand does not have its key.
    pub async fn judge<T>(
        &self,
        by: impl Fn(&KeySet) -> Result<T, Unproven>,
    ) -> Result<T, Trouble> {
        static NO_KEYS: LazyLock<KeySet> = LazyLock::new(KeySet::default);
        const AWAY: Trouble = Trouble::Away("no_keys");
        let shown = Instant::now();
        let look = || {
            let held = self.keeper.held().filter(|held| held.is_usable(shown));
            match by(held.as_ref().map_or(&*NO_KEYS, |held| &*held.keys)) {
                Ok(found) => Some(Ok(found)),
                Err(Unproven::Fault(_)) => Some(Err(Trouble::Wrong("token_invalid"))),
                Err(Unproven::UnknownKey { issued_at }) => {
                    let last = held.is_some_and(|held| held.is_final(shown, issued_at));
                    last.then_some(Err(Trouble::Wrong("key_unknown")))
                }
            }
        };
        if let Some(found) = look() {
            return found;
        }
        let mut waiting = self.keeper.wait(shown).map_err(|_| AWAY)?;
        loop {
            if let Some(found) = look() {
                return found;
            }
            waiting.next().await.map_err(|_| AWAY)?;
        }
    }
}

impl std::fmt::Debug for OpenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenId").field("name", self.name()).finish_non_exhaustive()
    }
}

/// A reply with another status, or none: whether the provider is away, or says no.
fn trouble(fault: FetchFault) -> Trouble {
    match fault {
        FetchFault::Unreachable | FetchFault::Broken | FetchFault::Timeout => {
            Trouble::Away(fault.reason())
        }
        FetchFault::Status(408 | 429 | 500..) => Trouble::Away(fault.reason()),
        FetchFault::Status(400) => Trouble::Refused,
        _ => Trouble::Wrong(fault.reason()),
    }
}

fn given(body: &[u8]) -> Option<Given> {
    let reply = read_claims(body)?;
    let text = |name: &str| reply.get(name).and_then(Value::as_str);
    Some(Given {
        id_token: text("id_token")?.into(),
        access_token: text("access_token").map(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_in_trouble_is_away_and_one_that_answers_is_wrong_or_says_no() {
        for (fault, expected) in [
            (FetchFault::Unreachable, Trouble::Away("unreachable")),
            (FetchFault::Timeout, Trouble::Away("timeout")),
            (FetchFault::Status(500), Trouble::Away("status")),
            (FetchFault::Status(503), Trouble::Away("status")),
            (FetchFault::Status(429), Trouble::Away("status")),
            (FetchFault::Status(400), Trouble::Refused),
            (FetchFault::Status(401), Trouble::Wrong("status")),
            (FetchFault::Status(302), Trouble::Wrong("status")),
            (FetchFault::WrongType, Trouble::Wrong("wrong_type")),
            (FetchFault::TooLong, Trouble::Wrong("too_long")),
        ] {
            assert_eq!(trouble(fault), expected, "{fault:?}");
        }
    }

    #[test]
    fn a_reply_without_an_id_token_is_none() {
        let reply = given(br#"{"access_token":"a","id_token":"i","token_type":"Bearer"}"#).unwrap();
        assert_eq!(reply.id_token.expose_secret(), "i");
        assert_eq!(reply.access_token.unwrap().expose_secret(), "a");
        for body in ["", "{}", "[]", r#"{"access_token":"a"}"#, r#"{"id_token":7}"#, "<html>"] {
            assert!(given(body.as_bytes()).is_none(), "{body}");
        }
    }
}
