//! TLS: certificates of listeners, the handshake with clients, and connections to `https` upstreams.
//!
//! The only files that name rustls. Which provider computes is said in every configuration made here, so that no other
//! crate of the tree can change it. Versions are 1.2 and 1.3; rustls knows no suites without AEAD and forward secrecy.

mod authorities;
mod certificates;
mod client;
mod door;
mod pair;
pub(super) mod peer;
pub(super) mod relayed;
mod server;

use std::sync::{Arc, LazyLock};

use rustls::{
    SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version,
};

pub use self::{
    client::is_server_name,
    door::NodeDoor,
    pair::{Half, Pair, PairFault},
    server::check_authorities,
};
pub(super) use self::{
    client::{Verified, files_of},
    server::{Handshake, TlsFacts},
};
use super::settings::TlsVersion;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// Makes that provider the one of the process: pingora asks for it, and would take another.
pub fn install_provider() {
    // An earlier call was ours as well.
    let _ = aws_lc_rs::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];
    static NEW: [&SupportedProtocolVersion; 1] = [&version::TLS13];
    match least {
        TlsVersion::Tls12 => &BOTH,
        TlsVersion::Tls13 => &NEW,
    }
}
