//! Opens store and identity: for the gateway, for the demo, and for commands that find no gateway running.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{RunError, generated};
use crate::{
    admin::{Mounted, Shared},
    config::{Boot, Config, StoreConfig},
    dialects::{self, oauth, oidc},
    edge, fleet,
    identity::{self, Identity},
    issuer::Issuers,
    limit::{RateLimiter, SharedLimiter, local::LocalLimiter},
    model::{MountName, Plane, SystemClock, SystemRandom},
    store::{self, Store, StoreError},
    telemetry::{AccessLog, Metrics},
};

/// The store's file in the data folder.
pub const STORE_FILE: &str = "portcullis.db";

/// A try to open a database may take at least so long, however short the wait is.
const FIRST_TRY: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// What the store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Real traffic: never on a store of the demo.
    Serve,
    /// The demo: never on a real store.
    Demo,
    /// One command without a gateway.
    Command,
}

/// Everything below the listeners.
pub struct Opened {
    /// The domain.
    pub identity: Identity,
    /// Its store.
    pub store: Store,
    /// What nodes share; not looked for before it is started.
    pub redis: Option<fleet::Client>,
    /// Counts in this process.
    pub limiter: Arc<LocalLimiter>,
    /// Counts over all nodes, where they share something.
    pub shared_limiter: Option<Arc<SharedLimiter>>,
    /// Figures.
    pub metrics: Metrics,
    /// Mounts of the internal plane.
    pub mounts: Arc<Shared>,
}

/// Where the store of a configuration is, for people: a file, or a database.
pub fn place(boot: &Boot) -> PathBuf {
    match &boot.database {
        Some(database) => database.at.place().into(),
        None => boot.data_dir.join(STORE_FILE),
    }
}

async fn open_store(boot: &Boot, metrics: &Metrics) -> Result<Store, StoreError> {
    let told = metrics.clone();
    let hook = move |operation, ok, took: Duration| told.store_call(operation, ok, took);
    let options = store::Options { on_call: Some(Arc::new(hook)), ..store::Options::default() };
    match &boot.database {
        Some(database) => awaited(database, options).await,
        None => Store::open(&boot.data_dir.join(STORE_FILE), options).await,
    }
}

