//! Doors for the fuzz targets, which are a crate of their own (`fuzz/`); in no other build.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::{
    ClientLimits,
    client::{Caller, RequestIds},
    framing::Watch,
    head,
    proxy_protocol::{self, Next},
};
use crate::{
    model::SystemRandom,
    pipeline::{Snapshot, deny::Malformed},
};

/// The judge of a raw head, with the limits of an empty file.
pub fn judge(raw: &[u8]) -> Result<(), Malformed> {
    head::judge(raw, &ClientLimits::default())
}

/// What is noted of a request that comes in these pieces.
pub fn framing(pieces: &[&[u8]]) -> u8 {
    let mut watch = Watch::default();
    pieces.iter().fold(0, |_, piece| watch.read(piece))
}

/// What is believed of a caller.
#[derive(Debug)]
pub struct Read {
    /// Address that counts.
    pub address: IpAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The outer host.
    pub host: Option<String>,
    /// Request id.
    pub request_id: String,
}

/// Reads the caller of a request that came over plain HTTP.
pub fn caller(snapshot: &Snapshot, peer: IpAddr, headers: &HeaderMap) -> Read {
    let caller = Caller::read(snapshot, peer, false, headers, &RequestIds::new(&SystemRandom));
    Read {
        address: caller.facts.address,
        scheme: caller.scheme,
        host: caller.forwarded_host,
        request_id: caller.facts.request_id,
    }
}

/// Reads the header of the PROXY protocol at the beginning of `bytes`, taking as much at a time as a socket would give that
/// has `step` bytes: who it names, and how long it is. `None`: it is none, or not whole.
pub fn proxied(bytes: &[u8], step: usize) -> Option<(Option<SocketAddr>, usize)> {
    let mut taken = 0;
    loop {
        let rest = bytes.get(taken..)?;
        taken += match proxy_protocol::next(bytes.get(..taken)?).ok()? {
            Next::Bytes(count) => rest.get(..count)?.len(),
            Next::RestOfLine(most) => {
                let seen =
                    rest.get(..most.min(step).min(rest.len())).filter(|seen| !seen.is_empty())?;
                seen.iter().position(|byte| *byte == b'\n').map_or(seen.len(), |at| at + 1)
            }
            Next::Nothing => break,
        };
    }
    Some((proxy_protocol::read(bytes.get(..taken)?).ok()?, taken))
}
