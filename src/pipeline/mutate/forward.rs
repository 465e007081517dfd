//! The outer hop as header fields: request id, `X-Forwarded-*` and `Forwarded` (RFC 7239), rebuilt from scratch.

use std::net::IpAddr;

use http::HeaderName;

use super::{HopFacts, fields::Fields};
use crate::model::{ClientFacts, client::push_address};

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
    let mut own_text = String::with_capacity(45);
    push_address(&mut own_text, own);
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
