//! The edge as a whole, over real sockets: `serve` in a thread, toy upstreams, raw clients.

mod credentials;
mod hops;
mod limits;
mod proxying;
mod refusing;
mod stopping;
mod streaming;
mod support;
mod upgrades;
