//! Creating and registering metrics in one step, and keeping the list of all of them for the reference.

use std::cell::RefCell;

use prometheus::{
    Error, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricType,
};

/// One metric family, as a reader of `/metrics` knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// One sentence.
    pub help: String,
}

impl Family {
    fn new(desc: &Desc, kind: &'static str) -> Self {
        Self {
            name: desc.fq_name.clone(),
            kind,
            labels: desc.variable_labels.clone(),
            help: desc.help.clone(),
        }
    }
}

/// Creates metrics in one registry.
pub(super) struct Make<'r> {
    registry: &'r Registry,
    families: RefCell<Vec<Family>>,
}

impl<'r> Make<'r> {
    pub(super) fn new(registry: &'r Registry) -> Self {
        Self { registry, families: RefCell::default() }
    }

    /// What was made, by name.
    pub(super) fn into_families(self) -> Vec<Family> {
        let mut families = self.families.into_inner();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }

    /// Registers a collector of several plain counters and gauges.
    pub(super) fn collector(&self, collector: impl Collector + 'static) -> Result<(), Error> {
        let found = collector.collect();
        let kind = |name: &str| {
            let own = found.iter().find(|family| family.name() == name);
            match own.map(|family| family.get_field_type()) {
                Some(MetricType::COUNTER) => "counter",
                _ => "gauge",
            }
        };
        let families =
            collector.desc().into_iter().map(|desc| Family::new(desc, kind(&desc.fq_name)));
        self.families.borrow_mut().extend(families);
        self.registry.register(Box::new(collector))
    }

    fn add<M: Collector + Clone + 'static>(
        &self,
        kind: &'static str,
        metric: M,
    ) -> Result<M, Error> {
        let families = metric.desc().into_iter().map(|desc| Family::new(desc, kind));
        self.families.borrow_mut().extend(families);
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.add("counter", IntCounter::new(name, help)?)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, Error> {
        self.add("counter", IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.add("gauge", IntGauge::new(name, help)?)
    }

    pub(super) fn seconds(&self, name: &str, help: &str) -> Result<Gauge, Error> {
        self.add("gauge", Gauge::new(name, help)?)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, Error> {
        self.add("gauge", IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn all_seconds(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, Error> {
        self.add("gauge", GaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, Error> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add("histogram", HistogramVec::new(opts, labels)?)
    }
}
