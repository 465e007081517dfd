//! An edge node: the data plane without a store, over a mirror of identity nodes.

mod needs;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use tokio::sync::{Mutex, watch};

use self::needs::{awaited, issuer_parts, key_sets, with_identity_nodes};
use super::{
    RunError, Threads, announce, followers,
    gateway::{counted, of_issuers, turn},
    generated,
    open::{Limiters, counts, limiters},
    probe_address, signals,
    signals::Steered,
    timers,
};
use crate::{
    admin::{
        self, ConfigState, Control, Explained, Readiness, ReloadOutcome, Trouble, contract_router,
    },
    config::{self, Boot, Config, Machine, Report, reload::first_line},
    edge::{self, Live},
    identity::Mirror,
    issuer::{Issuers, KeyState},
    limit::{SharedLimiter, local::LocalLimiter},
    link,
    model::{Clock, MountName, SystemClock, SystemRandom},
    pipeline::{
        explain::{Past, Question},
        jwt::install_crypto_provider,
        shadow::ShadowLine,
    },
    telemetry::{
        Metrics,
        logging::{self, Output},
    },
};

/// How often certificates of the link are looked at.
const LINK_FILES: Duration = Duration::from_secs(1);
/// Pause before keys that could not be read are asked for again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the internal plane may still answer after the data plane has drained.
const INTERNAL_GRACE: Duration = Duration::from_secs(5);

/// The running edge node.
struct Outpost {
    edge: Arc<edge::Shared>,
    mirror: Mirror,
    client: link::Client,
    settings: link::Settings,
    limiter: Arc<LocalLimiter>,
    shared_limiter: Option<Arc<SharedLimiter>>,
    metrics: Metrics,
    sets: Vec<String>,
    active: ArcSwap<Config>,
    stale: ArcSwapOption<String>,
    readiness: watch::Sender<Readiness>,
    /// One change at a time.
    changing: Mutex<()>,
    log: logging::Handle,
}

/// Serves as an edge node until told to stop.
pub(super) fn serve(threads: Threads, config: Config, sets: Vec<String>) -> Result<(), RunError> {
    let Threads { runtime, signals } = threads;
    install_crypto_provider();
    let (log, _guard) = logging::init(&config.blueprint.process.log, Output::Stdout)?;
    for finding in &config.findings().relaxations {
        tracing::info!(event = "relaxation", id = finding.id, key = %finding.key, what = %finding.what);
    }
    let boot = config.boot();
    for listener in boot.edge.all_listeners() {
        probe_address(listener)?;
    }
    let (stop_internal, stop_edge) = (watch::Sender::new(false), watch::Sender::new(false));
    let (outpost, internal) = runtime.block_on(async {
        let outpost = open(config, sets, &boot, log).await?;
        let settings = admin::Settings {
            address: boot.internal_address,
            operator_socket: boot.operator_socket.clone(),
            identity_socket: None,
            token: generated::operator_token(&boot)?,
            open_probes: boot.open_probes,
        };
        let doors = admin::Listeners::bind(&settings).await?;
        let operator = admin::edge_router(admin::EdgeParts {
            control: outpost.clone(),
            truth: Arc::new(outpost.mirror.clone()),
            metrics: outpost.metrics.clone(),
            clock: Arc::new(SystemClock),
        });
        let (stop, grace) = (stop_internal.subscribe(), boot.edge.grace_period.min(INTERNAL_GRACE));
        let internal = tokio::spawn(async move {
            // Nobody comes for a contract: there is no door to it.
            let contract = contract_router(Arc::default());
            admin::serve::serve(doors, &settings, operator, contract, stop, grace).await;
        });
        signals::watch(signals, outpost.clone(), stop_edge.clone());
        outpost.start(&boot);
        Ok::<_, RunError>((outpost, internal))
    })?;

    let ready = runtime.spawn(announce(outpost.clone(), stop_edge.subscribe(), None));
    let served = edge::serve(outpost.edge.clone(), stop_edge.subscribe());
    ready.abort();
    outpost.set_readiness(Readiness::Draining);
    runtime.block_on(async {
        stop_internal.send_replace(true);
        if let Err(error) = internal.await {
            tracing::error!(event = "internal_plane_failed", %error);
        }
        outpost.close().await;
    });
    tracing::info!(event = "stopped");
    Ok(served?)
}

