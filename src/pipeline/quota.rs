//! What a limit is, whom it counts, and what came of a check. Counting itself lives in `limit`.

use std::{net::IpAddr, sync::Arc, time::Duration};

use smallvec::{SmallVec, smallvec};

use super::{RequestView, Route};
use crate::model::Principal;

/// Name under which the hourly limit of an API key is counted and shown.
pub const KEY_HOUR: &str = "key-hour";

/// Name under which failed authentication is counted by address.
pub const AUTH_FAILURES: &str = "auth-failures";

/// N requests per span: GCRA with burst N and refill N/W.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Requests, at least 1.
    pub limit: u32,
    /// Span, at least one second.
    pub per: Duration,
}

/// One part of whom a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Per {
    /// Client address; IPv6 by /64.
    Client,
    /// API key.
    Key,
    /// Account.
    User,
    /// Organisation of the account.
    Tenant,
    /// The matched route.
    Route,
    /// API key, else account, else client address: "per credential or IP" of the contracts.
    Credential,
}

impl Per {
    /// Whether this part is known before a credential was looked at.
    pub const fn is_early(self) -> bool {
        matches!(self, Per::Client | Per::Route)
    }
}

/// Where a limit is counted when several nodes share a Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Each node for itself.
    Local,
    /// Nodes take shares in advance; a request that finds one waits for nobody.
    Leased,
    /// Redis decides every request.
    Exact,
}

/// What becomes of a shared limit while Redis is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// Each node lets in its part: the limit by the number of known nodes.
    #[default]
    Local,
    /// Requests are undetermined.
    Closed,
    /// The limit does not count.
    Open,
}

/// How far a limit reaches over the nodes of a fleet. Without a Redis it is always counted in the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Across {
    /// `None`: what is usual, [`Mode::Leased`].
    pub mode: Option<Mode>,
    /// While Redis is lost.
    pub on_error: OnError,
}

/// A named limit: several windows, charged all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Name in the configuration; state is kept under it, so it survives a reload.
    pub name: Arc<str>,
    /// Whom it counts; never empty.
    pub per: Vec<Per>,
    /// At least one.
    pub windows: Vec<Window>,
    /// It is counted, and refuses nothing.
    pub shadow: bool,
    /// How far it reaches.
    pub across: Across,
}

impl Limit {
    /// Whether it counts a caller of whom nothing is proven by itself: all its parts are early, or fall back to the address.
    pub fn counts_anybody(&self) -> bool {
        let anybody = |per: &Per| matches!(per, Per::Client | Per::Route | Per::Credential);
        self.per.iter().all(anybody)
    }

    /// Whether it can be checked before authentication: all its parts are early.
    pub fn is_early(&self) -> bool {
        self.per.iter().all(|per| per.is_early())
    }
}

/// One part of a key with its value. `Absent` makes a caller without that property share one bucket per limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPart<'a> {
    /// Address, already folded to /64 for IPv6.
    Client(IpAddr),
    /// API key id.
    Key(&'a str),
    /// Account id (with its realm, since ids are per realm).
    User(&'a str, &'a str),
    /// Organisation.
    Tenant(&'a str),
    /// Route name.
    Route(&'a str),
    /// The caller has no such property.
    Absent(Per),
    /// Any other text, for limits on values that only identity sees (e-mail, login name).
    Text(&'a str),
}

/// Parts of one key: hardly any limit has more than two, and a request must not pay for the others.
pub type KeyParts<'a> = SmallVec<[KeyPart<'a>; 2]>;

/// What one request is charged, likewise.
pub type Charges<'a> = SmallVec<[Charge<'a>; 2]>;

/// Whom one charge counts: the limit's name and its parts. Hashed, never stored as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitKey<'a> {
    /// Name of the limit.
    pub limit: &'a str,
    /// Its parts in the limit's order.
    pub parts: KeyParts<'a>,
}

/// One limit to be charged for one request.
#[derive(Clone, Debug)]
pub struct Charge<'a> {
    /// Whom it counts.
    pub key: LimitKey<'a>,
    /// Its windows.
    pub windows: &'a [Window],
    /// How far it reaches.
    pub across: Across,
}

