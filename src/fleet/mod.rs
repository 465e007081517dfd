//! What the nodes of a fleet share beside the store: a Redis, its news, and who is there. Nothing that must last lies in it.
//!
//! Redis may be lost at any moment. Every call has a budget of a few milliseconds, and a circuit stands before it: while
//! it is open nobody waits, and a task of its own looks whether Redis is back.

mod client;
mod dial;
mod members;
mod news;
mod script;
mod settings;

pub use self::{
    client::{Client, Lost},
    members::Members,
    news::{News, Subscription},
    script::Script,
    settings::{Address, Login, Settings, Tls, Topology},
};
/// What an answer of Redis consists of.
pub use redis::Value;
