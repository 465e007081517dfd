//! What an edge node asks an identity node: the same questions whether it stands in this process or at the other end of a
//! link. [`Identity`] answers them from the store.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::{AuditEvent, EventKind, Identity, IdentityError, Lookup};
use crate::{
    model::{Digest, KeyId, MountName, Principal, SessionId, Timestamp, TokenId},
    pipeline::{
        KeyEvidence, News, SessionEvidence,
        jwt::{VerificationKey, algorithm_name},
    },
    store::{Announcement, Announcements, ChangePage},
};

/// One who knows the truth. Every error is *undetermined*, never a refusal.
#[async_trait]
pub trait Origin: Send + Sync + 'static {
    /// As [`Lookup::key`].
    async fn key(
        &self,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError>;

    /// As [`Lookup::session`].
    async fn session(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError>;

    /// As [`Lookup::assertion`].
    async fn assertion(&self, asked: &AskedAssertion)
    -> Result<(String, Timestamp), IdentityError>;

    /// What verifies the tokens of these sets of keys, and the secret of nonces.
    async fn facts(&self, sets: &[MountName]) -> Result<Facts, IdentityError>;

    /// What was changed behind this number.
    async fn changes_since(&self, after: u64, limit: u32) -> Result<ChangePage, IdentityError>;

    /// Everything that has ended and matters still; the number is of a change that is surely in it.
    async fn ended(&self) -> Result<Ended, IdentityError>;

    /// What is changed from now on, as it is announced.
    fn announcements(&self) -> Announcements;

    /// Notes what was used.
    async fn note(&self, uses: &Uses) -> Noted;

    /// Records what an edge node has seen. Gives how many could not be recorded.
    async fn record(&self, events: Vec<AuditEvent>) -> usize;

    /// Whether the truth can be asked now.
    async fn healthy(&self) -> bool;
}

/// A statement about a caller that an upstream is to get.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedAssertion {
    /// Whose issuer signs.
    pub mount: MountName,
    /// About whom.
    pub who: Principal,
    /// For whom.
    pub audience: String,
    /// For how long, in milliseconds.
    pub lifetime_ms: u64,
}

/// What an edge node must know before it can verify anything.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Sets of keys by their names. A set that is not there is of a mount that nobody knows.
    pub sets: BTreeMap<MountName, Vec<KeyText>>,
    /// Under what nonces are made.
    pub nonce_secret: Option<[u8; 32]>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("sets", &self.sets.keys()).finish_non_exhaustive()
    }
}

/// A verification key on its way. Of a shared secret it is the secret itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyText {
    kid: Arc<str>,
    algorithm: String,
    key: String,
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyText").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl KeyText {
    /// `None` for a key of a kind that we do not make.
    fn of(key: &VerificationKey) -> Option<Self> {
        Some(Self {
            kid: key.kid.clone(),
            algorithm: algorithm_name(key.algorithm)?.to_owned(),
            key: STANDARD.encode(key.key.try_get_as_bytes().ok()?),
        })
    }

    /// The key, if it is one.
    pub fn read(&self) -> Option<VerificationKey> {
        let algorithm: Algorithm = self.algorithm.parse().ok()?;
        let bytes = STANDARD.decode(&self.key).ok()?;
        let key = match algorithm {
            Algorithm::HS256 => DecodingKey::from_secret(&bytes),
            Algorithm::RS256 => DecodingKey::from_rsa_der(&bytes),
            Algorithm::ES256 => DecodingKey::from_ec_der(&bytes),
            Algorithm::EdDSA => DecodingKey::from_ed_der(&bytes),
            _ => return None,
        };
        Some(VerificationKey { kid: self.kid.clone(), algorithm, key })
    }
}

/// What has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// A change that is in it, and all before.
    pub head: u64,
    /// Tokens, each with its end.
    pub tokens: Vec<(TokenId, Timestamp)>,
    /// Sessions, each with the moment at which it was ended.
    pub sessions: Vec<(SessionId, Timestamp)>,
}

/// Uses of keys and sessions since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// Keys: how often, and when last.
    pub keys: Vec<(KeyId, u64, Timestamp)>,
    /// Sessions: when last.
    pub sessions: Vec<(SessionId, Timestamp)>,
}

impl Uses {
    /// Whether there is nothing to note.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.sessions.is_empty()
    }
}

/// What came of noting something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is noted.
    Yes,
    /// It surely is not.
    No,
    /// Nobody can say. A use too few is better than one that never was.
    Perhaps,
}

