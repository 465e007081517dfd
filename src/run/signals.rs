//! SIGHUP reloads; SIGTERM and SIGINT drain; a second one of these ends at once.

use std::sync::Arc;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{Gateway, RunError};
use crate::admin::{Control, Readiness};

/// Exit code after a second stop signal: as a shell reports a program that SIGTERM ended.
const CUT_SHORT: i32 = 143;

/// Installs the handlers; from here on no signal kills the process by default.
pub(super) fn watch(gateway: &Arc<Gateway>, stop: watch::Sender<bool>) -> Result<(), RunError> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let reloading = gateway.clone();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reloading.reload().await;
        }
    });
    let stopping = gateway.clone();
    tokio::spawn(async move {
        let mut draining = false;
        loop {
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if draining {
                tracing::warn!(event = "stopping_at_once", signal);
                std::process::exit(CUT_SHORT);
            }
            draining = true;
            tracing::info!(event = "draining", signal);
            // First: whoever asks for readiness learns it before the listeners close.
            stopping.set_readiness(Readiness::Draining);
            stop.send_replace(true);
        }
    });
    Ok(())
}
