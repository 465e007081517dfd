//! Figures of what other nodes change in the store.

use std::time::Duration;

use prometheus::{Error, Gauge, GaugeVec, IntCounter, IntGaugeVec};

use super::{Make, Metrics, catch_up};

pub(super) struct Families {
    lag: Gauge,
    sequence: IntGaugeVec,
    rebuilt: IntCounter,
    owed: GaugeVec,
}

impl Families {
    pub(super) fn register(make: &Make<'_>) -> Result<Self, Error> {
        Ok(Self {
            lag: make.seconds(
                "portcullis_changes_lag_seconds",
                "Seconds since the store last confirmed what this node holds in memory; 0 where no other node changes the store.",
            )?,
            sequence: make.gauges(
                "portcullis_changes_sequence",
                "Numbers of changes of the store: `newest` that this node has heard of, `applied` up to which it has taken in all.",
                &["of"],
            )?,
            rebuilt: make.counter(
                "portcullis_changes_read_anew_total",
                "How often this node had missed so much that it read everything anew.",
            )?,
            owed: make.all_seconds(
                "portcullis_changes_announcer_lag_seconds",
                "For how long a change has been known here of which this announcer (`database`, `redis`) has not told; 0 while it tells of everything.",
                &["announcer"],
            )?,
        })
    }
}

impl Metrics {
    /// Where this node stands among the changes of other nodes.
    pub fn changes(&self, lag: Duration, newest: u64, applied: u64, rebuilt: u64) {
        let families = &self.inner.changes;
        families.lag.set(lag.as_secs_f64());
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        families.sequence.with_label_values(&["newest"]).set(number(newest));
        families.sequence.with_label_values(&["applied"]).set(number(applied));
        catch_up(&families.rebuilt, rebuilt);
    }

    /// For how long one who announces changes has owed word of something that is known.
    pub fn changes_owed(&self, announcer: &'static str, owed: Duration) {
        self.inner.changes.owed.with_label_values(&[announcer]).set(owed.as_secs_f64());
    }
}
