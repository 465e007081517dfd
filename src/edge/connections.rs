//! Open client connections: by address, in all, and against the descriptors of the process.
//!
//! A request that is served may need a descriptor toward its upstream. So requests that go there count as well, and
//! a reserve stays free for kept upstream connections, the store and the internal plane: the operator must get in when
//! clients take everything.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{ClientLimits, descriptors};
use crate::{pipeline::quota::counted_address, telemetry::metrics::Turned};

/// The table of connections.
pub(super) struct Connections {
    limits: Arc<ClientLimits>,
    descriptors: usize,
    total: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Connections {
    pub(super) fn new(limits: Arc<ClientLimits>) -> Arc<Self> {
        Self::among(limits, descriptors::most())
    }

    fn among(limits: Arc<ClientLimits>, descriptors: usize) -> Arc<Self> {
        let by_address = Mutex::default();
        Arc::new(Self { limits, descriptors, total: AtomicUsize::new(0), by_address })
    }

    /// A place for one more connection, unless the address or the process has its share.
    pub(super) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        trusted: bool,
        outward: usize,
    ) -> Result<Place, Turned> {
        let before = self.total.fetch_add(1, Relaxed);
        // Given back when it is dropped, so also on the ways out below.
        let mut place = Place { table: Arc::clone(self), counted: None };
        if before >= self.limits.connections {
            return Err(Turned::Total);
        }
        if before + outward + self.limits.reserve >= self.descriptors {
            return Err(Turned::Descriptors);
        }
        place.attribute(address, trusted)?;
        Ok(place)
    }

    /// Whether so many requests leave no descriptor for one more upstream connection: half of the reserve is not theirs.
    pub(super) fn is_exhausted(&self, outward: usize) -> bool {
        self.total.load(Relaxed) + outward + self.limits.reserve / 2 >= self.descriptors
    }

    /// Connections open now.
    pub(super) fn total(&self) -> usize {
        self.total.load(Relaxed)
    }
}

/// One open connection's place in the table.
pub(super) struct Place {
    table: Arc<Connections>,
    counted: Option<IpAddr>,
}

impl Place {
    /// Counts it for this address instead of the one before. Listed proxies count only toward the total.
    pub(super) fn attribute(&mut self, address: IpAddr, trusted: bool) -> Result<(), Turned> {
        self.release();
        if trusted {
            return Ok(());
        }
        let address = counted_address(address);
        let mut open = self.table.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.entry(address).or_default();
        if *own >= self.table.limits.per_address {
            return Err(Turned::Address);
        }
        *own += 1;
        self.counted = Some(address);
        Ok(())
    }

    fn release(&mut self) {
        let Some(address) = self.counted.take() else { return };
        let mut open = self.table.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&address) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                open.remove(&address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.release();
        self.table.total.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(change: impl FnOnce(&mut ClientLimits)) -> Arc<Connections> {
        let mut limits =
            ClientLimits { connections: 10_000, reserve: 10, ..ClientLimits::default() };
        change(&mut limits);
        Connections::among(Arc::new(limits), 20_000)
    }

    fn why(entered: Result<Place, Turned>) -> Option<Turned> {
        entered.err()
    }

    // requirement: 23
    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let table = table(|_| {});
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let mut held: Vec<_> = (0..256).map(|_| table.enter(address, false, 0).unwrap()).collect();
        assert_eq!(why(table.enter(address, false, 0)), Some(Turned::Address));
        assert!(table.enter("192.0.2.8".parse().unwrap(), false, 0).is_ok());
        assert!(
            table.enter(address, true, 0).is_ok(),
            "listed proxies count only toward the total"
        );
        held.pop();
        assert!(table.enter(address, false, 0).is_ok());
        drop(held);
        assert_eq!(table.total(), 0);
        assert!(table.by_address.lock().unwrap().is_empty());
    }

    #[test]
    fn what_a_proxy_tells_is_what_counts() {
        let table = table(|limits| limits.per_address = 1);
        let (proxy, client) = ("10.0.0.1".parse().unwrap(), "192.0.2.7".parse().unwrap());
        let mut held: Vec<_> = (0..3).map(|_| table.enter(proxy, true, 0).unwrap()).collect();
        let told: Vec<_> = held.iter_mut().map(|place| place.attribute(client, false)).collect();
        assert_eq!(told, [Ok(()), Err(Turned::Address), Err(Turned::Address)]);
        assert_eq!(table.total(), 3);
    }

    // limit: 7
    #[test]
    fn the_total_is_bounded_for_everybody() {
        let table = table(|limits| limits.connections = 1);
        let held = table.enter("192.0.2.7".parse().unwrap(), true, 0);
        assert!(held.is_ok());
        assert_eq!(why(table.enter("192.0.2.8".parse().unwrap(), true, 0)), Some(Turned::Total));
        assert_eq!(table.total(), 1);
    }

    // limit: 7
    #[test]
    fn descriptors_for_upstreams_and_the_operator_stay_free() {
        let limits = ClientLimits { connections: 1000, reserve: 10, ..ClientLimits::default() };
        let table = Connections::among(Arc::new(limits), 20);
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let held: Vec<_> = (0..5).map(|_| table.enter(address, false, 0).unwrap()).collect();
        assert!(table.enter(address, false, 4).is_ok());
        assert_eq!(why(table.enter(address, false, 5)), Some(Turned::Descriptors));
        assert!(!table.is_exhausted(9));
        assert!(table.is_exhausted(10));
        drop(held);
        assert!(table.enter(address, false, 9).is_ok());
    }
}
