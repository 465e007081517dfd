//! The data plane from outside: raw sockets, the real binary, an upstream that keeps every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod bench;
mod bodies;
mod client_limits;
mod failures;
mod forward_auth;
mod framing;
mod grpc;
mod health;
mod hop_by_hop;
mod hosts;
mod http2;
mod http2_attacks;
mod http2_limits;
mod identity_headers;
mod ledger;
mod limits;
mod log;
mod methods;
mod metrics;
mod paths;
mod proxies;
mod proxy_protocol;
mod reload;
mod slash;
mod stop;
mod streaming;
mod tls;
mod tls_upstreams;
mod upstreams;
