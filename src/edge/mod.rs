//! The data plane: adapts pingora to the pipeline. The way of a request is in `admit.rs`.

pub mod settings;

pub use settings::{ListenerSettings, Settings, UpstreamSettings};
