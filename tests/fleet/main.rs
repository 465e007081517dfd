//! Several nodes and what they share: real Redis servers and a database, broken on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod bench;
mod copy;
mod crowd;
mod ends;
mod heralds;
mod keys;
mod limits;
mod masses;
mod news;
mod outage;
mod redis;
mod scale;
mod speed;
mod touches;
