//! The composition root: the only place that knows every room. It opens, wires, watches signals, and closes.
//!
//! Two groups of threads: the control runtime owns store, identity, internal plane and timers; the data plane owns its
//! own threads and blocks the caller until it has drained.

mod deliveries;
mod followers;
pub mod gateway;
mod generated;
mod heralds;
mod kept_sets;
mod link;
pub mod open;
mod outpost;
mod signals;
mod timers;
mod touches;
mod turns;

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};

use self::signals::{Signals, Steered};
pub use self::{
    gateway::Gateway,
    open::{Opened, Purpose, STORE_FILE, open, place},
};
use crate::{
    admin::{self, BindError, Readiness},
    config::{self, Config, Machine, Report},
    edge::{self, EdgeError},
    identity::IdentityError,
    model::{Plane, priority},
    pipeline::jwt::install_crypto_provider,
    store::StoreError,
    telemetry::logging::{self, LogError, Output},
};

/// Threads of the control runtime: logins hash on a pool of their own, so these only wait and write.
const CONTROL_THREADS: usize = 2;
/// A flood of logins must not hold up what is proxied.
const CONTROL_NICE: i32 = 5;
/// How long the internal plane may still answer after the data plane has drained: nobody waits there any more but the
/// operator, and the supervisor's patience is for the store.
const INTERNAL_GRACE: Duration = Duration::from_secs(5);

