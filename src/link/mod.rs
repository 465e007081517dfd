//! The link between the planes where they are apart: questions of edge nodes, answered by identity nodes over mutual TLS.
//!
//! Two kinds of requests come over it. Those with a context (`model/hop.rs`) are requests of clients that belong to the
//! identity plane; they are forwarded as they are over the private socket of a whole gateway. The others are questions of
//! the edge node itself ([`Origin`](crate::identity::Origin)): they are told here.

mod answer;
mod client;
mod dial;
mod lines;
mod settings;
mod words;

pub use answer::router;
pub use client::Client;
pub use settings::{Address, Files, Settings};
pub use words::ALIVE;