#[async_trait]
impl Origin for Identity {
    async fn key(
        &self,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        Lookup::key(self, mount, id).await
    }

    async fn session(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        Lookup::session(self, mount, secret).await
    }

    async fn assertion(
        &self,
        asked: &AskedAssertion,
    ) -> Result<(String, Timestamp), IdentityError> {
        let AskedAssertion { mount, who, audience, lifetime_ms } = asked;
        let lifetime = Duration::from_millis(*lifetime_ms);
        self.sign_assertion(mount, who, audience, lifetime, self.now())
    }

    async fn facts(&self, sets: &[MountName]) -> Result<Facts, IdentityError> {
        let known = sets.iter().filter_map(|set| {
            let keys = self.inner.mount_keys(set)?.verifying_at(self.now());
            Some((set.clone(), keys.iter().filter_map(KeyText::of).collect()))
        });
        Ok(Facts { sets: known.collect(), nonce_secret: self.nonce_secret() })
    }

    async fn changes_since(&self, after: u64, limit: u32) -> Result<ChangePage, IdentityError> {
        Ok(self.inner.store.changes_since(after, limit).await?)
    }

    async fn ended(&self) -> Result<Ended, IdentityError> {
        let (now, store) = (self.now(), &self.inner.store);
        // Before the rest is read: what is changed meanwhile is heard of once more.
        let head = store.change_head().await?;
        let (mut tokens, mut sessions) = (Vec::new(), Vec::new());
        store.live_revocations(now, |token| tokens.push((token.id, token.expires_at))).await?;
        let back = self.inner.state().remember();
        store.sessions_ended_since(now - back, |one| sessions.push((one.id, one.ended_at))).await?;
        Ok(Ended { head, tokens, sessions })
    }

    fn announcements(&self) -> Announcements {
        self.inner.following.announced()
    }

    async fn note(&self, uses: &Uses) -> Noted {
        let Uses { keys, sessions } = uses;
        let now = self.now();
        for (id, count, last) in keys {
            self.inner.usage.add(id, *count, (*last).min(now));
        }
        for (id, last) in sessions {
            self.inner.touches.note(id, (*last).min(now));
        }
        // Written with this node's own uses.
        Noted::Yes
    }

    async fn record(&self, events: Vec<AuditEvent>) -> usize {
        let (seen, others): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| is_seen_at_an_edge(event.kind));
        self.record_all(seen).await + others.len()
    }

    async fn healthy(&self) -> bool {
        Identity::healthy(self).await
    }
}

/// What an edge node can know of. The rest happens at identity nodes, and nobody else may say that it did.
fn is_seen_at_an_edge(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::RateLimitExceeded
            | EventKind::PermissionDenied
            | EventKind::AgentCapabilityUsed
            | EventKind::AgentCapabilityDenied
    )
}

/// What was changed at a node while it worked on a request: told with its answer, so that whoever asked knows it before the
/// client does.
pub struct Witness(broadcast::Receiver<News>);

impl Identity {
    /// Begins to look.
    pub fn witness(&self) -> Witness {
        Witness(self.inner.feed.everything())
    }
}

impl Witness {
    /// What was changed since, `most` pieces of news at most; if there were more, or some were missed, it is anything.
    pub fn seen(mut self, most: usize) -> Vec<News> {
        let mut seen = VecDeque::new();
        loop {
            match self.0.try_recv() {
                Ok(news) if seen.contains(&news) => {}
                Ok(news) => seen.push_back(news),
                Err(broadcast::error::TryRecvError::Lagged(_)) => seen.push_front(News::Anything),
                Err(_) => break,
            }
        }
        if seen.len() > most {
            seen.push_front(News::Anything);
            // Sessions and tokens first: of the rest "anything" says enough.
            seen.make_contiguous().sort_by_key(|news| match news {
                News::Anything => 0,
                News::Session(_) | News::Token(_) => 1,
                News::Key(_) | News::Account(_) => 2,
            });
            seen.truncate(most);
        }
        seen.into()
    }
}

/// One announcement per line.
pub fn line_of(said: &Announcement) -> String {
    said.text().unwrap_or_else(|| INTERRUPTED.to_owned())
}

/// Reads what [`line_of`] wrote; `None`: nothing of ours.
pub fn read_line(line: &str) -> Option<Announcement> {
    if line == INTERRUPTED { Some(Announcement::Interrupted) } else { Announcement::parse(line) }
}

/// Something may have been missed.
const INTERRUPTED: &str = "!";
