//! Identity: the control plane's domain services. It issues and ends credentials; it knows no HTTP and no SQL.
//!
//! [`Identity`] is the one door. Dialects and the operator API translate to and from it; the edge uses only the narrow
//! [`Lookup`] and [`RevocationView`] faces. Its methods stand with their subject:
//!
//! ```text
//! login  refresh  sessions       what a client is given, and how it ends
//! accounts  passwords  import    who may come, and what proves them
//! second_factor                  what else proves them
//! organisations                  walls between accounts, and what each may do within
//! keys  evidence                 API keys, and what the edge sees of them
//! agents                         programs that act for an account
//! webhooks                       who is told of what happened
//! oauth  administrator           logins through a provider, and who looks after them
//! mount_keys                     signing keys of the mounts
//! authorization_server           the standard issuer of a mount: its clients, and what it gives them
//! codes  outbox                  codes sent to people, and what leaves the house
//! audit                          what happened
//! ```
//!
//! A change goes to the store first, then to the in-memory `feed`, then it is acknowledged.

mod account_edit;
mod accounts;
mod administrator;
mod agents;
mod argon;
mod audit;
mod authorization_server;
mod changes;
mod code_text;
mod codes;
mod duties;
pub mod error;
mod evidence;
mod feed;
mod import;
mod import_lines;
mod jwks;
mod kept;
mod key_rules;
mod keyring;
mod keys;
mod live_tokens;
mod lockout;
mod login;
mod mirror;
mod mount_keys;
pub mod oauth;
mod oidc;
mod opening;
pub mod organisations;
pub mod origin;
pub mod outbox;
mod password;
mod passwords;
mod refresh;
mod refresh_tokens;
mod registration;
mod rules;
pub mod second_factor;
mod sessions;
pub mod settings;
mod signing;
mod state;
mod static_keys;
#[cfg(test)]
mod test_kit;
#[cfg(test)]
mod tests;
mod tokens;
mod touches;
pub mod types;
mod usage;
pub mod webhooks;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use arc_swap::ArcSwap;

use async_trait::async_trait;
use tokio::sync::broadcast;

pub use administrator::{Administrator, refused_hash};
pub use agents::{AgentFacts, AgentGranted, AgentRequest};
pub use authorization_server::{
    Authorization, AuthorizationServerSettings, Client, ClientProof, CodeTrade, Exchange, GRANTS,
    Grant, GrantFault, Issued, LONGEST_ASSERTION, NewClient, NewClientSecret, ProvenClient, Step,
    Wanted,
};
pub use changes::{Followed, Herald, Hint};
pub use error::{FieldError, IdentityError};
pub use lockout::AttemptsLeft;
pub use mirror::Mirror;
pub use mount_keys::{KeyFacts, issuer_keys};
pub use oauth::{ForeignFault, OAuthSettings};
pub use oidc::{Link, OidcCallback, OidcFault, OidcOpened, OidcSettings, OidcStart};
pub use organisations::{NewMemberKey, types::*};
pub use origin::{AskedAssertion, Ended, Facts, Noted, Origin, Uses, Witness, line_of, read_line};
pub use second_factor::PreparedFactor;
pub use sessions::Spared;
pub use settings::{
    AgentSettings, Claim, CodeForm, CodeRule, CodeSettings, Fact, HashSettings, Lockout,
    LoginThrottle, MountSettings, PasswordRule, RealmRules, RealmSettings, RefreshForm, Settings,
    TokenSettings, WebhookSettings,
};
pub use static_keys::{Holder, StaticKey};
pub use types::*;

pub use crate::store::{
    Announcement, Announcements, AuditRange, ChangeKind, ChangePage, ChangeRecord, LiveToken,
};

use crate::{
    issuer::OpenId,
    limit::RateLimiter,
    model::{
        AccountId, Clock, Digest, KeyId, MountName, Principal, Random, SecretString, SessionId,
        Timestamp, hop::HopNews,
    },
    pipeline::{KeyEvidence, News, RevocationView, SessionEvidence},
    store::{Ciphertext, EndedSession, ForeignIdentity, KeyUse, RevokedToken, Store},
};
use authorization_server::ClientLogin;
use changes::Following;
use code_text::CodeKey;
use feed::Feed;
use keyring::Keyring;
use mount_keys::MountKeys;
use organisations::access::Access;
use password::HashPool;
use refresh_tokens::RefreshKey;
use state::State;
pub use touches::Marks;
use usage::Usage;

