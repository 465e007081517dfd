//! The outer hop as header fields: request id, `X-Forwarded-*` and `Forwarded` (RFC 7239), rebuilt from scratch.

use std::{fmt::Write, net::IpAddr};

use http::HeaderName;

use super::{HopFacts, fields::Fields};
use crate::model::ClientFacts;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

<<<<<<< HEAD
/// Adds the fields. A value that cannot stand in a header is left out: the client's own was stripped in any case.
pub(super) fn set(out: &mut Fields, client: &ClientFacts, hop: &HopFacts<'_>) {
    let host = if is_quotable(hop.host) { hop.host } else { "" };
    let own = client.address.to_canonical();
    // Nearly always the only hop, so it is spelled out once.
    let own_text = own.to_string();
    let earlier = || hop.forwarded_for.iter().map(IpAddr::to_canonical);
    out.put(&REQUEST_ID, |out| out.push_str(&client.request_id));
    out.put(&FORWARDED_FOR, |out| {
        for address in earlier() {
            // Writing to a String cannot fail.
            let _ = write!(out, "{address}, ");
=======
/// Adds the fields: one client address, never a chain, so that an upstream has nothing to choose from. A value that cannot stand in a header is left out: the client's own was stripped in any case.
pub(super) fn set(
    out: &mut Vec<(HeaderName, HeaderValue)>,
    client: &ClientFacts,
    hop: &HopFacts<'_>,
) {
    let address = client.address.to_canonical();
    let plain = address.to_string();
    let mut formal = match address {
        IpAddr::V4(v4) => format!("for={v4}"),
        IpAddr::V6(v6) => format!("for=\"[{v6}]\""),
    };
    let host = if is_quotable(hop.host) { hop.host } else { "" };
    // Writing to a String cannot fail.
    if !host.is_empty() {
        let _ = write!(formal, ";host=\"{host}\"");
    }
    let _ = write!(formal, ";proto={}", hop.scheme);
    for (name, text) in [
        (REQUEST_ID, client.request_id.as_str()),
        (FORWARDED_FOR, &plain),
        (FORWARDED_PROTO, hop.scheme),
        (FORWARDED_HOST, host),
        (http::header::FORWARDED, &formal),
    ] {
        if let (false, Ok(value)) = (text.is_empty(), HeaderValue::from_str(text)) {
            out.push((name, value));
>>>>>>> w/fixedge
        }
        out.push_str(&own_text);
    });
    out.put(&FORWARDED_PROTO, |out| out.push_str(hop.scheme));
    out.put(&FORWARDED_HOST, |out| out.push_str(host));
    out.put(&http::header::FORWARDED, |out| {
        for address in earlier() {
            push_for(out, address, &address.to_string());
            out.push_str(", ");
        }
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
