//! Portcullis: an authentication gateway. One binary, two planes; see `docs/architecture.md`.
#![forbid(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod courier;
pub mod demo;
pub mod dialects;
pub mod edge;
pub mod fleet;
pub mod identity;
pub mod issuer;
pub mod limit;
pub mod link;
pub mod mail;
pub mod model;
pub mod pipeline;
pub mod run;
pub mod store;
pub mod telemetry;
