//! The wire contracts, played against the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

mod archon;
mod bearer;
mod hh;
mod inkpass;
mod mounts;
#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;
mod tmws;
