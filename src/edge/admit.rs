//! The whole way of a request, from its head to a permit or a refusal.
//!
//! Each value is the only way to the next: no route without a view, no principal without a credential, no permit without a
//! principal, no patch without a permit. The limiter, the key look-up and nothing else may wait. Every yes or no is a pure
//! function of `pipeline`; here is only their order, which is the product.

use std::{sync::Arc, time::Instant};

use http::{HeaderValue, Method};
use pingora::http::RequestHeader;

use super::{
    Live, Shared, bearer,
    client::Caller,
    ctx::{Admitted, Trail},
    failures, framing, head,
    live::UNMATCHED,
    options::{self, LocalAnswer},
    possession::{self, Arrival},
    shadow,
    tls::TlsFacts,
    witness::{Seen, Stage, Witness},
};
use crate::{
    limit::LimitError,
    model::Principal,
    pipeline::{
        Authn, Charge, Credential, Deny, ProofRule, RequestView, Route, RouteTable, Target, authn,
        authz,
        carrier::Scheme,
        deny::{self, Malformed},
        mutate::{self, HopFacts},
        quota,
        view::{Field, Known, check_target},
    },
};

/// A request as it came.
pub(super) struct Asked<'a> {
    pub(super) raw_head: &'a [u8],
    /// What [`framing`] noted of the bytes so far.
    pub(super) framing: u8,
    pub(super) head: &'a RequestHeader,
    /// The fields of it that every request is judged by.
    pub(super) known: Known<'a>,
    /// When it came.
    pub(super) came: Instant,
    pub(super) caller: &'a Caller,
    pub(super) listener: &'a str,
    /// What the handshake told; `None`: plain HTTP.
    pub(super) tls: Option<&'a TlsFacts>,
}

/// What becomes of a request that is not refused.
pub(super) enum Admission {
    /// It goes upstream.
    Pass(Admitted),
    /// It is answered here.
    Answer(LocalAnswer),
}

