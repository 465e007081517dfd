//! The metric registry (Prometheus text format 0.0.4): one typed method per fact, label sets closed.
//!
//! Nothing here reads a clock or another room: callers bring the figures. Figures that somebody else keeps anyway
//! (limiter state, pool sizes) are fetched by a probe at the moment of a scrape.
//!
//! Reason for length: one method per fact, each of a line or two.

mod changes;
mod connections;
mod fleet;
mod issuers;
mod make;
mod process;
mod public;
mod route;
mod streams;

pub use connections::{Cut, Turned};
pub use make::Family;
pub use public::PublicRoute;
pub use route::RouteMetrics;
pub use streams::{OpenStreams, StreamKind};

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::{
    Error, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};

use make::Make;

use crate::pipeline::Outcome;

/// Every metric of the product; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

/// Which cache of the edge was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// Verified bearer tokens.
    Token,
    /// Bearer tokens refused a moment ago.
    Refused,
    /// Evidence of API keys.
    Key,
    /// Evidence of sessions.
    Session,
    /// What issuers said about tokens.
    Introspection,
}

type Probe = Box<dyn Fn(&Metrics) + Send + Sync>;

struct Inner {
    registry: Registry,
    families: Vec<Family>,
    probes: Mutex<Vec<Probe>>,
    route: route::Families,
    public: public::PublicFigures,
    in_flight: IntGauge,
    changes: changes::Families,
    connections: connections::Families,
    streams: streams::Families,
    issuers: issuers::Families,
    fleet: fleet::Families,
    proofs_remembered: IntGauge,
    heads_refused: IntCounter,
    forward_auth: IntCounterVec,
    handshakes_failed: IntCounterVec,
    certificate_left: IntGaugeVec,
    signing_key_age: IntGaugeVec,
    certificate_reloads: IntCounterVec,
    http2_ended: IntCounterVec,
    token_cache: HitMiss,
    refused_cache: HitMiss,
    key_cache: HitMiss,
    session_cache: HitMiss,
    introspection_cache: HitMiss,
    limiter_tracked: IntGauge,
    limiter_cap: IntGauge,
    limiter_coarse: IntCounter,
    hashes_running: IntGauge,
    hashes_waiting: IntGauge,
    revocations: IntGauge,
    store_calls: IntCounterVec,
    store_duration: HistogramVec,
    reloads: IntCounterVec,
    reload_success: Gauge,
    config_stale: IntGauge,
    config_info: IntGaugeVec,
    config_hash: Mutex<String>,
    backend_healthy: IntGaugeVec,
    upstream_ejections: IntCounterVec,
    upstream_retries: IntCounterVec,
    deliveries: IntCounterVec,
    outbox_waiting: IntGaugeVec,
    audit_dropped: IntCounter,
    log_dropped: IntCounter,
    shadow_refusals: IntCounterVec,
}

struct HitMiss {
    hit: IntCounter,
    miss: IntCounter,
}

