//! Tokens that only their issuer can tell about: what it said is kept for a while, one question per token at a time.
//!
//! What is kept never outlives the token, and errors are never kept.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;

use super::{Live, bearer::UNTOLD};
use crate::{
    issuer::{Asker, Issuers},
    model::{Digest, MountName, Principal, Timestamp},
    pipeline::{
        Deny, Mount,
        deny::TokenFault,
        jwt::{IssuerKeys, IssuerProfile},
    },
    telemetry::{Metrics, metrics::CacheKind},
};

/// Answers held at most.
const MAX_ANSWERS: usize = 20_000;
/// How long a token that is not active is remembered.
const INACTIVE: Duration = Duration::from_secs(5);
/// Longest wait for somebody else's question about the same token, and for one's own after it.
const PATIENCE: Duration = Duration::from_secs(6);

/// What issuers said. Outlives a configuration: an answer belongs to the rules under which it was asked for and judged, and
/// is found under no others.
pub(super) struct Answers {
    entries: Arc<Cache<Name, Arc<Answer>>>,
    /// The rules of this configuration by mount, of which each has one issuer to ask.
    policies: HashMap<MountName, Digest>,
}

/// Who is asked and how answers are judged, and a token.
type Name = ([u8; 32], [u8; 32]);

struct Answer {
    found: Result<Arc<Principal>, TokenFault>,
    until: Instant,
}

impl Answers {
    /// Of these mounts and issuers, with what was said before.
    pub(super) fn of(mounts: &[Arc<Mount>], issuers: &Issuers, previous: Option<&Self>) -> Self {
        let policies = mounts.iter().filter_map(|mount| {
            let profile = mount.issuers.iter().find(|profile| profile.introspected)?;
            Some((mount.name.clone(), policy(profile, issuers.asker(&profile.name)?)))
        });
        let entries = previous.map(|own| Arc::clone(&own.entries));
        Self {
            policies: policies.collect(),
            entries: entries.unwrap_or_else(|| Arc::new(Cache::new(MAX_ANSWERS))),
        }
    }

    /// What is known without asking. `Err(None)`: nobody can be asked here.
    pub(super) fn at_hand(
        &self,
        mount: &MountName,
        token: &str,
        moment: Instant,
        metrics: &Metrics,
    ) -> Result<Result<Arc<Principal>, Deny>, Option<Name>> {
        let policy = self.policies.get(mount).ok_or(None)?;
        let name = (*policy.as_bytes(), *Digest::of(token.as_bytes()).as_bytes());
        let found = self.entries.get(&name).filter(|answer| moment < answer.until);
        metrics.cache(CacheKind::Introspection, found.is_some());
        found.map_or(Err(Some(name)), |answer| Ok(answer.told()))
    }

    /// Asks the issuer, or waits for whoever asks it about the same token.
    pub(super) async fn ask(
        &self,
        live: &Live,
        profile: &IssuerProfile,
        token: &str,
        name: Option<Name>,
        (now, moment): (Timestamp, Instant),
    ) -> Result<Arc<Principal>, Deny> {
        let name = name.ok_or(UNTOLD)?;
        let asker = live.issuers().asker(&profile.name).ok_or(UNTOLD)?;
        self.entries.remove_if(&name, |answer| moment >= answer.until);
        let question = question(asker, profile, token, (now, moment));
        let answer = self.entries.get_or_insert_async(&name, question);
        tokio::time::timeout(PATIENCE, answer).await.map_err(|_| UNTOLD)??.told()
    }
}

/// Stands for everything that an answer depends on but the token.
fn policy(profile: &IssuerProfile, asker: &Asker) -> Digest {
    // Whatever a profile holds, that of later days included. Its keys verify signatures, and answers have none.
    let judged_by = IssuerProfile { keys: IssuerKeys::None, ..profile.clone() };
    Digest::of(format!("{judged_by:?} {:?}", asker.policy()).as_bytes())
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
        Some(claims) => profile.introspected_unproven(&claims, now).map(Arc::new),
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