/// Walks a request through all stages. What is found out on the way stays in `trail`, whatever the end; `witness` sees
/// the stages themselves.
pub(super) async fn admit<W: Witness>(
    edge: &Shared,
    live: &Live,
    asked: &Asked<'_>,
    trail: &mut Trail,
    witness: &mut W,
) -> Result<Admission, Deny> {
    // 1 view: one way to read it, or none.
    witness.enters(Stage::View);
    let view = read(edge, live, asked).map_err(|fault| {
        trail.mount = options::mount_of_host(live, asked);
        Deny::Malformed(fault)
    })?;
    trail.host = view.host.clone().into_owned();
    trail.path = view.path.as_str().to_owned();
    witness.sees(Seen::View(&view));

    // 2 route: the most specific one, or nothing is forwarded.
    witness.enters(Stage::Route);
    let routes = &live.snapshot.routes;
    if is_misdirected(routes, asked, &view) {
        trail.mount = options::mount_of_host(live, asked);
        return Err(Deny::Misdirected);
    }
    if let Some(answer) = options::refuse_or_answer(routes, asked, &view, trail)? {
        return Ok(Admission::Answer(answer));
    }
    let found = match routes.find(asked.listener, &view) {
        Ok(found) => found,
        Err(missed) => {
            trail.mount = missed.mount.cloned();
            // It counts like any other request of the mount.
            let limits = missed.mount.map_or(&[][..], |mount| &mount.limits);
            let address = view.client.address;
            let charges = quota::charges(limits, UNMATCHED, None, address);
            charge(edge, trail, &charges, witness).await?;
            let shadowed = missed.mount.map_or(&[][..], |mount| &mount.shadow_limits);
            shadow::unrouted(edge, shadowed, address, trail).await;
            return Err(missed.deny);
        }
    };
    witness.sees(Seen::Route(&found));
    let route = found.route;
    let place = live.route(route).ok_or(Deny::Internal)?;
    trail.mount = Some(Arc::clone(&route.mount));
    trail.route = Some(Arc::clone(place));
    if route.secret_path {
        trail.path.truncate(found.prefix_len);
        trail.path.push_str(&route.template);
    }

    // 3 limits that need no caller, before anything costs more than counting.
    witness.enters(Stage::EarlyLimits);
    charge(edge, trail, &quota::early_charges(route, &view), witness).await?;
    shadow::early(edge, route, &view, trail).await;
    if route.hashes && edge.parts.lookup.is_hashing_full() {
        return Err(Deny::Unavailable { dependency: deny::HASHING });
    }

    if route.proof_nonce {
        trail.nonce = HeaderValue::try_from(edge.nonces.now(edge.parts.clock.now())).ok();
    }

    // 4 to 6: who is it? A wrong guess is charged to the address it came from.
    let now = edge.parts.clock.now();
    trail.charged_at = Some(now);
    let arrival = Arrival {
        now,
        moment: asked.came,
        scheme: asked.caller.scheme,
        authority: outer_host(asked, &view),
        believed: asked.caller.trusted,
        counts: W::SERVES,
    };
    let who = match prove(edge, live, (&route.authn, &**route), &view, arrival, witness).await {
        Ok(who) => who,
        Err(deny) => {
            let charged = failures::charge(edge, live, view.client.address, &deny).await;
            if let Err(limited) = charged {
                failures::show(trail, &limited);
                return Err(limited);
            }
            failures::show(trail, &deny);
            if deny.status() == http::StatusCode::UNAUTHORIZED || deny == Deny::AddressNotAllowed {
                let limits = &place.anonymous_limits;
                let charges = quota::charges(limits, &route.name, None, view.client.address);
                charge(edge, trail, &charges, witness).await?;
                shadow::unproven(edge, route, &view, trail).await;
            }
            return Err(deny);
        }
    };
    if let ProofRule::Offered { certificates } = route.proof {
        let offered = possession::offered((edge, live), route, &view, certificates, &arrival);
        trail.offered = offered?;
    }
    trail.principal.clone_from(&who);
    witness.sees(Seen::Principal(who.as_deref()));

    // 7 may it? A proven caller who may not is charged all the same.
    witness.enters(Stage::Authorization);
    let own = quota::own_window(who.as_deref());
    let late = |who| quota::late_charges(route, who, view.client.address, own.as_ref());
    let path = view.path.behind(found.prefix_len);
    let permit = match authz::authorize(route, who.clone(), &view, path) {
        Ok(permit) => permit,
        Err(deny) => {
            charge(edge, trail, &late(who.as_deref()), witness).await?;
            shadow::late(edge, route, who.as_deref(), &view, trail).await;
            return Err(deny);
        }
    };

    // 8 limits of the caller, its key's own hour included.
    witness.enters(Stage::LateLimits);
    charge(edge, trail, &late(who.as_deref()), witness).await?;
    shadow::late(edge, route, who.as_deref(), &view, trail).await;
    if view.known.announced_length() > route.body_limit {
        return Err(Deny::BodyTooLarge);
    }
    shadow::permitted(edge, live, route, (who.as_deref(), path), &view, &arrival, trail).await;
    if let Some(who) = permit.principal() {
        who.key.iter().for_each(|key| edge.parts.lookup.used(key, now));
        who.session.iter().for_each(|session| edge.parts.lookup.seen(session, now));
    }

    // 9 what goes upstream.
    witness.enters(Stage::Patch);
    let hop = HopFacts { scheme: arrival.scheme, host: arrival.authority };
    let names = &live.snapshot.identity_headers;
    let mut patch = mutate::patch(&permit, &view, found.prefix_len, names, &hop, |who| {
        live.told.of(names, who)
    });
    if let (Some(rule), Some(who)) = (&route.assertion, permit.principal()) {
        let lookup = &*edge.parts.lookup;
        let value = live.assertions.of(lookup, &route.mount, rule, who, now).await?;
        patch.set.push((names.assertion.clone(), value));
    }
    witness.sees(Seen::Patch(&patch));
    let cors = route.mount.cors.reply_headers(view.known.origin.value());
    let (route, prefix_len) = (Arc::clone(place), found.prefix_len);
    let joined = found.joined.iter().map(|route| route.mount.dialect).collect();
    Ok(Admission::Pass(Admitted { permit, patch, route, prefix_len, joined, cors }))
}

