//! What is in force, and how it changes: the process behind the operator API.

use std::{sync::Arc, time::SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use tokio::sync::{Mutex, watch};

use super::{
    Opened, RunError,
    deliveries::{self, Mails},
    followers,
    kept_sets::KeptSets,
    open::set_mounts,
    signals::Steered,
    turns::SharedTurns,
};
use crate::{
    admin::{self, ConfigState, Control, Explained, Readiness, ReloadOutcome, Shared, Trouble},
    config::{self, Config, Machine, Report, reload::first_line},
    edge::{self, Live},
    identity::{Actor, AuditEvent, EventKind},
    issuer::{self, Issuers, KeyState, Turns},
    limit::local::LocalLimiter,
    mail::Mailer,
    model::{MountName, SystemClock, SystemRandom},
    pipeline::{
        explain::{Past, Question},
        shadow::ShadowLine,
    },
    telemetry::{Metrics, logging},
};

/// The running whole.
pub struct Gateway {
    opened: Opened,
    edge: Arc<edge::Shared>,
    sets: Vec<String>,
    active: ArcSwap<Config>,
    mailer: ArcSwapOption<Mailer>,
    stale: ArcSwapOption<String>,
    readiness: watch::Sender<Readiness>,
    /// One change at a time.
    changing: Mutex<()>,
    log: logging::Handle,
}

/// For how long a node that goes away keeps the others from making new signing keys in its place.
const ROTATING: std::time::Duration = std::time::Duration::from_secs(120);

impl Gateway {
    /// Compiles the configuration with the keys of the open identity and puts the data plane together.
    pub(super) fn new(
        opened: Opened,
        config: Config,
        sets: Vec<String>,
        settings: edge::Settings,
        log: logging::Handle,
    ) -> Result<Arc<Self>, RunError> {
        let identity = &opened.identity;
        let compiled = config.compile(&|mount: &MountName| identity.verification_keys(mount))?;
        let mailer = mailer(&config).map_err(RunError::Mail)?;
        let metrics = &opened.metrics;
        let asking = issuer_parts(&opened);
        let issuers = Issuers::build(&compiled.issuers, None, &asking).map_err(RunError::Issuer)?;
        identity.set_openid_providers(issuers.logins());
        let (snapshot, issuers) = (Arc::new(compiled.snapshot), Arc::new(issuers));
        let caches = settings.caches;
        let live = Live::build(snapshot, &compiled.upstreams, issuers, None, metrics, caches);
        let parts = opened.edge_parts(metrics.clone(), log.access());
        metrics.config_active(&config.hash, SystemTime::now());
        let limiter: Arc<LocalLimiter> = opened.limiter.clone();
        let handle = log.clone();
        metrics.probe(move |metrics| {
            metrics.limiter(limiter.tracked(), limiter.cap(), limiter.coarse());
            metrics.log_lines_dropped(handle.dropped());
        });
        let edge = edge::Shared::new(parts, settings, live)?;
        let shown = Arc::downgrade(&edge);
        metrics.probe(move |_| {
            shown.upgrade().iter().for_each(|edge| edge.live().issuers().publish());
        });
        Ok(Arc::new(Self {
            edge,
            opened,
            sets,
            active: ArcSwap::from_pointee(config),
            mailer: ArcSwapOption::new(mailer),
            stale: ArcSwapOption::empty(),
            readiness: watch::Sender::new(Readiness::Starting),
            changing: Mutex::new(()),
            log,
        }))
    }

    /// The data plane.
    pub fn edge(&self) -> &Arc<edge::Shared> {
        &self.edge
    }

    /// The parts below.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Figures.
    pub fn metrics(&self) -> &Metrics {
        &self.opened.metrics
    }

    /// Mounts of the internal plane.
    pub fn mounts(&self) -> Arc<Shared> {
        self.opened.mounts.clone()
    }

    /// The configuration in force.
    pub fn active(&self) -> Arc<Config> {
        self.active.load_full()
    }

    /// Hash of the configuration in force.
    pub fn hash(&self) -> String {
        self.active.load().hash.clone()
    }

    /// What sends mail now.
    pub(super) fn mailer(&self) -> Option<Arc<Mailer>> {
        self.mailer.load_full()
    }

    /// Starts carrying what lies in the outbox.
    pub(super) fn start_deliveries(self: &Arc<Self>) {
        let Opened { identity, metrics, .. } = &self.opened;
        let mails = Arc::new(Mails(self.clone()));
        deliveries::start(identity.clone(), metrics.clone(), mails);
    }

    /// Changes what probes see. Draining is final.
    pub fn set_readiness(&self, readiness: Readiness) {
        turn(&self.readiness, readiness);
    }

    /// What the operator API needs.
    pub(super) fn operator_parts(self: &Arc<Self>) -> admin::Parts {
        admin::Parts {
            identity: self.opened.identity.clone(),
            control: self.clone(),
            metrics: self.opened.metrics.clone(),
            shared: self.opened.mounts.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        }
    }

    /// Writes the refusals counted by the edge into the audit log.
    pub(super) async fn record_refusals(&self) {
        let events = counted(&self.edge);
        if events.is_empty() {
            return;
        }
        let lost = self.opened.identity.record_all(events).await;
        if lost > 0 {
            self.metrics().audit_events_dropped(u64::try_from(lost).unwrap_or(u64::MAX));
        }
    }

    /// Writes what is still in memory and closes the store.
    pub(super) async fn close(&self) {
        // First: it is one transaction, and the refusals may be many.
        if let Err(error) = self.opened.identity.flush_all_usage().await {
            tracing::warn!(event = "usage_not_written", %error);
        }
        self.record_refusals().await;
        if let Err(error) = self.opened.identity.give_up_duties().await {
            // They run out by themselves.
            tracing::warn!(event = "duties_not_given_up", %error);
        }
        self.opened.store.close().await;
    }

    /// Replaces signing keys that are as old as their schedule allows.
    pub(super) async fn rotate_due_keys(&self) {
        self.publish_key_ages();
        let identity = &self.opened.identity;
        let due = identity.keys_due();
        if due.is_empty() {
            return;
        }
        match identity.does("signing_keys", ROTATING).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::warn!(event = "signing_key_not_rotated", %error),
        }
        for set in due {
            match identity.rotate_signing_key(&set, &Actor::operator()).await {
                Ok(kid) => {
                    self.keys_changed().await;
                    identity.sign_with_newest(&set).await;
                    tracing::info!(event = "signing_key_rotated", keys = %set, kid);
                }
                Err(error) => {
                    tracing::warn!(event = "signing_key_not_rotated", keys = %set, %error);
                }
            }
        }
    }

    /// Says how old signing keys are.
    pub(super) fn publish_key_ages(&self) {
        let ages = self.opened.identity.key_ages();
        self.metrics().signing_keys(ages.iter().map(|(set, age)| (set.as_str(), *age)));
    }

    /// Takes certificates over whose files changed.
    pub(super) async fn refresh_certificates(&self) {
        let edge = self.edge.clone();
        // A panic in it is a bug of ours; the certificates in force stay.
        let _ = tokio::task::spawn_blocking(move || edge.refresh_certificates()).await;
    }

    /// Takes a checked configuration over, or says why not; then nothing has changed.
    async fn apply(&self, next: Config) -> Result<(), String> {
        let identity = &self.opened.identity;
        let mailer = mailer(&next)?;
        let (before, asking) = (self.edge.live(), issuer_parts(&self.opened));
        let issuers = Issuers::build(&next.issuers(), Some(before.issuers()), &asking)?;
        // All that can fail without identity is tried first: identity and edge must not be of two configurations.
        next.compile(&|_: &MountName| Vec::new())
            .map_err(|report| report.to_string())?
            .log
            .check()
            .map_err(|error| error.to_string())?;
        identity
            .reconfigure(next.identity())
            .await
            .map_err(|error| format!("identity does not take the configuration over: {error}"))?;
        let compiled = next
            .compile(&|mount: &MountName| identity.verification_keys(mount))
            .map_err(|report| report.to_string())?;
        self.log.set(&compiled.log).map_err(|error| error.to_string())?;
        identity.set_openid_providers(issuers.logins());
        // The internal plane first: the edge never sends to a mount that is not there yet.
        set_mounts(&self.opened.mounts, &next, identity, self.metrics());
        self.swap(compiled, Arc::new(issuers));
        self.mailer.store(mailer);
        self.active.store(Arc::new(next));
        Ok(())
    }

    fn swap(&self, compiled: config::Compiled, issuers: Arc<Issuers>) {
        let before = self.edge.live();
        let (snapshot, metrics) = (Arc::new(compiled.snapshot), self.metrics());
        let caches = self.edge.caches();
        let live =
            Live::build(snapshot, &compiled.upstreams, issuers, Some(&before), metrics, caches);
        self.edge.swap(live);
        // The old one goes here, on the control runtime, unless a request still holds it.
        drop(before);
    }

    fn refused(&self, short: String, report: String) -> ReloadOutcome {
        tracing::error!(event = "reload_refused", reason = %short);
        self.metrics().reload(false);
        self.stale.store(Some(Arc::new(short)));
        ReloadOutcome::Refused { report }
    }
}

