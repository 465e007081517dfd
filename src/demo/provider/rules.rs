//! What the toy provider holds to: a code is good once, a token for its time, a refresh token once and only after that.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::PERSON;
use crate::model::{SystemRandom, api_key::hex, random::Random};

/// hh.ru's fourteen days.
const LIFE: u64 = 1_209_600;

/// What came of a trade.
pub(super) enum Traded {
    /// Tokens.
    Issued { access: String, refresh: String, expires_in: u64 },
    /// Error and description in the words of hh.ru.
    Refused(&'static str, &'static str),
}

/// The provider's memory.
pub(super) struct Rules {
    state: Mutex<State>,
}

struct State {
    instant: bool,
    person: String,
    expires_in: u64,
    /// Person and callback of a code.
    codes: HashMap<String, (String, String)>,
    /// By refresh token.
    grants: HashMap<String, Grant>,
}

struct Grant {
    person: String,
    access: String,
    until: Instant,
    spent: bool,
}

impl Default for Rules {
    fn default() -> Self {
        let state = State {
            instant: false,
            person: PERSON.to_owned(),
            expires_in: LIFE,
            codes: HashMap::new(),
            grants: HashMap::new(),
        };
        Self { state: Mutex::new(state) }
    }
}

impl Rules {
    /// Whether even browsers are sent back at once.
    pub(super) fn instant(&self) -> bool {
        self.state().instant
    }

    /// Who logs in unless another one is named.
    pub(super) fn person(&self) -> String {
        self.state().person.clone()
    }

    /// Changes what a wish names; gives what holds now.
    pub(super) fn change(&self, wish: &Value) -> Value {
        let mut state = self.state();
        if let Some(instant) = wish.get("instant").and_then(Value::as_bool) {
            state.instant = instant;
        }
        if let Some(person) = wish.get("person").and_then(Value::as_str) {
            state.person = person.to_owned();
        }
        if let Some(seconds) = wish.get("expires_in").and_then(Value::as_u64) {
            state.expires_in = seconds.min(LIFE);
        }
        json!({
            "instant": state.instant, "person": state.person, "expires_in": state.expires_in,
        })
    }

    /// A new code for a person's consent.
    pub(super) fn code(&self, person: &str, redirect_uri: &str) -> String {
        let code = fresh();
        self.state().codes.insert(code.clone(), (person.to_owned(), redirect_uri.to_owned()));
        code
    }

    /// Trades a code.
    pub(super) fn trade(&self, code: &str, redirect_uri: &str) -> Traded {
        let mut state = self.state();
        match state.codes.remove(code) {
            Some((person, sent_to)) if sent_to == redirect_uri => state.issue(person),
            Some(_) => Traded::Refused("invalid_grant", "redirect_uri mismatch"),
            None => Traded::Refused("invalid_grant", "code not found"),
        }
    }

    /// Trades a refresh token.
    pub(super) fn refresh(&self, token: &str) -> Traded {
        let mut state = self.state();
        let person = match state.grants.get_mut(token) {
            None => return Traded::Refused("invalid_grant", "token not found"),
            Some(grant) if grant.spent => {
                return Traded::Refused("invalid_grant", "token has already been refreshed");
            }
            Some(grant) if Instant::now() < grant.until => {
                return Traded::Refused("invalid_grant", "token not expired");
            }
            Some(grant) => {
                grant.spent = true;
                grant.person.clone()
            }
        };
        state.issue(person)
    }

    /// Whose access token this is, while it lives.
    pub(super) fn holder(&self, token: &str) -> Option<String> {
        let state = self.state();
        let mut grants = state.grants.values();
        let found = grants.find(|grant| grant.access == token && Instant::now() < grant.until);
        found.map(|grant| grant.person.clone())
    }

    // A poisoned lock is entered all the same: it is a toy.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn issue(&mut self, person: String) -> Traded {
        let (access, refresh, expires_in) = (fresh(), fresh(), self.expires_in);
        let until = Instant::now() + Duration::from_secs(expires_in);
        let grant = Grant { person, access: access.clone(), until, spent: false };
        self.grants.insert(refresh.clone(), grant);
        Traded::Issued { access, refresh, expires_in }
    }
}

/// A text that nobody guesses. Without randomness it is empty, and fits nothing.
fn fresh() -> String {
    let mut bytes = [0; 24];
    SystemRandom.fill(&mut bytes).map(|()| hex(&bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(traded: Traded) -> &'static str {
        match traded {
            Traded::Refused(_, why) => why,
            Traded::Issued { .. } => "issued",
        }
    }

    #[test]
    fn codes_and_refresh_tokens_are_good_once_and_no_token_is_renewed_early() {
        let rules = Rules::default();
        let code = rules.code("7", "http://localhost/cb");
        assert_eq!(refused(rules.trade(&code, "http://localhost/other")), "redirect_uri mismatch");
        let code = rules.code("7", "http://localhost/cb");
        let Traded::Issued { access, refresh, .. } = rules.trade(&code, "http://localhost/cb")
        else {
            panic!("no tokens");
        };
        assert_eq!(refused(rules.trade(&code, "http://localhost/cb")), "code not found");
        assert_eq!(rules.holder(&access).as_deref(), Some("7"));
        assert_eq!(refused(rules.refresh(&refresh)), "token not expired");
        rules.change(&json!({ "expires_in": 0, "person": "8" }));
        assert_eq!(rules.person(), "8");
        let code = rules.code("7", "http://localhost/cb");
        let Traded::Issued { access, refresh, .. } = rules.trade(&code, "http://localhost/cb")
        else {
            panic!("no tokens");
        };
        assert_eq!(rules.holder(&access), None);
        assert_eq!(refused(rules.refresh(&refresh)), "issued");
        assert_eq!(refused(rules.refresh(&refresh)), "token has already been refreshed");
        assert_eq!(refused(rules.refresh("made-up")), "token not found");
    }
}
