//! Tokens that are good only with a proof to own what they are bound to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod bench;
mod certificates;
mod dpop;
mod places;
mod settings;
