//! The standard issuer of a mount, from outside: metadata, tokens, logins, exchange, revocation, introspection, rotation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod agents;
mod assertion;
mod bench;
mod bound;
mod exchange;
mod keys;
mod login;
mod operator;
mod programs;
mod proofs;
mod published;
mod status;
mod tokens;
