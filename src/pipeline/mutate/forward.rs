//! The outer hop as header fields: request id, `X-Forwarded-*` and `Forwarded` (RFC 7239), rebuilt from scratch.

use std::net::IpAddr;

use http::HeaderName;

use super::{HopFacts, fields::Fields};
use crate::model::ClientFacts;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Adds the fields: one client address, never a chain, so that an upstream has nothing to choose from. A value that cannot
/// stand in a header is left out: the client's own was stripped in any case.
pub(super) fn set(out: &mut Fields, client: &ClientFacts, hop: &HopFacts<'_>) {
    let host = if is_quotable(hop.host) { hop.host } else { "" };
    let own = client.address.to_canonical();
    // It stands in two fields, so it is spelled out once.
    let own_text = spelled(own);
    out.put(&REQUEST_ID, |out| out.push_str(&client.request_id));
    out.put(&FORWARDED_FOR, |out| out.push_str(&own_text));
    out.put(&FORWARDED_PROTO, |out| out.push_str(hop.scheme));
    out.put(&FORWARDED_HOST, |out| out.push_str(host));
    out.put(&http::header::FORWARDED, |out| {
        push_for(out, own, &own_text);
        if !host.is_empty() {
            out.push_str(";host=\"");
            out.push_str(host);
            out.push('"');
        }
        out.push_str(";proto=");
        out.push_str(hop.scheme);
    });
}

/// An address as text. IPv4 by hand: the general formatting takes as long as half of the other fields.
fn spelled(address: IpAddr) -> String {
    let IpAddr::V4(v4) = address else { return address.to_string() };
    let mut out = String::with_capacity(15);
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
    out
}

fn push_for(out: &mut String, address: IpAddr, text: &str) {
    let (before, after) = if address.is_ipv6() { ("for=\"[", "]\"") } else { ("for=", "") };
    for part in [before, text, after] {
        out.push_str(part);
    }
}

/// Hosts have no quotes; anything that does is no host and is not repeated.
fn is_quotable(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_spelled_as_everywhere() {
        for text in
            ["0.0.0.0", "127.0.0.1", "10.20.30.40", "192.0.2.255", "100.101.9.99", "2001:db8::1"]
        {
            assert_eq!(spelled(text.parse().unwrap()), text);
        }
    }
}