fn issuer_parts(opened: &Opened) -> issuer::Parts {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let shelf = Arc::new(KeptSets(opened.identity.clone()));
    let redis = opened.redis.as_ref().filter(|_| opened.store.is_shared());
    let turns = redis.map(|redis| Arc::new(SharedTurns::new(redis.clone())) as Arc<dyn Turns>);
    issuer::Parts { metrics: opened.metrics.clone(), clock, random, shelf, turns }
}

/// The mailer of a configuration; `None`: it sends no mail.
fn mailer(config: &Config) -> Result<Option<Arc<Mailer>>, String> {
    let settings = config.blueprint.mail.as_ref();
    settings.map(Mailer::new).transpose().map(|mailer| mailer.map(Arc::new))
}

/// Changes what probes see; draining is final.
pub(super) fn turn(now: &watch::Sender<Readiness>, readiness: Readiness) {
    now.send_if_modified(|current| {
        let changes = *current != Readiness::Draining && *current != readiness;
        if changes {
            *current = readiness;
        }
        changes
    });
}

/// What the edge has counted since the last time, as events.
pub(super) fn counted(edge: &edge::Shared) -> Vec<AuditEvent> {
    let refused = edge.drain_refusals().into_iter().map(told);
    refused
        .chain(edge.drain_agent_uses().into_iter().map(|(line, count)| used(line, count)))
        .collect()
}