/// Opens a database, and waits for one that cannot be asked yet: the nodes of a fleet and their database are started
/// together.
async fn awaited(database: &StoreConfig, options: store::Options) -> Result<Store, StoreError> {
    let options = store::Options {
        call_timeout: database.call_timeout,
        readers: database.connections,
        ..options
    };
    let (started, place) = (Instant::now(), database.at.place());
    loop {
        let rest = database.wait.saturating_sub(started.elapsed());
        let opening = Store::connect(&database.at, options.clone());
        let opened = tokio::time::timeout(rest.max(FIRST_TRY), opening).await;
        let opened = opened.unwrap_or(Err(StoreError::Unavailable));
        if !matches!(opened, Err(StoreError::Unavailable)) || started.elapsed() >= database.wait {
            return opened;
        }
        let left = database.wait.saturating_sub(started.elapsed()).as_secs();
        tracing::warn!(event = "waiting", what = "the database", store = %place, seconds_left = left);
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

/// Opens the store of a configuration and identity on it. Makes the data folder and missing generated secrets.
pub async fn open(config: &Config, purpose: Purpose) -> Result<Opened, RunError> {
    let boot = config.boot();
    if boot.plane == Plane::Edge {
        return Err(RunError::EdgeNode);
    }
    generated::make_folder(&boot.data_dir)?;
    let master_keys = generated::master_keys(&boot)?;
    let metrics = Metrics::new().map_err(|error| RunError::Metrics(error.to_string()))?;

    let path = place(&boot);
    let wrong = |source| RunError::Store { path: path.clone(), source };
    let store = open_store(&boot, &metrics).await.map_err(wrong)?;
    // Blank, not only new: a demo that was killed at once has left a store without its mark.
    if purpose == Purpose::Demo && store.is_blank().await.map_err(wrong)? {
        store.mark_demo().await.map_err(wrong)?;
    }
    match (purpose, store.is_demo().await.map_err(wrong)?) {
        (Purpose::Serve, true) => return Err(RunError::DemoStore(path)),
        (Purpose::Demo, false) => return Err(RunError::RealStore(path)),
        _ => {}
    }

    let Limiters { redis, limiter, shared: shared_limiter } = limiters(&boot, &metrics);
    let parts = identity::Parts {
        store: store.clone(),
        limiter: counts(&limiter, shared_limiter.as_ref()),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        master_keys,
    };
    let identity = Identity::open(config.identity(), parts).await.map_err(RunError::Identity)?;
    if let Some(database) = &boot.database {
        identity.allow_stale(database.stale_for);
    }
    let mounts = Arc::new(Shared::default());
    set_mounts(&mounts, config, &identity, &metrics);
    Ok(Opened { identity, store, redis, limiter, shared_limiter, metrics, mounts })
}

impl Opened {
    /// What a data plane on this needs.
    pub fn edge_parts(&self, metrics: Metrics, access: AccessLog) -> edge::Parts {
        edge::Parts {
            limiter: counts(&self.limiter, self.shared_limiter.as_ref()),
            lookup: self.identity.lookup(),
            revocations: self.identity.revocations(),
            metrics,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            access,
        }
    }

    /// Answers questions about a configuration on the evidence of the store, where no gateway runs.
    pub fn explainer(&self, config: &Config) -> Result<edge::Explainer, RunError> {
        let keys = |mount: &MountName| self.identity.verification_keys(mount);
        let snapshot = Arc::new(config.compile(&keys)?.snapshot);
        let metrics = Metrics::new().map_err(|error| RunError::Metrics(error.to_string()))?;
        let parts = self.edge_parts(metrics, AccessLog::nowhere());
        let (settings, nobody) = (config.boot().edge, Issuers::default());
        Ok(edge::Explainer::new(parts, settings, snapshot, &nobody, edge::Evidence::Store)?)
    }
}

/// What counts, and what it is shared over.
pub(super) struct Limiters {
    pub(super) redis: Option<fleet::Client>,
    pub(super) limiter: Arc<LocalLimiter>,
    pub(super) shared: Option<Arc<SharedLimiter>>,
}

/// Makes the limiters of a node; nothing is asked yet.
pub(super) fn limiters(boot: &Boot, metrics: &Metrics) -> Limiters {
    let redis = boot.redis.clone().map(|own| fleet::Client::new(own, metrics.clone()));
    let limiter = Arc::new(LocalLimiter::new(&boot.limiter));
    let shared = redis.clone().map(|redis| {
        let members = fleet::Members::new(redis.clone(), metrics.clone(), &SystemRandom);
        Arc::new(SharedLimiter::new(limiter.clone(), redis, members, metrics.clone()))
    });
    Limiters { redis, limiter, shared }
}

/// What counts requests and failed logins.
pub(super) fn counts(
    local: &Arc<LocalLimiter>,
    shared: Option<&Arc<SharedLimiter>>,
) -> Arc<dyn RateLimiter> {
    match shared {
        Some(shared) => shared.clone(),
        None => local.clone(),
    }
}

/// Gives the internal plane the mounts of a configuration.
pub(super) fn set_mounts(shared: &Shared, config: &Config, identity: &Identity, metrics: &Metrics) {
    let metrics = metrics.clone();
    let figures: Arc<dyn Fn(&MountName) -> String + Send + Sync> =
        Arc::new(move |mount| metrics.render_public(mount.as_str()));
    let realms = config.blueprint.realms.iter().map(|realm| realm.is.name.clone()).collect();
    let mounts = config.blueprint.mounts.iter().map(|mount| {
        let app = dialects::App {
            identity: identity.clone(),
            mount: mount.is.name.clone(),
            secure_cookies: mount.is.secure_cookies,
            figures: figures.clone(),
        };
        let (issuer, resource) = (&mount.is.authorization_server, &mount.is.protected_resource);
        let contract = (mount.is.dialect.router)(app.clone());
        Mounted {
            name: mount.is.name.clone(),
            realm: mount.is.realm.clone(),
            router: oauth::routes::beside(
                app.clone(),
                issuer.as_deref(),
                resource.clone(),
                match mount.is.oidc_login {
                    Some(_) => oidc::routes::beside(app, contract),
                    None => contract,
                },
            ),
            face: mount.is.dialect.dialect,
        }
    });
    shared.set_mounts(realms, mounts.collect());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config::Machine, pipeline::jwt::install_crypto_provider};

    fn config(dir: &Path) -> Config {
        let text = include_str!("../../conf/minimal.toml");
        let sets = ["hashing.permits=1".to_owned()];
        crate::config::parse(&dir.join("p.toml"), text, &sets, &Machine).unwrap()
    }

    #[tokio::test]
    async fn a_store_that_nobody_has_used_yet_becomes_the_demos() {
        install_crypto_provider();
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let boot = config.boot();
        generated::make_folder(&boot.data_dir).unwrap();
        generated::master_keys(&boot).unwrap();
        let path = boot.data_dir.join(STORE_FILE);
        // As a demo leaves it that was killed before it could mark it.
        Store::open(&path, store::Options::default()).await.unwrap().close().await;

        let opened = open(&config, Purpose::Demo).await.unwrap();
        opened.store.close().await;
        assert!(matches!(open(&config, Purpose::Serve).await, Err(RunError::DemoStore(_))));
    }

    #[tokio::test]
    async fn a_real_store_never_becomes_a_demo() {
        install_crypto_provider();
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        open(&config, Purpose::Serve).await.unwrap().store.close().await;
        assert!(matches!(open(&config, Purpose::Demo).await, Err(RunError::RealStore(_))));
    }
}
