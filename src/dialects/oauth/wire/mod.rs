//! How the standard endpoints look on the wire.

mod client;
mod metadata;
mod refusals;
mod requests;

pub use client::{Presented, presented};
pub use metadata::{resource, server};
pub use refusals::{OAuth, Refusal, fault};
pub use requests::{ACCESS_TOKEN, Kind, Posted, TOKEN_EXCHANGE, TokenBody};
