//! Tokens that only their issuer can tell about: what it said is kept for a while, one question per token at a time.
//!
//! What is kept never outlives the token, and errors are never kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;

use super::{Live, bearer::UNTOLD};
use crate::{
    issuer::Asker,
    model::{Digest, MountName, Principal, Timestamp},
    pipeline::{Deny, deny::TokenFault, jwt::IssuerProfile},
    telemetry::{Metrics, metrics::CacheKind},
};

/// Answers held at most.
const MAX_ANSWERS: usize = 20_000;
/// How long a token that is not active is remembered.
const INACTIVE: Duration = Duration::from_secs(5);

/// What issuers said, under one configuration.
pub(super) struct Answers {
    entries: Cache<Name, Arc<Answer>>,
}

/// A token at a mount, which has one issuer to ask.
type Name = (MountName, [u8; 32]);

struct Answer {
    found: Result<Arc<Principal>, TokenFault>,
    until: Instant,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { entries: Cache::new(MAX_ANSWERS) }
    }

    /// What is known without asking.
    pub(super) fn at_hand(
        &self,
        mount: &MountName,
        token: &str,
        moment: Instant,
        metrics: &Metrics,
    ) -> Result<Result<Arc<Principal>, Deny>, Name> {
        let name = (mount.clone(), *Digest::of(token.as_bytes()).as_bytes());
        let found = self.entries.get(&name).filter(|answer| moment < answer.until);
        metrics.cache(CacheKind::Introspection, found.is_some());
        found.map_or(Err(name), |answer| Ok(answer.told()))
    }

    /// Asks the issuer, or waits for whoever asks it about the same token.
    pub(super) async fn ask(
        &self,
        live: &Live,
        profile: &IssuerProfile,
        token: &str,
        name: Name,
        (now, moment): (Timestamp, Instant),
    ) -> Result<Arc<Principal>, Deny> {
        let asker = live.issuers().asker(&profile.name).ok_or(UNTOLD)?;
        self.entries.remove_if(&name, |answer| moment >= answer.until);
        let question = question(asker, profile, token, (now, moment));
        self.entries.get_or_insert_async(&name, question).await?.told()
    }
}

impl Answer {
    fn told(&self) -> Result<Arc<Principal>, Deny> {
        self.found.clone().map_err(Deny::Token)
    }
}

async fn question(
    asker: &Asker,
    profile: &IssuerProfile,
    token: &str,
    (now, moment): (Timestamp, Instant),
) -> Result<Arc<Answer>, Deny> {
    let said = asker.ask(token).await.map_err(|_| UNTOLD)?;
    let found = match said {
        None => Err(TokenFault::Inactive),
        Some(claims) => profile.introspected(&claims, now).map(Arc::new),
    };
    let life = match &found {
        Ok(who) => {
            let left = who.expires_at.map_or(Duration::ZERO, |end| end.since(now));
            asker.cache().min(left)
        }
        Err(_) => INACTIVE,
    };
    Ok(Arc::new(Answer { found, until: moment + life }))
}
