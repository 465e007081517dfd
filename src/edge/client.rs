//! Who is asking: address, request id and program, believing forwarding headers only from listed proxies.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, HeaderName, header};

use crate::{
    model::{ClientFacts, Random},
    pipeline::Snapshot,
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id kept from a trusted peer.
const MAX_REQUEST_ID: usize = 128;
/// Longest part of a `User-Agent` kept, in bytes.
const MAX_USER_AGENT: usize = 256;
/// More hops than any honest chain has.
const MAX_HOPS: usize = 32;

/// The client side of a request, and what the outer hop said about itself.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) facts: ClientFacts,
    /// Whether the peer is a proxy that is believed.
    pub(super) trusted: bool,
    /// As a trusted peer says; else as the connection is.
    pub(super) scheme: &'static str,
    /// `X-Forwarded-Host` of a trusted peer.
    pub(super) forwarded_host: Option<String>,
}

impl Caller {
    /// Reads the facts of one request.
    pub(super) fn read(
        snapshot: &Snapshot,
        peer: IpAddr,
        tls: bool,
        headers: &HeaderMap,
        ids: &RequestIds,
    ) -> Self {
        let peer = peer.to_canonical();
        let trusted = !snapshot.trusted_proxies.is_empty() && snapshot.trusts(peer);
        let behind = trusted.then(|| walk(snapshot, &addresses(headers))).flatten();
        let kept_id = trusted.then(|| kept_request_id(headers)).flatten();
        let facts = ClientFacts {
            address: behind.unwrap_or(peer),
            request_id: kept_id.map_or_else(|| ids.next(), str::to_owned),
            user_agent: user_agent(headers),
        };
        Self {
            facts,
            trusted,
            scheme: scheme(headers, trusted, tls),
            forwarded_host: trusted.then(|| text(headers, &FORWARDED_HOST)).flatten(),
        }
    }
}

impl Caller {
    /// The facts of a request that a listed proxy asks about. `hops` are the addresses that it tells, the nearest one last;
    /// `None`: the nearest is none.
    pub(super) fn told(
        snapshot: &Snapshot,
        hops: &[Option<IpAddr>],
        scheme: &'static str,
        headers: &HeaderMap,
        ids: &RequestIds,
    ) -> Option<Self> {
        let facts = ClientFacts {
            address: walk(snapshot, hops)?,
            request_id: ids.next(),
            user_agent: user_agent(headers),
        };
        Some(Self { facts, trusted: true, scheme, forwarded_host: None })
    }
}

/// Walks the chain from the right: past as many hops as there are proxies, or past listed ones. Where it ends is the
/// client. The peer is the first hop, so the last entry is what it saw.
fn walk(snapshot: &Snapshot, chain: &[Option<IpAddr>]) -> Option<IpAddr> {
    let mut client = None;
    if snapshot.trusted_hops > 0 {
        // A chain that is too short was not sent through all of them: its leftmost entry is what the outermost one saw.
        for hop in chain.iter().rev().take(snapshot.trusted_hops.min(MAX_HOPS)) {
            let Some(address) = *hop else { break };
            client = Some(address);
        }
        return client;
    }
    for hop in chain.iter().rev().take(MAX_HOPS) {
        // What cannot be read cannot be believed, and neither can anything further left.
        let Some(address) = *hop else { break };
        client = Some(address);
        if !snapshot.trusts(address) {
            break;
        }
    }
    client
}

fn addresses(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    headers
        .get_all(&FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|hop| {
            let hop = std::str::from_utf8(hop).ok()?.trim();
            hop.parse::<IpAddr>().ok().map(|address| address.to_canonical())
        })
        .collect()
}

fn scheme(headers: &HeaderMap, trusted: bool, tls: bool) -> &'static str {
    let told = if trusted { text(headers, &FORWARDED_PROTO) } else { None };
    let https = told.map_or(tls, |told| told.eq_ignore_ascii_case("https"));
    if https { "https" } else { "http" }
}

/// The value of a header that stands exactly once and is text.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut all = headers.get_all(name).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    only.to_str().ok().map(str::to_owned)
}

fn kept_request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(&REQUEST_ID)?.to_str().ok()?;
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    ((1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(sane)).then_some(id)
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let raw = headers.get(header::USER_AGENT)?.as_bytes();
    let text = String::from_utf8_lossy(raw);
    let mut kept = String::with_capacity(text.len().min(MAX_USER_AGENT));
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > MAX_USER_AGENT {
            break;
        }
        kept.push(letter);
    }
    Some(kept)
}

/// Makes request ids: `req_` and 32 hexadecimal digits. Unique, not secret: a random half drawn once, and a counter
/// stirred so that neighbours do not look alike. No call to the generator on the request path.
pub(super) struct RequestIds {
    node: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// A series of its own.
    pub(super) fn new(random: &dyn Random) -> Self {
        let mut seed = [0; 16];
        // Ids are no secret: without the generator they are still unique within this process.
        let _ = random.fill(&mut seed);
        let [node, start] = [0, 8].map(|at| {
            let half = seed.get(at..at + 8).and_then(|half| half.try_into().ok());
            u64::from_le_bytes(half.unwrap_or_default())
        });
        Self { node, next: AtomicU64::new(start) }
    }

    fn next(&self) -> String {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(36);
        id.push_str("req_");
        for half in [self.node ^ stir(!count), stir(count)] {
            // Only ASCII, so it is always text.
            id.push_str(str::from_utf8(&hex(half)).unwrap_or_default());
        }
        id
    }
}

/// Sixteen lower-case hexadecimal digits, each reckoned without a look into a table or a branch, so that the compiler does
/// them side by side.
fn hex(word: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let digit = |nibble: u8| nibble + b'0' + (b'a' - b'9' - 1) * u8::from(nibble > 9);
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(word.to_be_bytes()) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    digits
}

/// The finaliser of SplitMix64: one to one, so that different counts stay different.
fn stir(count: u64) -> u64 {
    let mut word = count.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests;
