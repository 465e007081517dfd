//! What runs for proven callers, by what their permission hangs on.
//!
//! A request is decided once, but a WebSocket or a download goes on for hours: everything that runs under a credential
//! stands here, so that it ends when the credential does ([`warden`]). Every request pays for that, so an entry is two
//! pointers and a few words in one of several tables, and nothing is sorted: who looks for something looks at all of them.

mod warden;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use slab::Slab;

use super::{conn::Conn, ctx::Admitted};
use crate::{
    model::{AuthMethod, Principal, Timestamp},
    telemetry::metrics::{OpenStreams, StreamKind},
};

pub(super) use self::warden::run;

/// Requests come on many threads at once.
const SHARDS: usize = 16;
/// A table that is empty again keeps so much room.
const ROOM: usize = 64;
/// An ordinary answer that takes longer is shown among the open streams.
const LONG: Duration = Duration::from_secs(1);

/// Everything that runs under a credential.
pub(super) struct Streams {
    shards: [Mutex<Slab<Entry>>; SHARDS],
    /// Counts up with the news.
    age: AtomicU64,
}

struct Entry {
    open: Open,
    kind: StreamKind,
    since: Instant,
    /// Something changed while it was admitted: it may have been decided before.
    unsure: bool,
}

/// Something that runs, and what it hangs on.
#[derive(Clone)]
pub(super) struct Open {
    conn: Arc<Conn>,
    request: u32,
    who: Arc<Principal>,
    /// Where it came from.
    address: IpAddr,
    /// The end of the credential, with how much longer it is good here.
    until: Option<Timestamp>,
    leniency: Duration,
}

impl Open {
    /// A request that may go upstream; `None` where nobody was proven.
    pub(super) fn of(conn: &Arc<Conn>, admitted: &Admitted, address: IpAddr) -> Option<Self> {
        let who = admitted.permit.principal()?;
        let route = &admitted.route.route;
        let mut leniency = route.stream_grace;
        let end = match who.method {
            AuthMethod::ClientCert => {
                let shown = conn.tls.as_ref().and_then(|tls| tls.certificate.as_ref());
                Some(shown.map_or(Timestamp(0), |shown| shown.not_after))
            }
            AuthMethod::Jwt | AuthMethod::Agent => {
                let own = || route.mount.tokens.as_ref().map_or(Duration::ZERO, |own| own.leeway);
                leniency += who.issuer.as_ref().map_or_else(own, |issuer| issuer.leeway);
                who.expires_at
            }
            AuthMethod::ApiKey | AuthMethod::Session => who.expires_at,
        };
        Some(Self {
            conn: Arc::clone(conn),
            request: conn.opens(),
            who: Arc::clone(who),
            address,
            until: end.map(|end| end + leniency),
            leniency,
        })
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|end| now >= end)
    }
}

/// The place of an entry.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    shard: usize,
    key: usize,
}

/// One that is to be looked at.
struct Found {
    slot: Slot,
    open: Open,
    kind: StreamKind,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), age: AtomicU64::new(0) }
    }

    /// How many news there were; taken before a request is decided.
    pub(super) fn age(&self) -> u64 {
        self.age.load(SeqCst)
    }

    /// Something begins to run that was decided at this age.
    pub(super) fn enter(&self, open: Open, since: Instant, age: u64) -> Slot {
        // Connections lie in different lines of the memory.
        let shard = (Arc::as_ptr(&open.conn).addr() >> 7) % SHARDS;
        let mut entries = self.shard(shard);
        // Asked for under the lock: whoever has made it older since will look at this table, or has done so.
        let unsure = self.age() != age;
        let entry = Entry { open, kind: StreamKind::Transfer, since, unsure };
        Slot { shard, key: entries.insert(entry) }
    }

    /// The answer has begun, and is of this kind.
    pub(super) fn becomes(&self, slot: Slot, kind: StreamKind) {
        if let Some(entry) = self.shard(slot.shard).get_mut(slot.key) {
            entry.kind = kind;
        }
    }

    /// The end of its credential was moved since it began.
    fn moves(&self, found: &Found) {
        let Found { slot, open, .. } = found;
        let same = |own: &Open| Arc::ptr_eq(&own.conn, &open.conn) && own.request == open.request;
        let mut entries = self.shard(slot.shard);
        if let Some(entry) = entries.get_mut(slot.key).filter(|entry| same(&entry.open)) {
            entry.open.until = open.until;
        }
    }

    /// It is over.
    pub(super) fn leave(&self, slot: Slot) {
        let left = self.shard(slot.shard).try_remove(slot.key);
        if let Some(entry) = left {
            entry.open.conn.closes();
        }
    }

    /// From now on whatever is decided knows the news.
    fn grow_older(&self) {
        self.age.fetch_add(1, SeqCst);
    }

    /// Those that `wanted` picks, or that are over, or were not sure. Counts all of them by the way.
    fn pick(
        &self,
        now: Timestamp,
        moment: Instant,
        wanted: impl Fn(&Principal) -> bool,
    ) -> (Vec<Found>, OpenStreams) {
        let (mut picked, mut counts) = (Vec::new(), OpenStreams::default());
        for shard in 0..SHARDS {
            let mut entries = self.shard(shard);
            for (key, entry) in entries.iter_mut() {
                let long = moment.saturating_duration_since(entry.since) >= LONG;
                if entry.kind != StreamKind::Transfer || long {
                    counts.count(entry.kind);
                }
                let unsure = std::mem::take(&mut entry.unsure);
                let open = &entry.open;
                if (unsure || open.is_over(now) || wanted(&open.who)) && !open.conn.is_ended() {
                    let (slot, kind) = (Slot { shard, key }, entry.kind);
                    picked.push(Found { slot, open: open.clone(), kind });
                }
            }
            if entries.is_empty() && entries.capacity() > ROOM {
                // What a burst took is given back.
                *entries = Slab::with_capacity(ROOM);
            }
        }
        (picked, counts)
    }

    // A poisoned lock is entered all the same: no change above leaves half of it.
    fn shard(&self, at: usize) -> MutexGuard<'_, Slab<Entry>> {
        let shard = self.shards.get(at).unwrap_or(&self.shards[0]);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
