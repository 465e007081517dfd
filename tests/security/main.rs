//! Attacks from outside: raw bytes at the real binary, an upstream that tells exactly what it read, and other people's
//! test data. The cases are data: `corpus/` is ours, `../data/` is others'.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod asking;
mod bench;
mod bypass;
mod cases;
mod desync;
mod differential;
mod explain;
mod fronts;
mod http2;
mod judge;
mod origins;
mod records;
mod tokens;
mod wycheproof;
