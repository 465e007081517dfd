//! A token that is not known yet: whose it says it is, and what that issuer's profile alone makes of it. What it is bound to
//! is not looked at here, but on every request (`edge/possession.rs`).

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use super::{
    Live, Shared, failures,
    resolve::{Proven, Whole},
};
use crate::{
    issuer::{Keeper, NotInTime},
    model::{Principal, Timestamp},
    pipeline::{
        Deny, Mount, Route,
        deny::TokenFault,
        jwt::{IssuerKeys, IssuerProfile, KeySet, Presented, TokenProfile, Unproven},
    },
};

/// No token of ours, nor of anybody whom the route believes.
pub(super) const INVALID: Deny = Deny::Token(TokenFault::Invalid);
/// Whether it is one cannot be told now.
pub(super) const UNTOLD: Deny = Deny::Unavailable { dependency: "issuer" };

/// Whether it is one of ours cannot be told now.
const UNKNOWN_HERE: Deny = Deny::Unavailable { dependency: "identity" };

/// Nobody signs with a key before all nodes that hear of changes know it. One that has heard nothing of the store for so long
/// may not know the newest.
const UNHEARD: Duration = Duration::from_millis(2500);

/// When a request came, by both clocks.
type Moment = (Timestamp, Instant);

/// What can be said of a token with the keys in hand.
enum Verdict {
    Proven(Proven),
    Fault(TokenFault),
    /// Nobody can be asked here.
    Unasked,
    /// It may be signed with a key of ours that another node has made.
    Newer,
    /// Its key is not in hand. `last`: nor is it anywhere, as far as the issuer can be asked.
    Wanting {
        keeper: Arc<Keeper>,
        last: bool,
    },
}

/// Finds out whom a token proves.
pub(super) async fn unknown(
    edge: &Shared,
    live: &Live,
    route: &Route,
    token: &str,
    address: IpAddr,
    at: Moment,
) -> Result<Arc<Principal>, Deny> {
    let (mount, metrics) = (&route.mount, &edge.parts.metrics);
    let Some(profile) = mount.asked_about(token) else {
        failures::refuse_guesser(edge, live, address).await?;
        return verify(edge, live, route, token, at).await;
    };
    let name = match live.answers.at_hand(&mount.name, token, at.1, metrics) {
        Ok(answer) => return answer,
        Err(name) => name,
    };
    failures::refuse_guesser(edge, live, address).await?;
    // Nobody is asked for the sake of a token that this route would not take.
    if !route.issuers.contains(&profile.name) {
        return Err(INVALID);
    }
    Box::pin(live.answers.ask(live, profile, token, name, at)).await
}

/// Verifies a token and keeps what it proves. Waits only where keys of an issuer must be fetched for it.
async fn verify(
    edge: &Shared,
    live: &Live,
    route: &Route,
    token: &str,
    at: Moment,
) -> Result<Arc<Principal>, Deny> {
    let (mount, metrics) = (&route.mount, &edge.parts.metrics);
    let whole = live.tokens.unrefused(&mount.name, token, at.1, metrics).map_err(Deny::Token)?;
    match judge(edge, live, mount, token, at) {
        Verdict::Proven(proven) => Ok(live.tokens.keep(token, proven)),
        Verdict::Fault(fault) => refuse(live, whole, fault, at),
        Verdict::Unasked => Err(UNTOLD),
        Verdict::Newer => Err(UNKNOWN_HERE),
        // In a box: a token whose key is at hand must not carry the space that waiting takes.
        Verdict::Wanting { keeper, last } => {
            Box::pin(fetch((edge, live), route, token, at, whole, (keeper, last))).await
        }
    }
}

