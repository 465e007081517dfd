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
    if let Some(wanted) = bound.certificate
        && certificate(live, view, arrival) != Some(wanted)
    {
        return Err(refused(ProofFault::Certificate));
    }
    match &bound.key {
        Some(key) => signature(edge, route, view, Some((token, key)), arrival).map(|_| ()),
        None => Ok(()),
    }
}

/// What a client that asks for a token has shown for it to be bound to; with `certificates` its own, where it sends no proof.
/// `Ok(None)`: nothing, and it is given a bearer token.
pub(super) fn offered(
    (edge, live): (&Shared, &Live),
    route: &Route,
    view: &RequestView<'_>,
    certificates: bool,
    arrival: &Arrival<'_>,
) -> Result<Option<Offered>, Deny> {
    match signature(edge, route, view, None, arrival) {
        Ok(key) => Ok(Some(Offered::Key(key))),
        Err(Deny::Token(TokenFault::Proof(ProofFault::Missing))) => {
            let shown = certificates.then(|| certificate(live, view, arrival)).flatten();
            Ok(shown.map(Offered::Certificate))
        }
        Err(Deny::Token(TokenFault::Proof(ProofFault::Nonce))) => Ok(Some(Offered::WithoutNonce)),
        Err(Deny::Token(_)) => Ok(Some(Offered::Faulty)),
        Err(undetermined) => Err(undetermined),
    }
}

/// The certificate that the client's connection shows, while it holds. Where proxies are to tell of it, the connection of a
/// believed one is its own and not the client's.
fn certificate(live: &Live, view: &RequestView<'_>, arrival: &Arrival<'_>) -> Option<Thumbprint> {
    let told;
    let shown = match &live.snapshot.client_certificate {
        Some(name) if arrival.believed => {
            told = relayed::read(view.headers, name);
            told.as_ref()
        }
        _ => view.certificate,
    };
    // The connection may have outlived it.
    shown.filter(|shown| arrival.now < shown.not_after).map(|shown| shown.thumbprint)
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
