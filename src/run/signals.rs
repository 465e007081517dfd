//! SIGHUP reloads; SIGTERM and SIGINT drain; a second SIGINT, later, ends at once.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::Instant,
};

use super::RunError;
use crate::{
    admin::{Control, Readiness},
    edge::Bound,
};

/// Exit code after a second SIGINT: as a shell reports a program that SIGINT ended.
const CUT_SHORT: i32 = 130;
/// A second SIGINT within this time belongs to the first.
const PATIENCE: Duration = Duration::from_secs(1);

/// A process that signals steer.
pub(super) trait Steered: Control {
    /// Changes what probes see. Draining is final.
    fn set_readiness(&self, readiness: Readiness);
    /// The addresses listened on, once all are open.
    fn bound(&self) -> watch::Receiver<Option<Bound>>;
}

/// The signals, from the moment on which none of them kills the process by default. One that comes before somebody
/// watches is kept.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Installs the handlers. To be called on a runtime.
    pub(super) fn install() -> Result<Self, RunError> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Obeys them from here on.
pub(super) fn watch(signals: Signals, gateway: Arc<impl Steered>, stop: watch::Sender<bool>) {
    let Signals { mut hangup, mut terminate, mut interrupt } = signals;
    let reloading = gateway.clone();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reloading.reload().await;
        }
    });
    let stopping = gateway;
    tokio::spawn(async move {
        let mut draining: Option<Instant> = None;
        loop {
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            let Some(since) = draining else {
                draining = Some(Instant::now());
                tracing::info!(event = "draining", signal);
                // First: whoever asks for readiness learns it before the listeners close.
                stopping.set_readiness(Readiness::Draining);
                stop.send_replace(true);
                continue;
            };
            // Only a person at the keyboard is in a hurry; supervisors and shells often send two signals for one stop.
            if signal == "SIGINT" && since.elapsed() > PATIENCE {
                tracing::warn!(event = "stopping_at_once", signal);
                std::process::exit(CUT_SHORT);
            }
        }
    });
}
