//! The data plane: adapts pingora to the pipeline. The way of a request is in `admit.rs`.
//!
//! This room decides nothing itself: every yes or no comes from `pipeline`. It owns the sockets, the caches of proven
//! credentials and the pools behind the routes, and it is the only room that knows pingora.

mod live;
mod refusals;
mod serve;
pub mod settings;
mod shared;

pub use live::Live;
pub use refusals::{RefusalCount, RefusalSubject};
pub use serve::{EdgeError, serve};
pub use settings::{ListenerSettings, Settings, UpstreamSettings};
pub use shared::{Parts, Shared};
