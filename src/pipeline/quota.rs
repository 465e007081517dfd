//! What a limit is, whom it counts, and what came of a check. Counting itself lives in `limit`.

use std::{net::IpAddr, sync::Arc, time::Duration};

/// N requests per span: GCRA with burst N and refill N/W.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// A named limit: several windows, charged all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Name in the configuration; state is kept under it, so it survives a reload.
    pub name: Arc<str>,
    /// Whom it counts; never empty.
    pub per: Vec<Per>,
    /// At least one.
    pub windows: Vec<Window>,
}

impl Limit {
    /// Whether it can be checked before authentication: all its parts are early.
    pub fn is_early(&self) -> bool {
        self.per.iter().all(|per| per.is_early())
    }
}

/// One part of a key with its value. `Absent` makes a caller without that property share one bucket per limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Whom one charge counts: the limit's name and its parts. Hashed, never stored as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey<'a> {
    /// Name of the limit.
    pub limit: &'a str,
    /// Its parts in the limit's order.
    pub parts: Vec<KeyPart<'a>>,
}

/// One limit to be charged for one request.
#[derive(Clone, Debug)]
pub struct Charge<'a> {
    /// Whom it counts.
    pub key: LimitKey<'a>,
    /// Its windows.
    pub windows: &'a [Window],
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