/// Name of the secret from which refresh tokens are derived.
const REFRESH_SECRET: &str = "refresh";
/// Name of the secret under which one-time codes are digested and signed.
const CODE_SECRET: &str = "codes";
/// Uses written in one transaction.
const USED_AT_ONCE: usize = 1000;
/// How long spent tokens and ended sessions are kept, so that a replay is still known as one.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
/// For how long a node that goes away keeps the others from sweeping in its place. Longer than it is between two sweeps.
const SWEEPING: Duration = Duration::from_secs(900);
/// How far back a sweep looks for ended sessions that the revocation view has missed.
const CATCH_UP: Duration = Duration::from_secs(3600);

/// How old what is held in memory may grow while the store cannot be asked, unless the operator says otherwise: longer than
/// a database takes to change over to its standby.
pub const STALE_FOR: Duration = Duration::from_secs(5 * 60);

/// Where the changes of a key and of its owner are noted. Two words instead of two names: it is looked at for every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HangsOn([u16; 2]);

/// The edge's window into identity for opaque credentials.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// Evidence of one key at one mount; `Ok(None)`: no such key. An error is *undetermined*, never a refusal.
    async fn key(
        &self,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError>;

    /// Evidence of one session at one mount, by the digest of its secret; `Ok(None)`: no such session. Whoever keeps no
    /// such sessions knows none.
    async fn session(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        let _ = (mount, secret);
        Ok(None)
    }

    /// Whether a password that came now would find no place to be hashed. Whoever hashes none always has one.
    fn is_hashing_full(&self) -> bool {
        false
    }

    /// Whether what is held in memory of keys, tokens and sessions may be relied on now. Where nobody else changes the store
    /// it always may.
    fn is_current(&self) -> bool {
        true
    }

    /// The same, after whoever follows the other nodes had time to ask the store, where it has just woken up.
    async fn becomes_current(&self) -> bool {
        self.is_current()
    }

    /// When everything that other nodes had changed by then was last known; `None`: nobody follows them.
    fn vouched_at(&self) -> Option<std::time::Instant> {
        None
    }

    /// How old what is held in memory may grow while the store cannot be asked.
    fn stale_for(&self) -> Duration {
        STALE_FOR
    }

    /// Counts up whenever a key or an account changed; taken before the store is asked.
    fn epoch(&self) -> u64;

    /// The last change, as [`Lookup::epoch`] counts, of what evidence hangs on: if it was asked for before, it must be asked
    /// for again. Whoever cannot tell takes any change for one.
    fn last_change(&self, on: HangsOn) -> u64 {
        let HangsOn(_) = on;
        self.epoch()
    }

    /// What evidence of this key or of somebody's session hangs on.
    fn hangs_on(&self, key: Option<&KeyId>, owner: Option<&AccountId>) -> HangsOn {
        let _ = (key, owner);
        HangsOn::default()
    }

    /// What ends or changes from now on, for what stays open longer than a request. Whoever ends nothing has no news.
    fn news(&self) -> broadcast::Receiver<News> {
        broadcast::Sender::new(1).subscribe()
    }

    /// What an answer of identity has told, known from here on. Whoever is told at once by others needs none of it.
    fn hears(&self, news: HopNews) {
        let _ = news;
    }

    /// Notes one use of a key (batched; never a write per request).
    fn used(&self, id: &KeyId, now: Timestamp);

    /// A statement about a caller that the mount's standard issuer signs for an upstream, and when it ends. Whoever has no
    /// such issuer signs nothing.
    async fn assertion(
        &self,
        mount: &MountName,
        who: &Principal,
        audience: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(String, Timestamp), IdentityError> {
        let _ = (mount, who, audience, lifetime, now);
        Err(IdentityError::NotFound)
    }

    /// Under what nonces for proofs are made, the same for as long as the store. Whoever has no store has none.
    fn nonce_secret(&self) -> Option<[u8; 32]> {
        None
    }

    /// Notes one use of a session, batched likewise.
    fn seen(&self, _: &SessionId, _: Timestamp) {}
}

/// What identity needs from its surroundings.
pub struct Parts {
    /// The open store.
    pub store: Store,
    /// Counts failed logins.
    pub limiter: Arc<dyn RateLimiter>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Master keys, newest first; they encrypt signing keys and derived-token keys in the store.
    pub master_keys: Vec<SecretString>,
}

/// The facade; cheap to clone.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    limiter: Arc<dyn RateLimiter>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    keyring: Keyring,
    refresh_key: RefreshKey,
    code_key: CodeKey,
    /// Tells the carriers of the outbox that something was put in.
    bell: tokio::sync::watch::Sender<u64>,
    feed: Arc<Feed>,
    following: Following,
    usage: Usage<KeyId>,
    touches: touches::Touches,
    marks: std::sync::OnceLock<Arc<dyn Marks>>,
    access: Access,
    outgoing: oauth::Outgoing,
    flights: oauth::Flights<Arc<ForeignIdentity>>,
    /// Providers through which browsers log in.
    openid: ArcSwap<Vec<Arc<OpenId>>>,
    proofs: administrator::Proofs,
    /// Under which proofs are remembered; of this process only.
    proof_key: [u8; 32],
    state: ArcSwap<State>,
    mount_keys: RwLock<HashMap<MountName, Arc<MountKeys>>>,
    /// Work for all nodes that is this one's.
    duties: duties::Duties,
    /// Held while settings or signing keys change.
    changing: tokio::sync::Mutex<()>,
    /// Held while usage is written, so that no batch is written twice.
    flushing: tokio::sync::Mutex<()>,
}

