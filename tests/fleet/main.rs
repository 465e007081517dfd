//! Several nodes and what they share: real Redis servers and a database, broken on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod bench;
mod ends;
mod heralds;
mod keys;
mod limits;
mod news;
mod outage;
mod redis;
mod speed;
mod touches;