/// Has newer keys fetched until they tell what the token is, or it is plain that they cannot be had in time.
async fn fetch(
    (edge, live): (&Shared, &Live),
    route: &Route,
    token: &str,
    at: Moment,
    whole: Whole,
    (keeper, last): (Arc<Keeper>, bool),
) -> Result<Arc<Principal>, Deny> {
    // Nobody is asked for the sake of a token that this route would not take.
    if last || !route.issuers.contains(keeper.name()) {
        return Err(INVALID);
    }
    let untold = |_: NotInTime| UNTOLD;
    let mut waiting = keeper.wait(at.1).map_err(untold)?;
    // Looked at once more first: a fetch may have ended before the wait began.
    loop {
        match judge(edge, live, &route.mount, token, at) {
            Verdict::Proven(proven) => return Ok(live.tokens.keep(token, proven)),
            Verdict::Fault(fault) => return refuse(live, whole, fault, at),
            Verdict::Unasked => return Err(UNTOLD),
            Verdict::Newer => return Err(UNKNOWN_HERE),
            Verdict::Wanting { last: true, .. } => return Err(INVALID),
            Verdict::Wanting { last: false, .. } => waiting.next().await.map_err(untold)?,
        }
    }
}

fn refuse<T>(live: &Live, whole: Whole, fault: TokenFault, at: Moment) -> Result<T, Deny> {
    live.tokens.refuse(whole, fault, at.1);
    Err(Deny::Token(fault))
}

fn judge(edge: &Shared, live: &Live, mount: &Mount, token: &str, (now, moment): Moment) -> Verdict {
    const NONE: Verdict = Verdict::Fault(TokenFault::Invalid);
    let ours = |own: &TokenProfile, found: Result<Principal, TokenFault>| match found {
        Err(TokenFault::Invalid)
            if is_unheard(edge, moment) && own.may_have_newer_key(token, now) =>
        {
            Verdict::Newer
        }
        found => fixed(found.map_err(Unproven::Fault)),
    };
    // Where there is nobody else, it is of the contract's login or none, whatever it says.
    if let Some(only) = mount.only_profile() {
        return ours(only, only.verify_unproven(token, now));
    }
    let Some(presented) = Presented::read(token) else { return NONE };
    let Some(issuer) = presented.issuer() else { return NONE };
    if let Some(own) = mount.own_profile(issuer) {
        return ours(own, own.verify_presented_unproven(presented, now));
    }
    let Some(profile) = mount.issuer(issuer) else { return NONE };
    match &profile.keys {
        IssuerKeys::Fixed(keys) => fixed(profile.verify_unproven(&presented, keys, now)),
        IssuerKeys::Fetched => {
            // A question is walked through with what is known: nobody is asked for its sake.
            let Some(keeper) = live.issuers().keeper(&profile.name) else {
                return Verdict::Unasked;
            };
            match fetched(keeper, profile, &presented, (now, moment)) {
                Verdict::Wanting { last: false, .. } if live.issuers().is_quiet() => {
                    Verdict::Unasked
                }
                verdict => verdict,
            }
        }
        IssuerKeys::None => NONE,
    }
}

/// Whether keys of ours may have been made of which this node has not heard.
fn is_unheard(edge: &Shared, now: Instant) -> bool {
    let heard = edge.parts.lookup.vouched_at();
    heard.is_some_and(|heard| now.saturating_duration_since(heard) > UNHEARD)
}

/// Keys of the configuration: what they do not verify is nothing.
fn fixed(found: Result<Principal, Unproven>) -> Verdict {
    match found {
        Ok(principal) => Verdict::Proven(Proven { principal: Arc::new(principal), keys: None }),
        Err(Unproven::Fault(fault)) => Verdict::Fault(fault),
        Err(Unproven::UnknownKey { .. }) => Verdict::Fault(TokenFault::Invalid),
    }
}

fn fetched(
    keeper: &Arc<Keeper>,
    profile: &IssuerProfile,
    presented: &Presented<'_>,
    (now, moment): Moment,
) -> Verdict {
    static NO_KEYS: LazyLock<KeySet> = LazyLock::new(KeySet::default);
    let held = keeper.held().filter(|held| held.is_usable(moment));
    let keys = held.as_ref().map_or(&*NO_KEYS, |held| &*held.keys);
    match profile.verify_unproven(presented, keys, now) {
        Ok(principal) => {
            let keys = held.map(|held| (Arc::clone(keeper), held.generation));
            Verdict::Proven(Proven { principal: Arc::new(principal), keys })
        }
        Err(Unproven::Fault(fault)) => Verdict::Fault(fault),
        Err(Unproven::UnknownKey { issued_at }) => Verdict::Wanting {
            keeper: Arc::clone(keeper),
            last: held.is_some_and(|held| held.is_final(moment, issued_at)),
        },
    }
}