/// Issuers whose keys are in trouble.
pub(super) fn of_issuers(edge: &edge::Shared) -> Vec<Trouble> {
    let states = edge.live().issuers().states();
    let without = states.iter().filter(|issuer| matches!(issuer.state, "too_old" | "none"));
    let told = without.map(|issuer| Trouble {
        part: "issuer",
        what: format!(
            "no keys of \"{}\" that may be used: its tokens are answered 503",
            issuer.name
        ),
    });
    told.collect()
}

/// A counted refusal as an event.
fn told(refusal: edge::RefusalCount) -> AuditEvent {
    let (realm, account, address) = match refusal.subject {
        edge::RefusalSubject::Account { realm, id } => (Some(realm), Some(id), None),
        edge::RefusalSubject::Address(address) => (None, None, Some(address)),
    };
    let limited = refusal.status == 429;
    AuditEvent {
        kind: if limited { EventKind::RateLimitExceeded } else { EventKind::PermissionDenied },
        realm,
        mount: refusal.mount,
        account,
        address,
        user_agent: None,
        request_id: None,
        details: serde_json::json!({
            "reason": refusal.reason,
            "rule": refusal.rule,
            "missing": refusal.missing,
            "status": refusal.status,
            "count": refusal.count,
            "minute": refusal.minute.iso(),
        }),
    }
}

