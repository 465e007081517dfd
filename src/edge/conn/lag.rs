//! Since when a client keeps us waiting, with a body that does not come or an answer that it does not take.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{Conn, Phase, coarse};
use crate::{pipeline::Deny, telemetry::metrics::Cut};

/// Who moves so many bytes at once is at work.
const CATCHING_UP: usize = 1024;

impl Conn {
    /// The request may have a body after all.
    pub(in crate::edge) fn body_expected(&self) {
        self.enter(Phase::Body);
    }

    /// Whether a body is awaited.
    pub(in crate::edge) fn awaits_body(&self) -> bool {
        self.phase() == Phase::Body
    }

    /// We wait for the client. Returns whether we did not before.
    pub(in crate::edge) fn lags_from_now(&self) -> bool {
        let new = self.lags.load(Relaxed) == 0;
        if new {
            self.lags.store(self.coarse_age().max(1), Relaxed);
        }
        new
    }

    /// The client moved so many bytes. A few do not count.
    pub(in crate::edge) fn catches_up(&self, bytes: usize) {
        if bytes >= CATCHING_UP && self.lags.load(Relaxed) != 0 {
            self.lags.store(0, Relaxed);
        }
    }

    /// For how long the client has kept us waiting.
    pub(in crate::edge) fn lag(&self) -> Duration {
        match self.lags.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.coarse_age().saturating_sub(since)),
        }
    }

    /// Ends the stream on it: another request gets what this slow client had.
    pub(in crate::edge) fn give_way(&self) {
        self.metrics.connection_cut(Cut::Seat);
        self.end(Deny::Unavailable { dependency: "upstream" });
    }

    fn coarse_age(&self) -> u64 {
        let age = coarse().saturating_sub(self.born_coarse);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }
}
