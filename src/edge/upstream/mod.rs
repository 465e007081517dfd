//! Upstreams: pools of backends, their health, and the peers pingora connects to.

mod health;
mod node;
mod pool;
mod seats;
mod unhurried;

pub(super) use node::Node;
pub(super) use pool::Pool;
pub(super) use seats::Seat;
