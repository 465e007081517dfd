//! Browser login through OpenID providers, from outside: the real binary, a provider of our own making that answers as a test
//! wants, and a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod accounts;
mod answers;
mod browser;
mod logout;
mod outage;
mod pages;
mod programs;
mod provider;
mod rig;
mod state;
