//! Figures of what the nodes of a fleet share.

use std::time::Duration;

use prometheus::{Error, HistogramVec, IntCounterVec, IntGauge};

use super::{Make, Metrics};

pub(super) struct Families {
    up: IntGauge,
    nodes: IntGauge,
    calls: IntCounterVec,
    duration: HistogramVec,
    decisions: IntCounterVec,
}

impl Families {
    pub(super) fn register(make: &Make<'_>) -> Result<Self, Error> {
        Ok(Self {
            up: make.gauge(
                "portcullis_redis_up",
                "1 while Redis answers; 0 while it is lost, or not configured.",
            )?,
            nodes: make.gauge(
                "portcullis_fleet_nodes",
                "Nodes that said within ten seconds that they are there, as Redis was last heard to say.",
            )?,
            calls: make.counters(
                "portcullis_redis_calls_total",
                "Calls of Redis: `ok`, `error`, or `timeout` when the budget of a call was used up.",
                &["result"],
            )?,
            duration: make.histograms(
                "portcullis_redis_call_duration_seconds",
                "Time of a call of Redis.",
                &["result"],
                &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05],
            )?,
            decisions: make.counters(
                "portcullis_shared_limit_calls_total",
                "Checks of shared limits that could not be decided in the process: `exact` asked Redis, `leased` waited for a share, `local`, `closed` and `open` were decided without Redis, because it is lost.",
                &["how"],
            )?,
        })
    }
}

impl Metrics {
    /// Redis was found or lost.
    pub fn redis_up(&self, up: bool) {
        self.inner.fleet.up.set(i64::from(up));
    }

    /// So many nodes are there.
    pub fn fleet_nodes(&self, nodes: u32) {
        self.inner.fleet.nodes.set(i64::from(nodes));
    }

    /// A call of Redis ended.
    pub fn redis_call(&self, result: &'static str, took: Duration) {
        self.inner.fleet.calls.with_label_values(&[result]).inc();
        self.inner.fleet.duration.with_label_values(&[result]).observe(took.as_secs_f64());
    }

    /// A shared limit was decided otherwise than from a share in hand.
    pub fn shared_limit(&self, how: &'static str) {
        self.inner.fleet.decisions.with_label_values(&[how]).inc();
    }
}
