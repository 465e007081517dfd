//! The compiled, immutable whole that decides. A reload makes a new one; a request sees one from first to last.

use std::{net::IpAddr, sync::Arc};

use http::HeaderName;
use ipnet::IpNet;

use super::{Mount, RouteTable, Window, mutate::IdentityHeaders};

/// Everything a decision needs beside the request and the clock.
#[derive(Debug)]
pub struct Snapshot {
    /// SHA-256 of the effective configuration, hexadecimal; shown in metrics and `/readyz`.
    pub hash: Arc<str>,
    /// All routes.
    pub routes: RouteTable,
    /// All mounts, in the order of the file.
    pub mounts: Vec<Arc<Mount>>,
    /// Names of the identity headers.
    pub identity_headers: IdentityHeaders,
    /// Proxies whose `X-Forwarded-*` and `X-Request-ID` are believed. Empty by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Proxies between a client and us, where their number is known better than their addresses; 0: the chain is walked
    /// past listed ones.
    pub trusted_hops: usize,
    /// In which field listed proxies tell the certificate that a client showed to them; `None`: they tell of none.
    pub client_certificate: Option<HeaderName>,
    /// How many failed authentications one address may have; empty: any number.
    pub failure_windows: Vec<Window>,
    /// Renders what belongs to no mount (no place for this host).
    pub stranger: Arc<Mount>,
}

impl Snapshot {
    /// Whether this peer's forwarding headers are believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixture;

    #[test]
    fn only_listed_peers_are_trusted_in_either_spelling() {
        let snapshot = |nets: &[&str]| Snapshot {
            hash: "h".into(),
            routes: RouteTable::default(),
            mounts: Vec::new(),
            identity_headers: IdentityHeaders::default(),
            trusted_proxies: nets.iter().map(|net| net.parse().unwrap()).collect(),
            trusted_hops: 0,
            client_certificate: None,
            failure_windows: Vec::new(),
            stranger: Arc::new(fixture::mount("stranger")),
        };
        let trusting = snapshot(&["10.0.0.0/8", "2001:db8::/32"]);
        for (peer, trusted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("2001:db8::1", true),
            ("11.1.2.3", false),
            ("::1", false),
        ] {
            assert_eq!(trusting.trusts(peer.parse().unwrap()), trusted, "{peer}");
        }
        assert!(!snapshot(&[]).trusts("127.0.0.1".parse().unwrap()));
    }
}
