//! Several nodes and what they share: real Redis servers and a database, broken on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod bench;
#[path = "../oidc/browser.rs"]
#[allow(dead_code)]
mod browser;
mod copy;
mod crowd;
mod deploy;
mod ends;
mod faults;
mod heralds;
mod keys;
mod limits;
mod masses;
mod news;
mod outage;
#[path = "../oidc/provider.rs"]
#[allow(dead_code)]
mod provider;
mod redis;
mod refresh;
mod scale;
mod speed;
mod storm;
mod touches;
mod turns;
mod writes;
