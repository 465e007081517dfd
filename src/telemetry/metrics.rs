//! The metric registry (Prometheus text format 0.0.4).

/// Every metric of the product; cheap to clone.
#[derive(Clone)]
pub struct Metrics {}