/// Asks for everything that must be known, and puts the data plane together.
async fn open(
    config: Config,
    sets: Vec<String>,
    boot: &Boot,
    log: logging::Handle,
) -> Result<Arc<Outpost>, RunError> {
    // Checked with the rest of the configuration.
    let settings = boot.link.clone().ok_or_else(|| RunError::Link("no [link]".to_owned()))?;
    generated::make_folder(&boot.data_dir)?;
    edge::tls::install_provider();
    let metrics = Metrics::new().map_err(|error| RunError::Metrics(error.to_string()))?;
    let client = link::Client::new(settings.clone()).map_err(RunError::Link)?;
    let mirror = awaited(&client, &settings, &config).await?;

    let Limiters { redis, limiter, shared: shared_limiter } = limiters(boot, &metrics);
    if let Some(redis) = &redis {
        redis.start();
    }
    let parts = edge::Parts {
        limiter: counts(&limiter, shared_limiter.as_ref()),
        lookup: mirror.lookup(),
        revocations: mirror.revocations(),
        metrics: metrics.clone(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        access: log.access(),
    };
    let compiled = config.compile(&|set: &MountName| mirror.verification_keys(set))?;
    let asking = issuer_parts(&metrics);
    let issuers = Issuers::build(&compiled.issuers, None, &asking).map_err(RunError::Issuer)?;
    issuers.warm().await;
    let upstreams = with_identity_nodes(compiled.upstreams, &settings);
    let (snapshot, issuers) = (Arc::new(compiled.snapshot), Arc::new(issuers));
    let live = Live::build(snapshot, &upstreams, issuers, None, &metrics, boot.edge.caches);
    metrics.config_active(&config.hash, SystemTime::now());
    let (counted, handle) = (limiter.clone(), log.clone());
    metrics.probe(move |metrics| {
        metrics.limiter(counted.tracked(), counted.cap(), counted.coarse());
        metrics.log_lines_dropped(handle.dropped());
    });
    let edge = edge::Shared::new(parts, boot.edge.clone(), live)?;
    let shown = Arc::downgrade(&edge);
    metrics.probe(move |_| {
        shown.upgrade().iter().for_each(|edge| edge.live().issuers().publish());
    });
    Ok(Arc::new(Outpost {
        edge,
        mirror,
        client,
        settings,
        limiter,
        shared_limiter,
        metrics,
        sets,
        active: ArcSwap::from_pointee(config),
        stale: ArcSwapOption::empty(),
        readiness: watch::Sender::new(Readiness::Starting),
        changing: Mutex::new(()),
        log,
    }))
}

impl Outpost {
    /// Begins to follow, and whatever else is done from time to time.
    fn start(self: &Arc<Self>, boot: &Boot) {
        let changes = self.mirror.key_changes();
        tokio::spawn(follow_keys(self.clone(), changes));
        let mirror = self.mirror.clone();
        tokio::spawn(async move { mirror.follow().await });
        timers::every(timers::USAGE, self, |own| async move {
            if let Err(error) = own.mirror.flush_usage().await {
                tracing::warn!(event = "usage_not_written", %error);
            }
        });
        timers::every(timers::LIMITER, self, |own| async move {
            own.limiter.sweep();
            own.shared_limiter.iter().for_each(|shared| shared.sweep());
        });
        if self.edge.has_certificates() {
            timers::every(timers::CERTIFICATES, self, |own| async move {
                own.refresh_certificates().await;
            });
        }
        timers::every(LINK_FILES, self, |own| async move {
            if own.client.refresh().await {
                // The pool of identity nodes is made anew as well.
                own.keys_changed().await;
            }
        });
        timers::every(timers::REFUSALS, self, |own| async move { own.record_refusals().await });
        let (wall, began) = (SystemClock.now(), Instant::now());
        timers::every(timers::SWEEP, self, move |own| async move {
            own.mirror.prune(wall + began.elapsed());
        });
        if boot.watch {
            tokio::spawn(timers::follow(self.clone(), self.active.load().file.clone()));
        }
    }

    async fn refresh_certificates(&self) {
        let edge = self.edge.clone();
        // A panic in it is a bug of ours; the certificates in force stay.
        let _ = tokio::task::spawn_blocking(move || edge.refresh_certificates()).await;
    }

    /// Has the refusals counted here written into the audit log.
    async fn record_refusals(&self) {
        let events = counted(&self.edge);
        if events.is_empty() {
            return;
        }
        let lost = self.mirror.record(events).await;
        if lost > 0 {
            self.metrics.audit_events_dropped(u64::try_from(lost).unwrap_or(u64::MAX));
        }
    }

    async fn close(&self) {
        if let Err(error) = self.mirror.flush_usage().await {
            tracing::warn!(event = "usage_not_written", %error);
        }
        self.record_refusals().await;
    }

    /// Takes a checked configuration over, or says why not; then nothing has changed.
    async fn apply(&self, next: Config) -> Result<(), String> {
        let before = self.edge.live();
        let asking = issuer_parts(&self.metrics);
        let issuers = Issuers::build(&next.issuers(), Some(before.issuers()), &asking)?;
        drop(before);
        // Identity nodes must know new mounts first.
        self.mirror.read_keys(&key_sets(&next)).await.map_err(|error| {
            format!("identity nodes do not take the configuration over: {error}")
        })?;
        self.mirror.remember(next.identity().remember());
        let compiled = next
            .compile(&|set: &MountName| self.mirror.verification_keys(set))
            .map_err(|report| report.to_string())?;
        self.log.set(&compiled.log).map_err(|error| error.to_string())?;
        self.swap(compiled, Arc::new(issuers));
        self.active.store(Arc::new(next));
        Ok(())
    }

    fn swap(&self, compiled: config::Compiled, issuers: Arc<Issuers>) {
        let before = self.edge.live();
        let upstreams = with_identity_nodes(compiled.upstreams, &self.settings);
        let snapshot = Arc::new(compiled.snapshot);
        let (metrics, caches) = (&self.metrics, self.edge.caches());
        let live = Live::build(snapshot, &upstreams, issuers, Some(&before), metrics, caches);
        self.edge.swap(live);
        // The old one goes here, on the control runtime, unless a request still holds it.
        drop(before);
    }

    fn refused(&self, short: String, report: String) -> ReloadOutcome {
        tracing::error!(event = "reload_refused", reason = %short);
        self.metrics.reload(false);
        self.stale.store(Some(Arc::new(short)));
        ReloadOutcome::Refused { report }
    }
}

/// Takes over signing keys that an identity node has made.
async fn follow_keys(outpost: Arc<Outpost>, mut changes: watch::Receiver<u64>) {
    while changes.changed().await.is_ok() {
        while let Err(error) =
            outpost.mirror.read_keys(&key_sets(&outpost.active.load_full())).await
        {
            tracing::warn!(event = "signing_keys_not_read", %error);
            tokio::time::sleep(PAUSE).await;
        }
        outpost.keys_changed().await;
    }
}

impl Steered for Outpost {
    fn set_readiness(&self, readiness: Readiness) {
        turn(&self.readiness, readiness);
    }

    fn bound(&self) -> watch::Receiver<Option<edge::Bound>> {
        self.edge.bound()
    }
}

#[async_trait]
impl Control for Outpost {
    fn readiness(&self) -> Readiness {
        *self.readiness.borrow()
    }

    fn config(&self) -> ConfigState {
        let stale = self.stale.load_full().map(|reason| reason.as_str().to_owned());
        ConfigState { hash: self.active.load().hash.as_str().into(), stale }
    }

    fn troubles(&self) -> Vec<Trouble> {
        let lag = followers::trouble(self.mirror.followed());
        of_issuers(&self.edge).into_iter().chain(lag).collect()
    }

    fn effective(&self) -> String {
        self.active.load().effective.clone()
    }

    async fn reload(&self) -> ReloadOutcome {
        self.refresh_certificates().await;
        let _one = self.changing.lock().await;
        let (active, sets) = (self.active.load_full(), self.sets.clone());
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
        self.metrics.reload(true);
        self.metrics.config_active(&hash, SystemTime::now());
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
        let _one = self.changing.lock().await;
        let keys = |set: &MountName| self.mirror.verification_keys(set);
        match self.active.load().compile(&keys) {
            Ok(compiled) => self.swap(compiled, self.edge.live().issuers().clone()),
            Err(report) => {
                tracing::error!(event = "keys_not_taken_over", reason = %first_line(&report));
            }
        }
    }
}
