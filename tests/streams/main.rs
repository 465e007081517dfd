//! What runs for long ends when its credential does, within a second, and nobody else notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod bench;
mod ends;
mod expiry;
mod far;
mod issued;
mod lines;
mod race;
mod told;
