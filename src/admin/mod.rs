//! Internal plane: operator API, contract routers, metrics, health. All axum code that is not a dialect.
//!
//! Three doors: TCP (operator, always with the token), the operator's Unix socket (its file permissions are the proof)
//! and the private socket the edge proxies contract endpoints to. No rule about accounts or keys lives here.

pub mod contract;
pub mod control;
mod guard;
mod in_process;
pub mod listen;
pub mod operator;
mod probes;
mod problem;
pub mod serve;
pub mod settings;
pub mod shared;
#[cfg(test)]
mod tests;
mod truth;

pub use contract::contract_router;
pub use control::{ConfigState, Control, Explained, Readiness, ReloadOutcome, Trouble};
pub use in_process::InProcess;
pub use listen::{BindError, Listeners};
pub use operator::{EdgeParts, Parts, edge_router, operator_router};
pub use settings::Settings;
pub use shared::{Mounted, Shared};
pub use truth::Truth;
