//! What is known about the peer of a request before anything is proven.

use std::{fmt::Write, net::IpAddr};

use serde::{Deserialize, Serialize};

/// Facts about the client side of one request. Identity believes them only from the private socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFacts {
    /// Client address after trusted proxies were taken off; IPv4-mapped IPv6 is folded to IPv4.
    pub address: IpAddr,
    /// `req_…`, made by the edge or kept from a trusted peer.
    pub request_id: String,
    /// The client's `User-Agent`, cut at 256 bytes, without control characters.
    pub user_agent: Option<String>,
}

/// Spells an address out. IPv4 by hand: it is done for every request, and the general formatting takes as long as half a
/// dozen header fields.
pub fn push_address(out: &mut String, address: IpAddr) {
    let IpAddr::V4(v4) = address else {
        // Writing to a String does not fail.
        let _ = write!(out, "{address}");
        return;
    };
    for (at, octet) in v4.octets().into_iter().enumerate() {
        if at > 0 {
            out.push('.');
        }
        for (unit, digit) in [(100, octet / 100), (10, octet / 10 % 10), (1, octet % 10)] {
            if octet >= unit || unit == 1 {
                out.push(char::from(b'0' + digit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_spelled_as_everywhere() {
        for text in
            ["0.0.0.0", "127.0.0.1", "10.20.30.40", "192.0.2.255", "100.101.9.99", "2001:db8::1"]
        {
            let mut out = String::new();
            push_address(&mut out, text.parse().unwrap());
            assert_eq!(out, text);
        }
    }
}
