//! The accept loop: counts connections, wraps each in its [`Guard`] and hands it to pingora.
//!
//! Ours instead of pingora's `Server`, whose main thread sleeps the whole grace period at stop, which tries a taken
//! address for half a minute, and which cannot say what port it got.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pingora::{
    apps::ServerApp, http::ResponseHeader, protocols::Stream, protocols::raw_connect::ProxyDigest,
    proxy::HttpProxy,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{Gateway, Shared, conn::Conn, guard::Guard};

/// Connections of one address; listed proxies count only toward the total.
const PER_ADDRESS: usize = 256;
/// Pause when the process is out of descriptors: accepting again at once would only spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// One public listener at work.
pub(super) struct Acceptor {
    pub(super) shared: Arc<Shared>,
    pub(super) proxy: Arc<HttpProxy<Gateway>>,
    pub(super) listener: TcpListener,
    pub(super) name: Arc<str>,
    /// What pingora is told: true once no further request may come on a connection.
    pub(super) closing: watch::Receiver<bool>,
}

impl Acceptor {
    /// Accepts until `stop`, takes what already waits in the queue, and closes the socket.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let stopped = async move {
            // A sender that is gone will never let us go on: stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, peer)) => self.welcome(tcp, peer),
                    Err(error) => {
                        tracing::warn!(event = "accept", listener = %self.name, %error);
                        tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    }
                },
            }
        }
        // The kernel has completed these handshakes: closing now would reset them.
        while let Ok(Ok((tcp, peer))) =
            tokio::time::timeout(Duration::ZERO, self.listener.accept()).await
        {
            self.welcome(tcp, peer);
        }
    }

    fn welcome(&self, tcp: TcpStream, peer: SocketAddr) {
        let trusted = self.shared.live().snapshot.trusts(peer.ip());
        let Some(permit) = self.shared.connections.enter(peer.ip(), trusted) else {
            self.shared.parts.metrics.connection_refused();
            tracing::debug!(event = "connection_refused", listener = %self.name, %peer);
            return;
        };
        // Only a latency matter; a socket that refuses it is about to fail anyway.
        let _ = tcp.set_nodelay(true);
        let conn = Conn::new(peer, Arc::clone(&self.name));
        let permit = Counted::new(&self.shared, &conn, permit);
        let Some(digest) = digest_of(&conn) else { return };
        let stream: Stream = Box::new(Guard::new(tcp, conn, digest, permit));
        let proxy = Arc::clone(&self.proxy);
        let closing = self.closing.clone();
        tokio::spawn(async move {
            let mut next = Some(stream);
            while let Some(stream) = next {
                next = proxy.process_new(stream, &closing).await;
            }
        });
    }
}

/// pingora carries this from the stream to every request on it, which is how hooks find the [`Conn`].
fn digest_of(conn: &Arc<Conn>) -> Option<Arc<ProxyDigest>> {
    let nothing = ResponseHeader::build(http::StatusCode::OK, Some(0)).ok()?;
    Some(Arc::new(ProxyDigest::new(Box::new(nothing), Some(Box::new(Arc::clone(conn))))))
}

/// Open connections by address and in all.
pub(super) struct Connections {
    cap: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Connections {
    /// A table for 90 % of the descriptors this process may have.
    pub(super) fn new() -> Arc<Self> {
        Self::with_cap(descriptor_limit().saturating_mul(9) / 10)
    }

    fn with_cap(cap: usize) -> Arc<Self> {
        Arc::new(Self { cap, open: Mutex::default() })
    }

    /// A place for one more connection, unless the address or the process has its share.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, trusted: bool) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.cap {
            return None;
        }
        let counted = (!trusted).then(|| crate::pipeline::quota::counted_address(address));
        if let Some(address) = counted {
            let own = open.by_address.entry(address).or_default();
            if *own >= PER_ADDRESS {
                return None;
            }
            *own += 1;
        }
        open.total += 1;
        Some(Place { table: Arc::clone(self), counted })
    }

    /// Connections open now.
    pub(super) fn total(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

/// One open connection's place in the table.
pub(super) struct Place {
    table: Arc<Connections>,
    counted: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.table.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        let Some(address) = self.counted else { return };
        if let Some(own) = open.by_address.get_mut(&address) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

/// A place that is also shown as a metric.
struct Counted {
    shared: Arc<Shared>,
    conn: Arc<Conn>,
    _place: Place,
}

impl Counted {
    fn new(shared: &Arc<Shared>, conn: &Arc<Conn>, place: Place) -> Self {
        shared.parts.metrics.connection_opened();
        Self { shared: Arc::clone(shared), conn: Arc::clone(conn), _place: place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let metrics = &self.shared.parts.metrics;
        metrics.connection_closed();
        if self.conn.was_unseen() {
            metrics.head_refused();
        }
    }
}

/// The soft limit of open files; a modest guess where the system does not tell.
fn descriptor_limit() -> usize {
    const GUESS: usize = 1024;
    let Ok(limits) = std::fs::read_to_string("/proc/self/limits") else { return GUESS };
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(GUESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    // requirement: 23
    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let table = Connections::with_cap(10_000);
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let mut held: Vec<_> =
            (0..PER_ADDRESS).map(|_| table.enter(address, false).unwrap()).collect();
        assert!(table.enter(address, false).is_none());
        assert!(table.enter("192.0.2.8".parse().unwrap(), false).is_some());
        assert!(table.enter(address, true).is_some(), "listed proxies count only toward the total");
        held.pop();
        assert!(table.enter(address, false).is_some());
        drop(held);
        assert_eq!(table.total(), 0);
    }

    #[test]
    fn the_total_is_bounded_for_everybody() {
        let table = Connections::with_cap(1);
        let held = table.enter("192.0.2.7".parse().unwrap(), true);
        assert!(held.is_some());
        assert!(table.enter("192.0.2.8".parse().unwrap(), true).is_none());
    }
}