/// Why the gateway cannot run, or a command cannot work on its store.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration has faults.
    #[error("{0}")]
    Config(#[from] Report),
    /// The log cannot be set up.
    #[error("cannot set up the log: {0}")]
    Log(#[from] LogError),
    /// A file of the data folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A generated secret is not there, but what it protects is.
    #[error(
        "{} is missing, but the store {} needs it: put the backed-up master key there (mode 0600)",
        key.display(), store.display()
    )]
    MasterKeyGone {
        /// The key's file.
        key: PathBuf,
        /// The store's file.
        store: PathBuf,
    },
    /// Nodes that share a database share its master key.
    #[error(
        "[store] names a database, and [secrets] master_keys names no key: make one (openssl rand -hex 32), \
         give it to every node, and write master_keys = [\"file:PATH\"]"
    )]
    MasterKeyNotNamed,
    /// A command that works on the store, at a node that has none.
    #[error(
        "this is the configuration of an edge node, which has no store: do it at an identity node"
    )]
    EdgeNode,
    /// Edge nodes hear of changes through the database.
    #[error(
        "[link] listen needs a database that tells of changes: add [store] url = \"postgres://…\", or remove listen"
    )]
    LinkWithoutDatabase,
    /// The link.
    #[error("link: {0}")]
    Link(String),
    /// No identity node answered in time.
    #[error("no identity node of [link] identity can be asked: {0}")]
    NoIdentityNode(#[source] IdentityError),
    /// The store cannot be opened.
    #[error("store {}: {source}", path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The store was made by the demo, whose passwords are published.
    #[error(
        "store {} was made by `portcullis demo`, whose passwords are public: it is never served. \
         Name another [data] dir",
        .0.display()
    )]
    DemoStore(PathBuf),
    /// The demo was pointed at a real store.
    #[error(
        "store {} was not made by `portcullis demo`: the demo would add accounts with public passwords. \
         Name an empty --dir",
        .0.display()
    )]
    RealStore(PathBuf),
    /// Identity cannot start.
    #[error(
        "identity cannot start: {0}. If the master key was replaced, list the old one behind the new one"
    )]
    Identity(#[source] IdentityError),
    /// The internal plane cannot listen.
    #[error("internal plane: {0}")]
    Bind(#[from] BindError),
    /// The data plane cannot run.
    #[error("{0}")]
    Edge(#[from] EdgeError),
    /// Threads or signals.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// Something about issuers outside.
    #[error("{0}")]
    Issuer(String),
    /// Mail.
    #[error("mail: {0}")]
    Mail(String),
    /// The metrics registry.
    #[error("cannot set up the metrics: {0}")]
    Metrics(String),
    /// Something of the demo.
    #[error("demo: {0}")]
    Demo(String),
}

/// Reads the configuration and serves until told to stop.
pub fn serve(file: PathBuf, sets: Vec<String>) -> Result<(), RunError> {
    let threads = Threads::prepare()?;
    let config = config::load(&file, &sets, &Machine)?;
    if config.blueprint.plane == Plane::Edge {
        return outpost::serve(threads, config, sets);
    }
    threads.start(config, sets, Purpose::Serve, Output::Stdout)?.run()
}

/// The control runtime, before anything runs on it. From here on no signal kills the process half-way: one that comes
/// while it starts is obeyed as soon as it has started.
pub struct Threads {
    runtime: Runtime,
    signals: Signals,
}

/// A gateway whose control plane is up and whose data plane is about to be.
pub struct Running {
    /// What is in force, and how it changes.
    pub gateway: Arc<Gateway>,
    runtime: Runtime,
    internal: JoinHandle<()>,
    stop_internal: watch::Sender<bool>,
    stop_edge: watch::Sender<bool>,
    on_ready: Option<Box<dyn FnOnce() + Send>>,
    // Last: what is still queued is written when everything else is gone.
    _log: logging::Guard,
}

impl Threads {
    /// Makes the threads and takes over the signals.
    pub fn prepare() -> Result<Self, RunError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("control")
            .on_thread_start(|| priority::lower(CONTROL_NICE))
            .enable_all()
            .build()?;
        let signals = runtime.block_on(async { Signals::install() })?;
        Ok(Self { runtime, signals })
    }

    /// Opens everything but the public listeners.
    pub fn start(
        self,
        config: Config,
        sets: Vec<String>,
        purpose: Purpose,
        output: Output,
    ) -> Result<Running, RunError> {
        let Self { runtime, signals } = self;
        install_crypto_provider();
        let (log, guard) = logging::init(&config.blueprint.process.log, output)?;
        for finding in &config.findings().relaxations {
            tracing::info!(event = "relaxation", id = finding.id, key = %finding.key, what = %finding.what);
        }
        let mut boot = config.boot();
        if boot.plane == Plane::Identity {
            // Their names are of places; edge nodes open them.
            boot.edge.listeners.clear();
            boot.edge.forward_auth.clear();
        }
        for listener in boot.edge.all_listeners() {
            probe_address(listener)?;
        }
        let stop_internal = watch::Sender::new(false);
        let stop_edge = watch::Sender::new(false);

        let (gateway, internal) = runtime.block_on(async {
            let opened = open(&config, purpose).await?;
            let settings = admin::Settings {
                address: boot.internal_address,
                operator_socket: boot.operator_socket.clone(),
                identity_socket: Some(boot.edge.identity_socket.clone()),
                token: generated::operator_token(&boot)?,
                open_probes: boot.open_probes,
            };
            if let Some(redis) = &opened.redis {
                edge::tls::install_provider();
                redis.start();
                if opened.store.is_shared() {
                    let marks = touches::SharedMarks::new(redis.clone());
                    opened.identity.share_touches(Arc::new(marks));
                }
            }
            let doors = admin::Listeners::bind(&settings).await?;
            let grace = boot.edge.grace_period.min(INTERNAL_GRACE);
            let watch_file = boot.watch;
            let gateway = Gateway::new(opened, config, sets, boot.edge, log)?;
            gateway.edge().live().issuers().warm().await;
            let operator = admin::operator_router(gateway.operator_parts());
            let contract = admin::contract_router(gateway.mounts());
            let stop = stop_internal.subscribe();
            let door = match &boot.link {
                Some(settings) => link::open(&gateway, settings, stop.clone(), grace).await?,
                None => None,
            };
            let internal = tokio::spawn(async move {
                let internal =
                    admin::serve::serve(doors, &settings, operator, contract, stop, grace);
                match door {
                    Some(door) => drop(tokio::join!(internal, door)),
                    None => internal.await,
                }
            });
            signals::watch(signals, gateway.clone(), stop_edge.clone());
            timers::start(&gateway, watch_file);
            followers::start(&gateway);
            gateway.start_deliveries();
            Ok::<_, RunError>((gateway, internal))
        })?;
        Ok(Running {
            gateway,
            runtime,
            internal,
            stop_internal,
            stop_edge,
            on_ready: None,
            _log: guard,
        })
    }
}

impl Running {
    /// Runs something on the control runtime before the listeners open.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Calls `tell` once, when every public listener accepts connections.
    pub fn on_ready(&mut self, tell: impl FnOnce() + Send + 'static) {
        self.on_ready = Some(Box::new(tell));
    }

    /// Opens the public listeners and serves until told to stop; then drains, flushes and closes.
    pub fn run(mut self) -> Result<(), RunError> {
        let ready = self.runtime.spawn(announce(
            self.gateway.clone(),
            self.stop_edge.subscribe(),
            self.on_ready.take(),
        ));
        let served = edge::serve(self.gateway.edge().clone(), self.stop_edge.subscribe());
        ready.abort();
        self.gateway.set_readiness(Readiness::Draining);
        self.runtime.block_on(async {
            self.stop_internal.send_replace(true);
            if let Err(error) = self.internal.await {
                tracing::error!(event = "internal_plane_failed", %error);
            }
            self.gateway.close().await;
        });
        tracing::info!(event = "stopped");
        Ok(served?)
    }
}

/// Finds a taken address before anything else is started. The data plane binds it for good a moment later.
fn probe_address(listener: &edge::ListenerSettings) -> Result<(), RunError> {
    TcpListener::bind(listener.address).map(drop).map_err(|source| {
        let (name, address) = (listener.name.clone(), listener.address);
        EdgeError::Bind { name, address, source }.into()
    })
}

/// Waits until every listener is bound, by us and nobody else, then says that the gateway is ready.
/// One that was told to stop meanwhile is never ready.
async fn announce(
    gateway: Arc<impl Steered>,
    stop: watch::Receiver<bool>,
    tell: Option<Box<dyn FnOnce() + Send>>,
) {
    let mut bound = gateway.bound();
    if bound.wait_for(Option::is_some).await.is_err() || *stop.borrow() {
        return;
    }
    gateway.set_readiness(Readiness::Ready);
    tracing::info!(event = "ready", config_hash = %gateway.config().hash);
    if let Some(tell) = tell {
        tell();
    }
}