impl Identity {
    /// Opens identity over a store: makes missing signing keys, loads live revocations.
    pub async fn open(settings: Settings, parts: Parts) -> Result<Self, IdentityError> {
        let Parts { store, limiter, clock, random, master_keys } = parts;
        let keyring = Keyring::new(&master_keys)?;
        let now = clock.now();
        let kept = async |name| kept_secret(name, &store, &keyring, &*random, now).await;
        let refresh_key = RefreshKey::new(&kept(REFRESH_SECRET).await?);
        let code_key = CodeKey::new(&kept(CODE_SECRET).await?)?;
        // What this node was carrying when it was stopped is carried anew at once.
        store.free_leases().await?;
        let pool = HashPool::open(settings.hashing, random.clone()).await?;
        let state = State::new(settings, Arc::new(pool));
        let mut proof_key = [0; 32];
        random.fill(&mut proof_key).map_err(|_| IdentityError::Internal)?;
        let inner = Inner {
            store,
            limiter,
            clock,
            random,
            keyring,
            refresh_key,
            code_key,
            bell: tokio::sync::watch::Sender::new(0),
            feed: Arc::default(),
            following: Following::default(),
            usage: Usage::default(),
            touches: touches::Touches::default(),
            marks: std::sync::OnceLock::new(),
            access: Access::default(),
            outgoing: oauth::Outgoing::default(),
            flights: oauth::Flights::default(),
            openid: ArcSwap::default(),
            proofs: administrator::Proofs::default(),
            proof_key,
            state: ArcSwap::from_pointee(state),
            mount_keys: RwLock::default(),
            duties: duties::Duties::default(),
            changing: tokio::sync::Mutex::default(),
            flushing: tokio::sync::Mutex::default(),
        };
        inner.notes_head().await?;
        inner.end_foreign_sessions(&inner.state(), now).await?;
        inner.load_revocations(now, inner.state().remember()).await?;
        let keys = inner.keys_for(&inner.state(), now).await?;
        *inner.mount_keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        let identity = Self { inner: Arc::new(inner) };
        identity.load_access().await?;
        Ok(identity)
    }

    /// Takes new settings after a reload; makes signing keys for new mounts, and ends what was opened at a mount in
    /// another realm than its new one. On an error the old settings stay.
    pub async fn reconfigure(&self, settings: Settings) -> Result<(), IdentityError> {
        let inner = &self.inner;
        let _one_at_a_time = inner.changing.lock().await;
        let old = inner.state();
        let pool = if *old.pool.settings() == settings.hashing {
            old.pool.clone()
        } else {
            Arc::new(HashPool::open(settings.hashing, inner.random.clone()).await?)
        };
        let state = State::new(settings, pool);
        let keys = inner.keys_for(&state, self.now()).await?;
        inner.end_foreign_sessions(&state, self.now()).await?;
        *inner.mount_keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        inner.state.store(Arc::new(state));
        // A mount may have changed its realm, and with it whose keys it takes.
        inner.feed.changed(News::Anything);
        Ok(())
    }

    /// The view of ended tokens and sessions.
    pub fn revocations(&self) -> Arc<dyn RevocationView> {
        self.inner.feed.clone()
    }

    /// The key window for the edge.
    pub fn lookup(&self) -> Arc<dyn Lookup> {
        Arc::new(self.clone())
    }

    /// Whether the store answers.
    pub async fn healthy(&self) -> bool {
        self.inner.store.ping().await.is_ok()
    }

    /// Copies the store to a file while running.
    pub async fn backup(&self, to: &Path) -> Result<(), IdentityError> {
        Ok(self.inner.store.backup(to).await?)
    }

    /// Writes batched usage of keys, and of sessions where it is due; called by a timer.
    pub async fn flush_usage(&self) -> Result<(), IdentityError> {
        self.flush(false).await
    }

