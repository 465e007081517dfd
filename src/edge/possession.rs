//! Whether whoever sends a token has what the token is bound to. Asked on every request: what is kept of a token says only
//! what must be proven.

use std::time::Instant;

use http::{HeaderName, header::HeaderMap};

use super::{Live, Shared, tls::relayed};
use crate::{
    model::{Offered, Principal, Timestamp, confirmation::Thumbprint},
    pipeline::{
        Deny, RequestView, Route,
        carrier::Scheme,
        deny::TokenFault,
        jwt::dpop::{self, ProvenRequest},
        proof::ProofFault,
    },
};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// When a request came, and what it asked for as its client sees it.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) now: Timestamp,
    pub(super) moment: Instant,
    pub(super) scheme: &'static str,
    pub(super) authority: &'a str,
    /// Whether the peer is a proxy that is believed.
    pub(super) believed: bool,
    /// Whether a proof is used up by it.
    pub(super) counts: bool,
}

/// Holds a good token against what it is bound to, and against what the route asks for.
pub(super) fn check(
    (edge, live): (&Shared, &Live),
    route: &Route,
    view: &RequestView<'_>,
    (token, scheme): (&str, Scheme),
    who: &Principal,
    arrival: &Arrival<'_>,
) -> Result<(), Deny> {
    let Some(bound) = route.proof.demands(scheme, who.bound.as_ref())? else {
        return Ok(());
    };
    if let Some(wanted) = &bound.certificate
        && !has_certificate(live, view, wanted, arrival)
    {
        return Err(refused(ProofFault::Certificate));
    }
    match &bound.key {
        Some(key) => signature(edge, route, view, Some((token, key)), arrival).map(|_| ()),
        None => Ok(()),
    }
}

/// What came of the proof of a client that wants a bound token. `Ok(None)`: it sent none, and wants none.
pub(super) fn offered(
    edge: &Shared,
    route: &Route,
    view: &RequestView<'_>,
    arrival: &Arrival<'_>,
) -> Result<Option<Offered>, Deny> {
    match signature(edge, route, view, None, arrival) {
        Ok(key) => Ok(Some(Offered::Key(key))),
        Err(Deny::Token(TokenFault::Proof(ProofFault::Missing))) => Ok(None),
        Err(Deny::Token(TokenFault::Proof(ProofFault::Nonce))) => Ok(Some(Offered::WithoutNonce)),
        Err(Deny::Token(_)) => Ok(Some(Offered::Faulty)),
        Err(undetermined) => Err(undetermined),
    }
}

/// Whether the client's connection shows this certificate. Where proxies are to tell of it, the connection of a believed one
/// is its own and not the client's.
fn has_certificate(
    live: &Live,
    view: &RequestView<'_>,
    wanted: &Thumbprint,
    arrival: &Arrival<'_>,
) -> bool {
    let told;
    let shown = match &live.snapshot.client_certificate {
        Some(name) if arrival.believed => {
            told = relayed::read(view.headers, name);
            told.as_ref()
        }
        _ => view.certificate,
    };
    // The connection may have outlived it.
    shown.is_some_and(|shown| shown.thumbprint == *wanted && arrival.now < shown.not_after)
}

/// Verifies the one proof that came, and uses it up. Gives its key.
fn signature(
    edge: &Shared,
    route: &Route,
    view: &RequestView<'_>,
    token: Option<(&str, &Thumbprint)>,
    arrival: &Arrival<'_>,
) -> Result<Thumbprint, Deny> {
    let request = ProvenRequest {
        method: view.method.as_str(),
        scheme: arrival.scheme,
        authority: arrival.authority,
        path: &view.path,
        token,
        nonces: route.proof_nonce.then_some(&edge.nonces),
    };
    let proof = dpop::verify(only(view.headers)?, &request, arrival.now).map_err(refused)?;
    if !arrival.counts {
        return Ok(proof.key);
    }
    match edge.replays.first(&proof.key, &proof.id, arrival.moment, &edge.parts.metrics) {
        Ok(true) => Ok(proof.key),
        Ok(false) => Err(refused(ProofFault::Replayed)),
        // What cannot be remembered could be used again.
        Err(_) => Err(Deny::Unavailable { dependency: "proofs" }),
    }
}

/// The proof, which must stand alone (RFC 9449 section 4.3).
fn only(headers: &HeaderMap) -> Result<&str, Deny> {
    let mut all = headers.get_all(DPOP).iter();
    match (all.next(), all.next()) {
        (None, _) => Err(refused(ProofFault::Missing)),
        (Some(only), None) => only.to_str().map_err(|_| refused(ProofFault::Invalid)),
        (Some(_), Some(_)) => Err(refused(ProofFault::Invalid)),
    }
}

fn refused(fault: ProofFault) -> Deny {
    Deny::Token(TokenFault::Proof(fault))
}
