//! What every black-box suite needs: the real binary, a recording upstream, clients. Knows nothing of the product's code.

pub mod archon;
pub mod browser;
pub mod canary;
pub mod client;
pub mod conf;
pub mod dpop;
pub mod gateway;
pub mod hh;
pub mod http2;
pub mod inkpass;
pub mod ledger;
pub mod load;
pub mod operate;
pub mod plain;
pub mod ports;
pub mod postgres;
pub mod programs;
pub mod provider;
pub mod signer;
pub mod site;
pub mod smtp;
pub mod tls;
pub mod tmws;
pub mod upstream;
pub mod wait;
pub mod wire;