/// What came of a check: the facts for the headers, computed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toll {
    /// Name of the limit that is shown.
    pub name: Arc<str>,
    /// The shown window.
    pub window: Window,
    /// Requests left in it.
    pub remaining: u32,
    /// Time until it is full again.
    pub reset_after: Duration,
    /// Time until one request fits again; only when refused.
    pub retry_after: Option<Duration>,
}

impl Toll {
    /// The one to show: fewest remaining, on a tie the later reset.
    pub fn tighter(self, other: Toll) -> Toll {
        let own = (self.remaining, std::cmp::Reverse(self.reset_after));
        let their = (other.remaining, std::cmp::Reverse(other.reset_after));
        if their < own { other } else { self }
    }
}

/// Folds a client address for counting: IPv4 whole, IPv6 to its /64.
pub fn counted_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

/// The limits of a route that are checked before a credential is looked at.
pub fn early_charges<'a>(route: &'a Route, view: &RequestView<'_>) -> Charges<'a> {
    charges(&route.early_limits, &route.name, None, view.client.address)
}

/// The limits of a route that need the caller, and the caller's own limit, whether it is permitted or not. `own` is
/// [`own_window`]'s value; the caller of this function holds it, because a charge only borrows its windows.
pub fn late_charges<'a>(
    route: &'a Route,
    who: Option<&'a Principal>,
    client: IpAddr,
    own: Option<&'a Window>,
) -> Charges<'a> {
    let mut out = charges(&route.late_limits, &route.name, who, client);
    let key = who.and_then(|who| who.key.as_ref());
    if let (Some(window), Some(key)) = (own, key) {
        let parts = smallvec![KeyPart::Key(key.as_str())];
        let key = LimitKey { limit: KEY_HOUR, parts };
        let windows = std::slice::from_ref(window);
        out.push(Charge { key, windows, across: Across::default() });
    }
    out
}

/// The hourly limit an API key brings with it (`rate_limit_per_hour`).
pub fn own_window(who: Option<&Principal>) -> Option<Window> {
    let limit = who?.rate_limit_per_hour.filter(|limit| *limit > 0)?;
    Some(Window { limit, per: Duration::from_secs(3600) })
}

/// One failed authentication of an address.
pub fn failure_charge(windows: &[Window], client: IpAddr) -> Charge<'_> {
    let parts = smallvec![KeyPart::Client(counted_address(client))];
    let across = Across::default();
    Charge { key: LimitKey { limit: AUTH_FAILURES, parts }, windows, across }
}

/// Whom each of these limits counts for one request. `route`: its name.
pub fn charges<'a>(
    limits: &'a [Arc<Limit>],
    route: &'a str,
    who: Option<&'a Principal>,
    client: IpAddr,
) -> Charges<'a> {
    let charge = |limit: &'a Arc<Limit>| {
        let parts = limit.per.iter().map(|per| part(*per, route, who, client)).collect();
        let (key, across) = (LimitKey { limit: &limit.name, parts }, limit.across);
        Charge { key, windows: &limit.windows, across }
    };
    limits.iter().map(charge).collect()
}

fn part<'a>(per: Per, route: &'a str, who: Option<&'a Principal>, client: IpAddr) -> KeyPart<'a> {
    let address = || KeyPart::Client(counted_address(client));
    let key = || who.and_then(|who| who.key.as_ref()).map(|key| KeyPart::Key(key.as_str()));
    let user = || who.map(|who| KeyPart::User(who.realm.as_str(), who.subject.as_str()));
    let tenant = || who.and_then(|who| who.tenant.as_deref()).map(KeyPart::Tenant);
    match per {
        Per::Client => address(),
        Per::Route => KeyPart::Route(route),
        Per::Key => key().unwrap_or(KeyPart::Absent(per)),
        Per::User => user().unwrap_or(KeyPart::Absent(per)),
        Per::Tenant => tenant().unwrap_or(KeyPart::Absent(per)),
        Per::Credential => key().or_else(user).unwrap_or_else(address),
    }
}

#[cfg(test)]
mod tests;
