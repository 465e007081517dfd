//! Logs and metrics: typed, with closed label sets. No secret may reach this room.

pub mod access;
pub mod logging;
pub mod metrics;

pub use access::{AccessLine, access};
pub use metrics::{CacheKind, Family, Metrics, PublicRoute, RouteMetrics};
