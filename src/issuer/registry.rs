//! All issuers of the configuration in force. A reload keeps what did not change, with everything it knows.

use std::{sync::Arc, time::Duration};

use super::{
    introspection::Asker, keeper::Keeper, openid::OpenId, settings::Settings, shelf::Shelf,
    state::KeyState, turns::Turns,
};
use crate::{
    model::{Clock, Random},
    telemetry::Metrics,
};

/// Start-up waits no longer than this for the first keys.
const FIRST_KEYS: Duration = Duration::from_secs(3);

/// What asking needs from its surroundings.
#[derive(Clone)]
pub struct Parts {
    /// Where figures go.
    pub metrics: Metrics,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, so that many gateways do not ask at once.
    pub random: Arc<dyn Random>,
    /// Where the last good sets are kept through a restart.
    pub shelf: Arc<dyn Shelf>,
    /// Whose turn it is to fetch, where other gateways use the same shelf.
    pub turns: Option<Arc<dyn Turns>>,
}

/// The issuers that are asked.
#[derive(Debug, Default)]
pub struct Issuers {
    keepers: Vec<Arc<Keeper>>,
    askers: Vec<Arc<Asker>>,
    logins: Vec<Arc<OpenId>>,
    /// What is known may be used, and nobody asked.
    quiet: bool,
}

impl Issuers {
    /// Takes over what `previous` has of the same settings, and starts the rest. On a runtime only.
    pub fn build(
        settings: &[Settings],
        previous: Option<&Issuers>,
        parts: &Parts,
    ) -> Result<Self, String> {
        let none = Issuers::default();
        let old = previous.unwrap_or(&none);
        let mut out = Issuers::default();
        for Settings { name, keys, introspection, login } in settings {
            if let Some(keys) = keys {
                let same = |own: &&Arc<Keeper>| own.name() == name && own.settings() == keys;
                out.keepers.push(match old.keepers.iter().find(same) {
                    Some(keeper) => Arc::clone(keeper),
                    None => Keeper::start(name.clone(), keys.clone(), parts.clone())?,
                });
            }
            if let (Some(login), Some(keys)) =
                (login, out.keepers.last().filter(|_| keys.is_some()))
            {
                let same = |own: &&Arc<OpenId>| own.keeper_is(keys) && own.settings() == login;
                out.logins.push(match old.logins.iter().find(same) {
                    Some(login) => Arc::clone(login),
                    None => OpenId::new(Arc::clone(keys), login.clone(), parts.clone())?,
                });
            }
            if let Some(asking) = introspection {
                let same = |own: &&Arc<Asker>| own.name() == name && own.settings() == asking;
                out.askers.push(match old.askers.iter().find(same) {
                    Some(asker) => Arc::clone(asker),
                    None => Asker::new(name.clone(), asking.clone(), parts.clone())?,
                });
            }
        }
        Ok(out)
    }

    /// The same for questions: what is known, of which nobody is asked for more.
    pub fn quiet(&self) -> Self {
        let (keepers, askers, logins) = (self.keepers.clone(), Vec::new(), Vec::new());
        Self { keepers, askers, logins, quiet: true }
    }

    /// Whether nobody may be asked.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Who asks this issuer about tokens.
    pub fn asker(&self, name: &str) -> Option<&Arc<Asker>> {
        self.askers.iter().find(|asker| **asker.name() == *name)
    }

    /// Who keeps the keys of this issuer.
    pub fn keeper(&self, name: &str) -> Option<&Arc<Keeper>> {
        self.keepers.iter().find(|keeper| **keeper.name() == *name)
    }

    /// Those through which people log in.
    pub fn logins(&self) -> &[Arc<OpenId>] {
        &self.logins
    }

    /// What is known of all of them.
    pub fn states(&self) -> Vec<KeyState> {
        self.keepers.iter().map(|keeper| keeper.state()).collect()
    }

    /// Brings the figures up to date.
    pub fn publish(&self) {
        self.keepers.iter().for_each(|keeper| keeper.publish());
    }

    /// Waits for the first keys of everybody, but not for long: whoever is away then is asked on, and his callers are told to
    /// come back.
    pub async fn warm(&self) {
        let all = async {
            for keeper in &self.keepers {
                keeper.first_round().await;
            }
        };
        let _ = tokio::time::timeout(FIRST_KEYS, all).await;
    }
}