fn used(line: edge::AgentUse, count: u64) -> AuditEvent {
    let kind = match line.used {
        true => EventKind::AgentCapabilityUsed,
        false => EventKind::AgentCapabilityDenied,
    };
    AuditEvent {
        kind,
        realm: Some(line.realm),
        mount: Some(line.mount),
        account: Some(line.account),
        address: None,
        user_agent: None,
        request_id: None,
        details: serde_json::json!({
            "agent_type": &*line.kind,
            "token": line.token.as_ref().map(|id| id.as_str()),
            "session": line.session.as_ref().map(|id| id.as_str()),
            "capability": &*line.capability,
            "count": count,
            "minute": line.minute.iso(),
        }),
    }
}

impl Steered for Gateway {
    fn set_readiness(&self, readiness: Readiness) {
        Gateway::set_readiness(self, readiness);
    }

    fn bound(&self) -> watch::Receiver<Option<edge::Bound>> {
        self.edge.bound()
    }
}

#[async_trait]
impl Control for Gateway {
    fn readiness(&self) -> Readiness {
        *self.readiness.borrow()
    }

    fn config(&self) -> ConfigState {
        let stale = self.stale.load_full().map(|reason| reason.as_str().to_owned());
        ConfigState { hash: self.hash().into(), stale }
    }

    fn troubles(&self) -> Vec<Trouble> {
        let lag = followers::trouble(self.opened.identity.followed());
        of_issuers(&self.edge).into_iter().chain(lag).collect()
    }

    fn effective(&self) -> String {
        self.active.load().effective.clone()
    }

    async fn reload(&self) -> ReloadOutcome {
        self.refresh_certificates().await;
        let _one = self.changing.lock().await;
        let (active, sets) = (self.active(), self.sets.clone());
        let read = move || config::reload::reload(&active, &sets, &Machine);
        let next: Result<Config, Report> = match tokio::task::spawn_blocking(read).await {
            Ok(next) => next,
            Err(error) => return self.refused("reading failed".into(), error.to_string()),
        };
        let next = match next {
            Ok(next) => next,
            Err(report) => return self.refused(first_line(&report), report.to_string()),
        };
        let hash = next.hash.clone();
        if let Err(why) = self.apply(next).await {
            return self.refused(why.clone(), why);
        }
        self.stale.store(None);
        self.metrics().reload(true);
        self.metrics().config_active(&hash, SystemTime::now());
        tracing::info!(event = "reloaded", config_hash = %hash);
        ReloadOutcome::Applied { hash: hash.into() }
    }

    async fn explain(&self, questions: Vec<Question>) -> Result<Explained, String> {
        let metrics = Metrics::new().map_err(|error| error.to_string())?;
        let explainer = self.edge.explainer(metrics).map_err(|error| error.to_string())?;
        Ok(Explained { evidence: "running", answers: explainer.explain_all(&questions).await })
    }

    fn issuer_keys(&self) -> Vec<KeyState> {
        self.edge.live().issuers().states()
    }

    async fn refresh_issuer_keys(&self, name: &str) -> Option<Result<(), String>> {
        let live = self.edge.live();
        Some(live.issuers().keeper(name)?.refresh().await)
    }

    fn refusal(&self, request_id: &str) -> Option<Past> {
        self.edge.refusal(request_id)
    }

    fn shadow(&self) -> Vec<ShadowLine> {
        self.edge.shadow_report()
    }

    async fn keys_changed(&self) {
        self.publish_key_ages();
        let _one = self.changing.lock().await;
        let identity = &self.opened.identity;
        let keys = |mount: &MountName| identity.verification_keys(mount);
        match self.active().compile(&keys) {
            Ok(compiled) => self.swap(compiled, self.edge.live().issuers().clone()),
            Err(report) => {
                tracing::error!(event = "keys_not_taken_over", reason = %first_line(&report))
            }
        }
    }
}