/// Whether the client asked for a host on a connection that it opened to another one, with other rules (RFC 9110 section
/// 15.5.20). A proxy that is believed opens its connections to us by a name of its own.
fn is_misdirected(routes: &RouteTable, asked: &Asked<'_>, view: &RequestView<'_>) -> bool {
    let Some(name) = asked.tls.and_then(|tls| tls.name.as_deref()) else { return false };
    *view.host != *name
        && !asked.caller.trusted
        && !routes.same_rules(asked.listener, &view.host, name)
}

/// The view, after the bytes it was parsed from were judged themselves.
fn read<'a>(edge: &Shared, live: &Live, asked: &Asked<'a>) -> Result<RequestView<'a>, Malformed> {
    if framing::is_faulty(asked.framing, &asked.head.headers) {
        return Err(Malformed::Framing);
    }
    head::judge(asked.raw_head, &edge.settings.limits)?;
    check_target(asked.head.raw_path())?;
    let head = asked.head;
    let facts = &asked.caller.facts;
    let view = RequestView::with(asked.known, &head.method, &head.uri, &head.headers, facts)?;
    // The absolute form names a host as well, but the field must be there (RFC 9112 section 3.2).
    if head.version == http::Version::HTTP_11 && matches!(view.known.host, Field::Absent) {
        return Err(Malformed::Host);
    }
    let certificate = asked.tls.and_then(|tls| tls.certificate.as_ref());
    let view = RequestView { certificate, ..view };
    view.check_connection(&live.snapshot.identity_headers)?;
    Ok(view)
}

