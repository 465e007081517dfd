//! Calls of Redis, each within its budget, and the circuit before them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{Notify, watch};

use super::{
    Script, Settings,
    dial::{self, DIAL, Link, Place},
    news::Subscription,
};
use crate::telemetry::Metrics;

/// Failures in a row after which nobody asks any more.
const TRIPS_AFTER: u32 = 3;
/// How often a lost Redis is looked for.
const SEARCH: Duration = Duration::from_millis(150);
/// Calls in a row that one which was found must answer within the budget, before any request is spent on it. One that is
/// there and slow would be found and lost again all the time, at the cost of requests.
const PROVEN_BY: u32 = 3;
/// How often one that is there is looked at, so that its loss is known before a request meets it.
const LOOK: Duration = Duration::from_millis(500);

/// Redis did not answer in time, or not with what was asked for. What it said is in the log, once per change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis cannot be asked")]
pub struct Lost;

/// One Redis, as one process sees it. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    metrics: Metrics,
    link: ArcSwapOption<Link>,
    up: AtomicBool,
    failures: AtomicU32,
    started: AtomicBool,
    /// Told when a call fails, whether the circuit opens or not.
    doubted: Notify,
    /// Counts the openings and closings of the circuit.
    turns: watch::Sender<u64>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Client {
    /// Knows where Redis is, and has not looked for it: see [`Client::start`].
    pub fn new(settings: Settings, metrics: Metrics) -> Self {
        metrics.redis_up(false);
        let inner = Inner {
            settings,
            metrics,
            link: ArcSwapOption::empty(),
            up: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            started: AtomicBool::new(false),
            doubted: Notify::new(),
            turns: watch::Sender::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Connects, and keeps the connection, on the runtime it is called on; calls may come from any. Later calls do nothing.
    pub fn start(&self) {
        if !self.inner.started.swap(true, Relaxed) {
            let own = self.clone();
            tokio::spawn(async move { own.keep().await });
        }
    }

    /// Whether Redis is asked at all. `false` before it was found.
    pub fn is_up(&self) -> bool {
        self.inner.up.load(Relaxed)
    }

    /// Changes whenever Redis is found or lost.
    pub fn turns(&self) -> watch::Receiver<u64> {
        self.inner.turns.subscribe()
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Whether keys of one call must lie together.
    pub fn is_cluster(&self) -> bool {
        matches!(self.inner.settings.topology, super::Topology::Cluster(_))
    }

    /// Runs a script as one step: by its name where the server knows it, else whole.
    pub async fn run(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<Value, Lost> {
        match self.ask(&script.by_name(keys, arguments)).await {
            Ok(value) => Ok(value),
            Err(Refusal::NoScript) => {
                self.ask(&script.whole(keys, arguments)).await.map_err(|_| Lost)
            }
            Err(Refusal::Other) => Err(Lost),
        }
    }

    /// Tells something to everybody who listens now. Nobody may: who must not miss it looks it up elsewhere.
    pub async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), Lost> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.named(channel)).arg(message);
        self.ask(&command).await.map(drop).map_err(|_| Lost)
    }

    /// Listens, on the runtime it is called on, for as long as what it returns is kept.
    pub fn subscribe(&self, channel: &str) -> Subscription {
        Subscription::start(self.clone(), self.named(channel))
    }

    /// A key or channel under the prefix.
    pub fn named(&self, name: &str) -> String {
        format!("{}{name}", self.inner.settings.prefix)
    }

    async fn ask(&self, command: &Cmd) -> Result<Value, Refusal> {
        let inner = &*self.inner;
        let Some(link) = inner.link.load_full() else { return Err(Refusal::Other) };
        let mut own = Link::clone(&link);
        let began = Instant::now();
        let asked = tokio::time::timeout(inner.settings.timeout, own.ask(command)).await;
        let (result, verdict) = match asked {
            Ok(Ok(value)) => ("ok", Ok(value)),
            Ok(Err(error)) if is(&error, ServerErrorKind::NoScript) => {
                ("ok", Err(Refusal::NoScript))
            }
            Ok(Err(error)) => {
                self.failed(&link, &plainly(&error), is_over(&error));
                ("error", Err(Refusal::Other))
            }
            Err(_) => {
                self.failed(&link, "no answer in time", false);
                ("timeout", Err(Refusal::Other))
            }
        };
        if result == "ok" && inner.failures.load(Relaxed) > 0 {
            inner.failures.store(0, Relaxed);
        }
        inner.metrics.redis_call(result, began.elapsed());
        verdict
    }

    /// Notes a failure on a connection that is still in use, and opens the circuit after some.
    fn failed(&self, link: &Arc<Link>, why: &str, over: bool) {
        let inner = &*self.inner;
        let current = inner.link.load();
        if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            return;
        }
        let failures = inner.failures.fetch_add(1, Relaxed) + 1;
        if (over || failures >= TRIPS_AFTER) && inner.up.swap(false, Relaxed) {
            inner.link.store(None);
            inner.metrics.redis_up(false);
            inner.turns.send_modify(|turns| *turns += 1);
            tracing::warn!(event = "redis_lost", reason = why);
        }
        inner.doubted.notify_one();
    }

    /// Looks for Redis while it is lost, and looks at it while it is not. Ends with the runtime.
    async fn keep(&self) {
        let inner = &*self.inner;
        let mut told = false;
        loop {
            if self.is_up() {
                let _ = tokio::time::timeout(LOOK, inner.doubted.notified()).await;
                // At once after a failure, so that the circuit opens after some budgets of time and not of requests.
                // Whether it failed is noted where every call is.
                let _ = self.ask(&self.look()).await;
                continue;
            }
            match self.found().await {
                Ok(link) => {
                    inner.failures.store(0, Relaxed);
                    inner.link.store(Some(Arc::new(link)));
                    inner.up.store(true, Relaxed);
                    inner.metrics.redis_up(true);
                    inner.turns.send_modify(|turns| *turns += 1);
                    tracing::info!(event = "redis_found");
                    told = true;
                }
                Err(error) => {
                    // Losing it is told where it is lost; never finding it has to be told here.
                    if !told {
                        tracing::warn!(event = "redis_lost", reason = %plainly(&error));
                        told = true;
                    }
                    tokio::time::sleep(SEARCH).await;
                }
            }
        }
    }

    /// A connection over which something was written, and in time.
    async fn found(&self) -> Result<Link, RedisError> {
        let settings = &self.inner.settings;
        let mut failed = dial::nobody();
        for place in dial::places(settings) {
            match self.found_at(place).await {
                Ok(link) => return Ok(link),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn found_at(&self, place: Place<'_>) -> Result<Link, RedisError> {
        let settings = &self.inner.settings;
        let mut link = dial::connect(settings, place).await?;
        let look = self.look();
        // The first one may have to set things up at the other end.
        let patience = std::iter::once(DIAL);
        let patience = patience.chain((0..PROVEN_BY).map(|_| settings.timeout));
        for patience in patience {
            match tokio::time::timeout(patience, link.ask(&look)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            }
        }
        Ok(link)
    }

    /// A write, since a replica answers reads.
    fn look(&self) -> Cmd {
        let mut command = redis::cmd("SET");
        command.arg(self.named("look")).arg(1).arg("EX").arg(60);
        command
    }
}

enum Refusal {
    NoScript,
    Other,
}

/// Whether nothing will come of this connection any more.
fn is_over(error: &RedisError) -> bool {
    error.is_connection_dropped()
        || is(error, ServerErrorKind::ReadOnly)
        || is(error, ServerErrorKind::MasterDown)
}

fn is(error: &RedisError, kind: ServerErrorKind) -> bool {
    error.kind() == ErrorKind::Server(kind)
}

/// What went wrong, without what the server said: it may quote what it was sent.
fn plainly(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("{}: {code}", error.category()),
        None => error.category().to_owned(),
    }
}
