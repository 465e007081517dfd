//! Tokens of issuers outside, from outside: the real binary, providers of our own making, and real ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod bound;
mod claims;
mod fetched;
mod fixed;
mod kinds;
mod loaded;
mod opaque;
mod places;
mod programs;
mod restart;
mod rig;
mod secured;