/// Credential, evidence, principal, by what is asked for at a route. `Ok(None)`: a public one, which reads no credential, good
/// or bad.
pub(super) async fn prove<W: Witness>(
    edge: &Shared,
    live: &Live,
    (asks, route): (&Authn, &Route),
    view: &RequestView<'_>,
    arrival: Arrival<'_>,
    witness: &mut W,
) -> Result<Option<Arc<Principal>>, Deny> {
    let (mount, address) = (&route.mount, view.client.address);
    let (now, moment) = (arrival.now, arrival.moment);
    witness.enters(Stage::Credential);
    if let Some(who) = witness.assumed(mount) {
        return asks.assume(who);
    }
    let credential = asks.extract(view, mount)?;
    witness.sees(Seen::Credential(credential.as_ref()));
    witness.enters(Stage::Evidence);
    // Who holds what is too old says nothing about anybody: what a credential hangs on may have ended elsewhere.
    let asked_of = &edge.parts.lookup;
    let lookup = &**asked_of;
    if credential.is_some() && !lookup.is_current() && !lookup.becomes_current().await {
        return Err(Deny::Unavailable { dependency: "identity" });
    }
    let who = match credential {
        None => return Ok(None),
        Some(Credential::Jwt(text, scheme)) => {
            let profile = mount.tokens.as_ref().ok_or(bearer::INVALID)?;
            let known = live.tokens.known(&mount.name, text, moment, &edge.parts.metrics);
            let who = match known {
                Some(who) => who,
                None => {
                    witness.sees(Seen::Evidence("the signing keys of the mount"));
                    bearer::unknown(edge, live, route, text, address, (now, moment)).await?
                }
            };
            witness.enters(Stage::Authentication);
            // A token of another kind or issuer is none for this route, as good as it may be elsewhere.
            // The contract's own endpoints look at no scopes, so one that is narrowed to some is none there.
            let narrowed = who.scopes.is_some() && route.target == Target::Identity;
            let taken = asks.takes(who.method) && route.takes_issuer(who.issuer.as_deref());
            if narrowed || !taken {
                return Err(bearer::INVALID);
            }
            let who = authn::establish_token(&who, &*edge.parts.revocations, profile.leeway, now)?;
            if route.proof != ProofRule::None || who.bound.is_some() || scheme != Scheme::Bearer {
                witness.enters(Stage::Proof);
                let token = (text, scheme);
                possession::check((edge, live), route, view, token, &who, &arrival)?;
                witness.sees(Seen::Proof(who.bound.as_ref()));
            }
            who
        }
        Some(Credential::ApiKey(presented)) => {
            let metrics = &edge.parts.metrics;
            let evidence =
                match edge.keys.at_hand(lookup, metrics, (&mount.name, &presented.id), moment) {
                    Some(evidence) => evidence,
                    None => {
                        failures::refuse_guesser(edge, live, address).await?;
                        edge.keys.evidence(asked_of, metrics, &mount.name, &presented.id).await?
                    }
                };
            witness.sees(Seen::Evidence(known_or_not(&evidence)));
            witness.enters(Stage::Authentication);
            authn::establish_key(&presented.digest, evidence.as_deref(), mount, address, now)?
        }
        Some(Credential::Certificate(shown)) => {
            witness.enters(Stage::Authentication);
            authn::establish_certificate(shown, mount, now)?
        }
        Some(Credential::Session(secret)) => {
            let metrics = &edge.parts.metrics;
            let evidence =
                match edge.sessions.at_hand(lookup, metrics, (&mount.name, &secret), moment) {
                    Some(evidence) => evidence,
                    None => {
                        failures::refuse_guesser(edge, live, address).await?;
                        edge.sessions
                            .evidence(asked_of, metrics, (&mount.name, &secret), now)
                            .await?
                    }
                };
            witness.sees(Seen::Evidence(known_or_not(&evidence)));
            witness.enters(Stage::Authentication);
            authn::establish_session(evidence.as_deref(), mount, &*edge.parts.revocations, now)?
        }
    };
    Ok(Some(who))
}

/// What a look-up found, in words.
fn known_or_not<E>(evidence: &Option<E>) -> &'static str {
    evidence.as_ref().map_or("the store knows none", |_| "the store knows it")
}

/// Charges all or none of `charges`; what is shown later is the tightest of all.
async fn charge<W: Witness>(
    edge: &Shared,
    trail: &mut Trail,
    charges: &[Charge<'_>],
    witness: &mut W,
) -> Result<(), Deny> {
    if charges.is_empty() {
        return Ok(());
    }
    let limiter = &edge.parts.limiter;
    let checked = match limiter.check_now(charges) {
        Some(checked) => checked,
        None => limiter.check(charges).await,
    };
    match checked {
        Ok(toll) => {
            witness.sees(Seen::Charges(charges, toll.as_ref()));
            trail.pay(toll);
            Ok(())
        }
        Err(LimitError::Limited(toll)) => {
            witness.sees(Seen::Charges(charges, Some(&toll)));
            trail.toll = Some(toll.clone());
            Err(Deny::RateLimited(toll))
        }
        Err(LimitError::Unavailable(error)) => {
            // Told where it is lost and found, once; here it would be a line per request.
            tracing::debug!(event = "limiter_unavailable", %error);
            Err(Deny::Unavailable { dependency: "limiter" })
        }
    }
}

/// `Host` as the client used it, port included.
fn outer_host<'a>(asked: &Asked<'a>, view: &RequestView<'a>) -> &'a str {
    let sent = || view.known.host.value().and_then(|host| host.to_str().ok());
    asked.caller.forwarded_host.as_deref().or_else(sent).unwrap_or_default()
}

/// Whether this method is never proxied, whatever the routes say.
pub(super) fn is_forbidden(method: &Method) -> bool {
    matches!(*method, Method::TRACE | Method::CONNECT)
}
