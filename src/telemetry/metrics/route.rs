//! Metrics of single routes, with every handle resolved before the request comes.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus::{Error, Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::{make::Make, observe};
use crate::pipeline::Outcome;

const CODES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Seconds. The gateway's own share is far below a millisecond, so its buckets start lower.
const REQUEST_BUCKETS: [f64; 13] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
const GATEWAY_BUCKETS: [f64; 12] =
    [0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0];

/// The metric families that have a `route` label.
pub(super) struct Families {
    requests: IntCounterVec,
    refusals: IntCounterVec,
    duration: HistogramVec,
    gateway: HistogramVec,
    upstream: HistogramVec,
}

impl Families {
    pub(super) fn register(make: &Make<'_>) -> Result<Self, Error> {
        let labels = &["mount", "route"];
        Ok(Self {
            requests: make.counters(
                "portcullis_requests_total",
                "Requests by how they ended; code is the class of the status sent.",
                &["mount", "route", "outcome", "code"],
            )?,
            refusals: make.counters(
                "portcullis_refusals_total",
                "Requests refused or undetermined, by reason.",
                &["mount", "reason"],
            )?,
            duration: make.histograms(
                "portcullis_request_duration_seconds",
                "Time from the request head to the end of the answer.",
                labels,
                &REQUEST_BUCKETS,
            )?,
            gateway: make.histograms(
                "portcullis_gateway_duration_seconds",
                "Part of the request's time that was not spent waiting for the upstream.",
                labels,
                &GATEWAY_BUCKETS,
            )?,
            upstream: make.histograms(
                "portcullis_upstream_duration_seconds",
                "Part of the request's time that was spent with the upstream.",
                labels,
                &REQUEST_BUCKETS,
            )?,
        })
    }

    pub(super) fn of(&self, mount: &str, route: &str) -> RouteMetrics {
        RouteMetrics {
            inner: Arc::new(Inner {
                duration: self.duration.with_label_values(&[mount, route]),
                gateway: self.gateway.with_label_values(&[mount, route]),
                upstream: OnceLock::new(),
                upstreams: self.upstream.clone(),
                counters: Default::default(),
                requests: self.requests.clone(),
                refusals: self.refusals.clone(),
                mount: mount.to_owned(),
                route: route.to_owned(),
            }),
        }
    }
}

/// The handles of one route; cheap to clone.
#[derive(Clone)]
pub struct RouteMetrics {
    inner: Arc<Inner>,
}

struct Inner {
    duration: Histogram,
    gateway: Histogram,
    /// Made at first use: a route that never forwards shows none.
    upstream: OnceLock<Histogram>,
    upstreams: HistogramVec,
    /// By outcome and class of code; made at first use, so that only what happened is shown.
    counters: [[OnceLock<IntCounter>; CODES.len()]; 3],
    requests: IntCounterVec,
    refusals: IntCounterVec,
    mount: String,
    route: String,
}

impl RouteMetrics {
    /// A request of this route ended. `reason` counts only where the outcome is not [`Outcome::Permitted`];
    /// `upstream` is the time spent with the upstream, if there was one.
    pub fn finished(
        &self,
        outcome: Outcome,
        reason: &'static str,
        status: u16,
        total: Duration,
        upstream: Option<Duration>,
    ) {
        let inner = &*self.inner;
        inner.count(outcome, status);
        if outcome != Outcome::Permitted {
            inner.refusals.with_label_values(&[inner.mount.as_str(), reason]).inc();
        }
        observe(&inner.duration, total);
        observe(&inner.gateway, total.saturating_sub(upstream.unwrap_or_default()));
        if let Some(upstream) = upstream {
            let histogram = inner
                .upstream
                .get_or_init(|| inner.upstreams.with_label_values(&[&inner.mount, &inner.route]));
            observe(histogram, upstream);
        }
    }
}

impl Inner {
    fn count(&self, outcome: Outcome, status: u16) {
        let row = match outcome {
            Outcome::Permitted => 0,
            Outcome::Refused => 1,
            Outcome::Undetermined => 2,
        };
        // Anything outside 100 to 599 is not a status; it is counted as our own fault.
        let class = usize::from(status / 100).checked_sub(1).filter(|c| *c < CODES.len());
        let class = class.unwrap_or(CODES.len() - 1);
        let (Some(cell), Some(code)) =
            (self.counters.get(row).and_then(|row| row.get(class)), CODES.get(class))
        else {
            return;
        };
        cell.get_or_init(|| {
            let labels = [self.mount.as_str(), self.route.as_str(), outcome.as_str(), code];
            self.requests.with_label_values(&labels)
        })
        .inc();
    }
}

impl std::fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RouteMetrics({}/{})", self.inner.mount, self.inner.route)
    }
}
