//! Several mounts on one origin: who answers where, in which shape, and that a credential of one is worth nothing on any
//! other. Walks the list of contracts, so a new one joins with an entry in `contracts`.

mod bench;
mod contracts;
mod cross;
mod everywhere;
mod one_place;
mod places;
mod static_keys;
mod strangers;

pub use bench::head;