    /// Writes all usage of keys and sessions; called when the process ends.
    pub async fn flush_all_usage(&self) -> Result<(), IdentityError> {
        self.flush(true).await
    }

    async fn flush(&self, all: bool) -> Result<(), IdentityError> {
        let _one_at_a_time = self.inner.flushing.lock().await;
        let batch: Vec<KeyUse> = self
            .inner
            .usage
            .take()
            .into_iter()
            .map(|(id, uses)| KeyUse { id, count: uses.count, last_used_at: uses.last })
            .collect();
        // In parts, so that no login waits for all of them: there may be as many as there were requests.
        for part in batch.chunks(USED_AT_ONCE) {
            self.inner.store.add_usage(part).await?;
            self.inner.usage.written(part.iter().map(|used| &used.id));
        }
        self.flush_touches(all).await
    }

    /// Removes what has expired (sessions, revocations, codes); called by a timer. It is never later than `at_most`, which
    /// comes from a clock that does not jump: what a wall clock set forward by mistake declares expired would be gone for
    /// good, and ended tokens would be good again once it is set back.
    pub async fn sweep(&self, at_most: Timestamp) -> Result<(), IdentityError> {
        let now = self.now().min(at_most);
        let keep = self.inner.state().remember().max(KEEP);
        if self.does("sweep", SWEEPING).await? {
            self.inner.store.sweep(now, keep).await?;
            self.inner.store.expire_agent_tokens(now, agents::expired).await?;
        }
        // A change whose acknowledgement was lost (the store answered too late) is caught up with here. Where changes are
        // followed, those of this node are as well.
        if !self.inner.store.is_shared() {
            self.inner.load_revocations(now, CATCH_UP).await?;
        }
        self.inner.access.all_changed();
        // So is a login that began under the old settings and ended under the new ones.
        self.inner.end_foreign_sessions(&self.inner.state(), now).await?;
        self.inner.feed.prune(now);
        Ok(())
    }

    /// Leaves work for all to others; called when the process ends.
    pub async fn give_up_duties(&self) -> Result<(), IdentityError> {
        Ok(self.inner.store.give_up_leases().await?)
    }

    /// Gauges for metrics: hashes running and waiting, tracked revocations.
    pub fn gauges(&self) -> Gauges {
        let state = self.inner.state();
        Gauges {
            hashes_running: state.pool.running(),
            hashes_waiting: state.pool.waiting(),
            revocations: self.inner.feed.len(),
        }
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Runs a change and what must follow it to the end, also when the caller hangs up meanwhile: a change that is in
    /// the store but not in the revocation view would not hold.
    async fn to_the_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, IdentityError>> + Send + 'static,
    ) -> Result<T, IdentityError> {
        tokio::spawn(change).await.map_err(|error| {
            tracing::error!(event = "change_failed", %error);
            IdentityError::Internal
        })?
    }
}

impl Inner {
    fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    // A poisoned lock is entered all the same: the map is replaced or changed by one operation, so it is whole.
    fn mount_keys(&self, mount: &MountName) -> Option<Arc<MountKeys>> {
        self.mount_keys.read().unwrap_or_else(PoisonError::into_inner).get(mount).cloned()
    }

    fn set_mount_keys(&self, mount: MountName, keys: MountKeys) {
        let mut all = self.mount_keys.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(mount, Arc::new(keys));
    }

    /// A version 4 UUID as text.
    fn uuid(&self) -> Result<String, IdentityError> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes).map_err(|_| IdentityError::Internal)?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    /// Enters what the store knows to have ended, sessions as far `back`.
    async fn load_revocations(&self, now: Timestamp, back: Duration) -> Result<(), IdentityError> {
        let ended = |token: RevokedToken| self.feed.end_token(token.id, token.expires_at);
        self.store.live_revocations(now, ended).await?;
        let remember = self.state().remember();
        let ended = |session: EndedSession| {
            self.feed.end_sessions([session.id], session.ended_at + remember);
        };
        Ok(self.store.sessions_ended_since(now - back, ended).await?)
    }
}

/// A secret that is made on first start and kept sealed in the store.
async fn kept_secret(
    name: &str,
    store: &Store,
    keyring: &Keyring,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Vec<u8>, IdentityError> {
    let mut fresh = [0; 32];
    random.fill(&mut fresh).map_err(|_| IdentityError::Internal)?;
    let sealed = Ciphertext(keyring.seal(name, &fresh, random)?);
    let kept = store.ensure_secret(name, &sealed, now).await?;
    keyring.open(name, &kept.0)
}
