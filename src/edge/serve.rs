//! Opens the listeners and runs the data plane until it is told to stop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use pingora::{
    apps::{HttpServerApp, HttpServerOptions},
    proxy::{HttpProxy, http_proxy},
    server::configuration::ServerConf,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime,
    sync::watch,
    task::JoinSet,
    time::Instant,
};

use super::{
    ForwardAuth, Gateway, ListenerSettings, Shared, accept::Acceptor, background, descriptors,
    http2::Door, shared::Bound, streams, tls,
};

/// A file without certificates.
const NO_AUTHORITIES: &str = "/dev/null";
/// Connections the kernel completes for us ahead of time.
const BACKLOG: u32 = 4096;
/// A request that was on its way when we were told to stop may still be read.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How often the drain looks whether all have gone.
const DRAIN_STEP: Duration = Duration::from_millis(10);
/// What is left after the drain is cut.
const RUNTIME_END: Duration = Duration::from_millis(500);

/// Why the data plane cannot run.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A listener's address cannot be bound.
    #[error("listener {name:?}: cannot listen on {address}: {source}")]
    Bind {
        /// Name of the listener.
        name: Arc<str>,
        /// Its address.
        address: SocketAddr,
        /// What the system says (`address in use`).
        source: io::Error,
    },
    /// What its TLS needs cannot be used.
    #[error("listener {name:?}: {why}")]
    Tls {
        /// Name of the listener.
        name: Arc<str>,
        /// File and reason.
        why: String,
    },
    /// The runtime cannot be started.
    #[error("cannot start the proxy's threads: {0}")]
    Runtime(io::Error),
}

/// Serves until `stop` becomes true, then closes the listeners, lets running requests finish within the grace period and
/// returns. Blocking: it owns its threads and must not be called on an async runtime.
pub fn serve(shared: Arc<Shared>, stop: watch::Receiver<bool>) -> Result<(), EdgeError> {
    descriptors::raise();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(shared.settings.threads.max(1))
        .thread_name("edge")
        .enable_all()
        .build()
        .map_err(EdgeError::Runtime)?;
    // Its timers would wake the threads that serve, see `alarm.rs`.
    let aside = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("edge-aside")
        .enable_all()
        .build()
        .map_err(EdgeError::Runtime)?;
    {
        let _aside = aside.enter();
        shared.parts.limiter.start();
    }
    let result = runtime.block_on(run(shared, stop, aside.handle()));
    aside.shutdown_background();
    runtime.shutdown_timeout(RUNTIME_END);
    result
}

async fn run(
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
    aside: &runtime::Handle,
) -> Result<(), EdgeError> {
    let listeners = bind_all(&shared)?;
    background::first_discovery(&shared).await;
    let background = aside.spawn(background::run(Arc::clone(&shared)));
    let warden = aside.spawn(streams::run(Arc::clone(&shared)));

    let (closing, closing_seen) = watch::channel(false);
    let proxy = Arc::new(proxy(&shared));
    let door = Arc::new(Door {
        shared: Arc::clone(&shared),
        proxy: Arc::clone(&proxy),
        closing: closing_seen,
    });
    let mut acceptors = JoinSet::new();
    for (settings, front, listener) in listeners {
        let tls = shared.tls.get(&settings.name).cloned();
        let acceptor = Acceptor {
            prior_knowledge: settings.http2 && tls.is_none(),
            tls,
            listener,
            name: settings.name,
            proxy_protocol: settings.proxy_protocol,
            front,
            door: Arc::clone(&door),
        };
        // On a worker thread, where connections run as well; `block_on` drives this future elsewhere.
        acceptors.spawn(acceptor.run(stop.clone()));
    }

    // A sender that is gone will never let us go on: stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
    while acceptors.join_next().await.is_some() {}
    drain(&shared, &proxy, &closing).await;
    background.abort();
    warden.abort();
    Ok(())
}

/// Listeners are closed; lets running requests end. Idle connections go at once.
async fn drain(shared: &Shared, proxy: &HttpProxy<Gateway>, closing: &watch::Sender<bool>) {
    let end = Instant::now() + shared.settings.grace_period;
    closing.send_replace(true);
    tokio::time::sleep(LAST_CALL.min(shared.settings.grace_period)).await;
    proxy.http_cleanup().await;
    while shared.connections.total() > 0 && Instant::now() < end {
        tokio::time::sleep(DRAIN_STEP).await;
    }
    let (cut, requests) = (shared.connections.total(), shared.in_flight());
    if cut > 0 {
        tracing::warn!(event = "drain_cut", connections = cut, requests);
    }
}

fn proxy(shared: &Arc<Shared>) -> HttpProxy<Gateway> {
    tls::install_provider();
    let conf = ServerConf {
        threads: shared.settings.threads.max(1),
        upstream_keepalive_pool_size: shared.settings.upstream_keepalive_pool,
        // Every upstream brings its own authorities. Left to itself pingora reads the system's, and panics without any.
        ca_file: Some(NO_AUTHORITIES.into()),
        ..ServerConf::default()
    };
    let mut proxy = http_proxy(&Arc::new(conf), Gateway::new(Arc::clone(shared)));
    let mut options = HttpServerOptions::default();
    options.keepalive_request_limit = Some(shared.settings.limits.requests.saturating_sub(1));
    proxy.server_options = Some(options);
    proxy
}

/// One listener; where proxies ask at it, how.
type Opened = (ListenerSettings, Option<Arc<ForwardAuth>>, TcpListener);

/// Opens every listener or none.
fn bind_all(shared: &Shared) -> Result<Vec<Opened>, EdgeError> {
    let mut listeners = Vec::new();
    let mut bound = Vec::new();
    let public = shared.settings.listeners.iter().map(|settings| (settings, None));
    let asked = shared.settings.forward_auth.iter();
    let asked = asked.map(|front| (&front.listener, Some(Arc::clone(front))));
    for (settings, front) in public.chain(asked) {
        let (name, address) = (Arc::clone(&settings.name), settings.address);
        let opened = bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (real, listener) = opened.map_err(|source| EdgeError::Bind {
            name: Arc::clone(&name),
            address,
            source,
        })?;
        tracing::info!(event = "listening", listener = %name, address = %real);
        bound.push((Arc::clone(&name), real));
        listeners.push((settings.clone(), front, listener));
    }
    let bound: Bound = bound.into();
    shared.bound.send_replace(Some(bound));
    Ok(listeners)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
