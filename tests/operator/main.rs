//! The operator's hand: commands, the operator API, configuration checks, the demo.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod api;
mod check;
mod commands;
mod demo;
mod demo_login;
mod explain;
mod explain_outside;
mod import;
mod mail;
mod setting;
mod shadow;
mod store;
