//! Logs and metrics: typed, with closed label sets. No secret may reach this room.

pub mod logging;
pub mod metrics;

pub use metrics::Metrics;