impl Metrics {
    /// Registers everything in a registry of its own, so that several gateways fit in one process.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let make = Make::new(&registry);
        let caches = make.counters(
            "portcullis_credential_cache_lookups_total",
            "Look-ups in the edge's caches of verified credentials.",
            &["kind", "result"],
        )?;
        let pair = |kind: &str| HitMiss {
            hit: caches.with_label_values(&[kind, "hit"]),
            miss: caches.with_label_values(&[kind, "miss"]),
        };
        let build =
            make.gauges("portcullis_build_info", "Version that is running.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        make.collector(process::Process::new()?)?;

        let inner = Inner {
            route: route::Families::register(&make)?,
            public: public::PublicFigures::default(),
            in_flight: make.gauge("portcullis_requests_in_flight", "Requests being served now.")?,
            changes: changes::Families::register(&make)?,
            connections: connections::Families::register(&make)?,
            streams: streams::Families::register(&make)?,
            issuers: issuers::Families::register(&make)?,
            fleet: fleet::Families::register(&make)?,
            proofs_remembered: make.gauge(
                "portcullis_proofs_remembered",
                "Proofs of possession (DPoP) that were used and may not be used again.",
            )?,
            heads_refused: make.counter(
                "portcullis_heads_refused_total",
                "Requests that could not be parsed at all: answered and closed, with HTTP/2 answered or reset, without an access line.",
            )?,
            forward_auth: make.counters(
                "portcullis_forward_auth_answers_total",
                "Questions of other proxies (forward-auth) by how they were decided.",
                &["listener", "outcome"],
            )?,
            handshakes_failed: make.counters(
                "portcullis_tls_handshakes_failed_total",
                "TLS handshakes of clients that failed or took too long.",
                &["listener", "reason"],
            )?,
            certificate_left: make.gauges(
                "portcullis_certificate_days_left",
                "Whole days until a certificate of a listener ends; negative when it has ended.",
                &["listener", "certificate"],
            )?,
            signing_key_age: make.gauges(
                "portcullis_signing_key_age_seconds",
                "Seconds since the newest key of a set was made, by set as `signing-key list` names it; 30 seconds exact.",
                &["keys"],
            )?,
            certificate_reloads: make.counters(
                "portcullis_certificate_reloads_total",
                "Changed certificates that were taken over (`ok`) or refused (`error`).",
                &["listener", "result"],
            )?,
            http2_ended: make.counters(
                "portcullis_http2_connections_ended_total",
                "HTTP/2 connections of clients that were ended because they used up a budget.",
                &["reason"],
            )?,
            token_cache: pair("token"),
            refused_cache: pair("refused_token"),
            key_cache: pair("key"),
            session_cache: pair("session"),
            introspection_cache: pair("introspection"),
            limiter_tracked: make.gauge(
                "portcullis_limiter_tracked_keys",
                "Rate-limit keys that are tracked one by one.",
            )?,
            limiter_cap: make.gauge(
                "portcullis_limiter_max_keys",
                "Keys beyond which unknown ones share a coarse bucket.",
            )?,
            limiter_coarse: make.counter(
                "portcullis_limiter_coarse_total",
                "Charges counted in a coarse bucket because the table was full.",
            )?,
            hashes_running: make.gauge(
                "portcullis_password_hashes_running",
                "Password hashes being computed now.",
            )?,
            hashes_waiting: make.gauge(
                "portcullis_password_hashes_waiting",
                "Logins that wait for a place to hash.",
            )?,
            revocations: make.gauge(
                "portcullis_revocations_tracked",
                "Ended tokens and sessions in the live revocation view.",
            )?,
            store_calls: make.counters(
                "portcullis_store_calls_total",
                "Calls to the store.",
                &["op", "result"],
            )?,
            store_duration: make.histograms(
                "portcullis_store_call_duration_seconds",
                "Time of a call to the store.",
                &["op"],
                &[0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0],
            )?,
            reloads: make.counters(
                "portcullis_config_reloads_total",
                "Reloads of the configuration.",
                &["result"],
            )?,
            reload_success: make.seconds(
                "portcullis_config_last_reload_success_timestamp_seconds",
                "When a configuration was last taken over, in Unix time.",
            )?,
            config_stale: make.gauge(
                "portcullis_config_stale",
                "1 while the file on disk was refused and an older configuration serves on.",
            )?,
            config_info: make.gauges(
                "portcullis_config_info",
                "SHA-256 of the configuration in force.",
                &["hash"],
            )?,
            config_hash: Mutex::default(),
            backend_healthy: make.gauges(
                "portcullis_upstream_backend_healthy",
                "1 while a backend takes requests, 0 while it is taken out.",
                &["upstream", "backend"],
            )?,
            upstream_ejections: make.counters(
                "portcullis_upstream_ejections_total",
                "Backends taken out because of failures.",
                &["upstream"],
            )?,
            upstream_retries: make.counters(
                "portcullis_upstream_retries_total",
                "Requests sent to a further backend after a connection could not be made.",
                &["upstream"],
            )?,
            deliveries: make.counters(
                "portcullis_outbox_deliveries_total",
                "Tries to deliver something from the outbox.",
                &["kind", "result"],
            )?,
            outbox_waiting: make.gauges(
                "portcullis_outbox_waiting",
                "What waits in the outbox.",
                &["kind"],
            )?,
            audit_dropped: make.counter(
                "portcullis_audit_events_dropped_total",
                "Refusal events that found the audit queue full.",
            )?,
            log_dropped: make.counter(
                "portcullis_log_lines_dropped_total",
                "Log lines that found the writer's queue full.",
            )?,
            shadow_refusals: make.counters(
                "portcullis_shadow_refusals_total",
                "Requests that a rule in shadow mode would have refused.",
                &["rule", "route", "reason"],
            )?,
            probes: Mutex::default(),
            families: make.into_families(),
            registry,
        };
        for result in ["ok", "error"] {
            inner.reloads.with_label_values(&[result]);
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Every family there is, by name, whether or not it has a value yet.
    pub fn families(&self) -> &[Family] {
        &self.inner.families
    }

    /// Everything as text. Runs the probes first.
    pub fn render(&self) -> String {
        let probes = self.inner.probes.lock().unwrap_or_else(PoisonError::into_inner);
        for probe in probes.iter() {
            probe(self);
        }
        drop(probes);
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.inner.registry.gather(), &mut text)
        {
            tracing::error!(%error, "metrics cannot be rendered");
        }
        text
    }

    /// Adds a probe: called before each [`Metrics::render`] to bring figures up to date.
    /// It must not call `render` or `probe` itself.
    pub fn probe(&self, probe: impl Fn(&Metrics) + Send + Sync + 'static) {
        let mut probes = self.inner.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.push(Box::new(probe));
    }

    /// Handles for one route, to be kept in the snapshot's companion. The same route gets the same counters again
    /// after a reload.
    pub fn route(&self, mount: &str, route: &str) -> RouteMetrics {
        self.inner.route.of(mount, route)
    }

    /// The figures of one route template that its mount shows to everybody; `None` if they cannot be made.
    pub fn public_route(&self, mount: &str, endpoint: &str) -> Option<PublicRoute> {
        self.inner.public.route(mount, endpoint)
    }

    /// What a mount shows to everybody, as text.
    pub fn render_public(&self, mount: &str) -> String {
        self.inner.public.render(mount)
    }

    /// Handles for requests of a mount that found no route; their `route` label is empty.
    pub fn unrouted(&self, mount: &str) -> RouteMetrics {
        self.route(mount, "")
    }

    /// A request began. Pair with [`Metrics::request_ended`].
    pub fn request_began(&self) {
        self.inner.in_flight.inc();
    }

    /// A request ended.
    pub fn request_ended(&self) {
        self.inner.in_flight.dec();
    }

    /// A client connection was accepted. Pair with [`Metrics::connection_closed`].
    pub fn connection_opened(&self) {
        self.inner.connections.open.inc();
    }

    /// A client connection ended.
    pub fn connection_closed(&self) {
        self.inner.connections.open.dec();
    }

    /// A client connection was closed before anything of it was read as a request.
    pub fn connection_refused(&self, why: Turned) {
        self.inner.connections.refused(why);
    }

    /// A limit ended a client connection.
    pub fn connection_cut(&self, why: Cut) {
        self.inner.connections.cut(why);
    }

    /// What runs for long under a credential, counted anew.
    pub fn streams_open(&self, counts: &OpenStreams) {
        self.inner.streams.show(counts);
    }

    /// Something was ended because its credential ended. `reason` is a reason code.
    pub fn stream_ended(&self, kind: StreamKind, reason: &'static str) {
        self.inner.streams.ended(kind, reason);
    }

    /// So many more proofs are remembered; fewer, where negative.
    pub fn proofs_remembered(&self, more: i64) {
        self.inner.proofs_remembered.add(more);
    }

    /// A head was answered before any hook saw it.
    pub fn head_refused(&self) {
        self.inner.heads_refused.inc();
    }

    /// A question of another proxy was decided.
    pub fn forward_auth_answered(&self, listener: &str, outcome: Outcome) {
        self.inner.forward_auth.with_label_values(&[listener, outcome.as_str()]).inc();
    }

    /// A handshake of a client failed. `reason` is `failed` or `timeout`.
    pub fn handshake_failed(&self, listener: &str, reason: &'static str) {
        self.inner.handshakes_failed.with_label_values(&[listener, reason]).inc();
    }

    /// How many seconds a certificate of a listener is still good.
    pub fn certificate(&self, listener: &str, certificate: &str, left: i64) {
        let gauge = self.inner.certificate_left.with_label_values(&[listener, certificate]);
        gauge.set(left.div_euclid(24 * 3600));
    }

    /// How old the newest signing key of each set is; sets that are not among these are forgotten.
    pub fn signing_keys<'a>(&self, ages: impl Iterator<Item = (&'a str, Duration)>) {
        let gauges = &self.inner.signing_key_age;
        gauges.reset();
        for (keys, age) in ages {
            gauges.with_label_values(&[keys]).set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        }
    }

    /// A changed certificate was taken over or refused.
    pub fn certificate_reload(&self, listener: &str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.inner.certificate_reloads.with_label_values(&[listener, result]).inc();
    }

    /// An HTTP/2 connection was ended because it used up a budget.
    pub fn http2_ended(&self, reason: &'static str) {
        self.inner.http2_ended.with_label_values(&[reason]).inc();
    }

    /// One look-up in a credential cache.
    pub fn cache(&self, kind: CacheKind, hit: bool) {
        let pair = match kind {
            CacheKind::Token => &self.inner.token_cache,
            CacheKind::Refused => &self.inner.refused_cache,
            CacheKind::Key => &self.inner.key_cache,
            CacheKind::Session => &self.inner.session_cache,
            CacheKind::Introspection => &self.inner.introspection_cache,
        };
        if hit { pair.hit.inc() } else { pair.miss.inc() }
    }

    /// State of the limiter; `coarse` is its running total.
    pub fn limiter(&self, tracked: usize, cap: usize, coarse: u64) {
        self.inner.limiter_tracked.set(gauge(tracked));
        self.inner.limiter_cap.set(gauge(cap));
        catch_up(&self.inner.limiter_coarse, coarse);
    }

    /// State of the password pool.
    pub fn hash_pool(&self, running: usize, waiting: usize) {
        self.inner.hashes_running.set(gauge(running));
        self.inner.hashes_waiting.set(gauge(waiting));
    }

    /// Entries of the live revocation view.
    pub fn revocations(&self, tracked: usize) {
        self.inner.revocations.set(gauge(tracked));
    }

    /// One try to deliver something from the outbox.
    pub fn delivery(&self, kind: &str, result: &'static str) {
        self.inner.deliveries.with_label_values(&[kind, result]).inc();
    }

    /// What waits in the outbox of a kind.
    pub fn outbox_waiting(&self, kind: &str, waiting: u64) {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        self.inner.outbox_waiting.with_label_values(&[kind]).set(waiting);
    }

    /// One call to the store. `op` is the verb's name in the code.
    pub fn store_call(&self, op: &'static str, ok: bool, took: Duration) {
        let result = if ok { "ok" } else { "error" };
        self.inner.store_calls.with_label_values(&[op, result]).inc();
        self.inner.store_duration.with_label_values(&[op]).observe(took.as_secs_f64());
    }

    /// A configuration was taken over: at start-up, or by a reload.
    pub fn config_active(&self, hash: &str, at: SystemTime) {
        let inner = &self.inner;
        let mut active = inner.config_hash.lock().unwrap_or_else(PoisonError::into_inner);
        inner.config_info.with_label_values(&[hash]).set(1);
        if active.as_str() != hash {
            // The very first hash has no predecessor to remove, which is no fault.
            let _ = inner.config_info.remove_label_values(&[active.as_str()]);
            *active = hash.to_owned();
        }
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        inner.reload_success.set(since.as_secs_f64());
        inner.config_stale.set(0);
    }

    /// A reload was tried. After a success call [`Metrics::config_active`] as well.
    pub fn reload(&self, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.inner.reloads.with_label_values(&[result]).inc();
        self.inner.config_stale.set(i64::from(!ok));
    }

    /// Whether a backend takes requests.
    pub fn upstream_backend(&self, upstream: &str, backend: &str, healthy: bool) {
        let gauge = self.inner.backend_healthy.with_label_values(&[upstream, backend]);
        gauge.set(i64::from(healthy));
    }

    /// A backend that a reload took away is no longer shown.
    pub fn forget_backend(&self, upstream: &str, backend: &str) {
        // Never shown is as good as forgotten.
        let _ = self.inner.backend_healthy.remove_label_values(&[upstream, backend]);
    }

    /// A backend was ejected.
    pub fn upstream_ejected(&self, upstream: &str) {
        self.inner.upstream_ejections.with_label_values(&[upstream]).inc();
    }

    /// A further backend was tried.
    pub fn upstream_retried(&self, upstream: &str) {
        self.inner.upstream_retries.with_label_values(&[upstream]).inc();
    }

    /// Refusal events were lost because the audit queue was full.
    pub fn audit_events_dropped(&self, count: u64) {
        self.inner.audit_dropped.inc_by(count);
    }

    /// A request that a rule in shadow mode would have refused.
    pub fn shadow_refusal(&self, rule: &str, route: &str, reason: &str) {
        self.inner.shadow_refusals.with_label_values(&[rule, route, reason]).inc();
    }

    /// Running total of log lines that the writer dropped.
    pub fn log_lines_dropped(&self, total: u64) {
        catch_up(&self.inner.log_dropped, total);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn catch_up(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

fn observe(histogram: &Histogram, duration: Duration) {
    histogram.observe(duration.as_secs_f64());
}

#[cfg(test)]
mod tests;
