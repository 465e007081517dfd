//! `[server.limits]`: what one client may take of the process, and how long credentials may be.

use std::{sync::Arc, time::Duration};

use toml::Value as Toml;

use crate::{
    config::{
        section::Section,
        shape::{Fault, Shape, Size},
    },
    edge::ClientLimits,
    pipeline::CredentialSizes,
};

const KIB: u64 = 1 << 10;
/// Body limit of routes that name none.
const BODY: u64 = 10 << 20;
/// What a process needs for itself: store, log, listeners, the operator's calls.
const OWN_DESCRIPTORS: usize = 64;

/// The whole section.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) client: Arc<ClientLimits>,
    pub(super) credentials: CredentialSizes,
    pub(super) body: u64,
}

/// `kept` is the number of idle upstream connections that are kept.
pub(super) fn read(server: &mut Section<'_>, kept: usize) -> Read {
    let d = ClientLimits::default();
    let sizes = CredentialSizes::default();
    // Each of them may have its other end in this process, when identity is the upstream. A small process keeps half.
    let reserve = OWN_DESCRIPTORS.saturating_add(kept.saturating_mul(2));
    let reserve = reserve.min(crate::edge::most_descriptors() / 2);
    let mut limits = server.inner("limits");
    let at = &mut limits;
    let client = ClientLimits {
        request_line: size(at, "request_line", d.request_line, KIB, 64 * KIB),
        header: size(at, "header", d.header, KIB, 64 * KIB),
        headers: size(at, "headers", d.headers, KIB, 256 * KIB),
        // The library below reads no more than 256.
        header_count: number(at, "header_count", d.header_count, 10, 250),
        cookies: size(at, "cookies", d.cookies, 256, 64 * KIB),
        // The library below ends a connection by itself that is silent for a minute at first.
        head_timeout: span(at, "head_timeout", d.head_timeout, 60),
        idle_timeout: span(at, "idle_timeout", d.idle_timeout, 3600),
        body_grace: span(at, "body_grace", d.body_grace, 600),
        body_rate: bytes(at, "body_rate", d.body_rate, 1, KIB * KIB),
        write_timeout: span(at, "write_timeout", d.write_timeout, 600),
        requests: count(at, "requests_per_connection", d.requests),
        per_address: number(at, "connections_per_address", d.per_address, 1, 1_000_000),
        connections: number(at, "connections", d.connections, 1, usize::MAX),
        reserve: number(at, "reserved_descriptors", reserve, 0, 1_000_000),
    };
    let credentials = CredentialSizes {
        bearer_token: size(at, "bearer_token", sizes.bearer_token, 256, sizes.bearer_token as u64),
        api_key: size(at, "api_key", sizes.api_key, 64, sizes.api_key as u64),
    };
    let body = bytes(at, "body", BODY, 0, u64::MAX);
    server.note("limits", Toml::Table(limits.finish()));
    Read { client: Arc::new(client), credentials, body }
}

fn size(section: &mut Section<'_>, key: &'static str, default: usize, from: u64, to: u64) -> usize {
    let found = bytes(section, key, default as u64, from, to);
    usize::try_from(found).unwrap_or(usize::MAX)
}

fn bytes(section: &mut Section<'_>, key: &'static str, default: u64, from: u64, to: u64) -> u64 {
    let found = section.checked(key, Size(default), |size| {
        if (from..=to).contains(&size.0) {
            return Ok(());
        }
        let (least, most) = (shown(Size(from)), shown(Size(to)));
        Err(out_of_range(shown(*size), &format!("{least} to {most}")))
    });
    found.0
}

fn span(section: &mut Section<'_>, key: &'static str, default: Duration, most: u64) -> Duration {
    let range = Duration::from_millis(100)..=Duration::from_secs(most);
    section.checked(key, default, |span| {
        if range.contains(span) {
            return Ok(());
        }
        Err(out_of_range(shown(*span), &format!("100ms to {}", shown(*range.end()))))
    })
}

fn number(
    section: &mut Section<'_>,
    key: &'static str,
    default: usize,
    from: usize,
    to: usize,
) -> usize {
    section.checked(key, default, |found| {
        if (from..=to).contains(found) {
            return Ok(());
        }
        Err(out_of_range(found.to_string(), &format!("{from} to {to}")))
    })
}

fn count(section: &mut Section<'_>, key: &'static str, default: u32) -> u32 {
    section.checked(key, default, |found| match found {
        0 => Err(out_of_range("0".into(), "1 or more")),
        _ => Ok(()),
    })
}

fn shown(value: impl Shape) -> String {
    value.write().as_str().unwrap_or_default().to_owned()
}

fn out_of_range(found: String, range: &str) -> Fault {
    let what = format!("{found} is out of range");
    Fault::new(what, format!("it must be {range}"), "write a value in range")
}
