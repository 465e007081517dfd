//! Internal listener: operator API, contract routers, metrics, health. All axum code that is not a dialect.

pub mod control;
pub mod settings;

pub use control::{ConfigState, Control, Readiness, ReloadOutcome};
pub use settings::Settings;
