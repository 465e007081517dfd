//! The accept loop: counts connections, shakes hands, wraps each in its [`Guard`] and hands it to who speaks its protocol.
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
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    Shared,
    conn::Conn,
    guard::{Guard, Wire},
    http2::{self, Door},
    tls::{Handshake, TlsFacts},
};

/// Connections of one address; listed proxies count only toward the total.
const PER_ADDRESS: usize = 256;
/// How long a client may be silent before it is known which version it speaks.
const FIRST_BYTES: Duration = Duration::from_secs(10);
/// Until more of the first letters is looked for, where they came one by one.
const PEEK_AGAIN: Duration = Duration::from_millis(10);
/// Pause when the process is out of descriptors: accepting again at once would only spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// One public listener at work.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) name: Arc<str>,
    /// `None`: plain HTTP.
    pub(super) tls: Option<Arc<Handshake>>,
    /// Without TLS: whether a client may begin with HTTP/2.
    pub(super) prior_knowledge: bool,
    pub(super) door: Arc<Door>,
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
        let shared = &self.door.shared;
        let trusted = shared.live().snapshot.trusts(peer.ip());
        let Some(permit) = shared.connections.enter(peer.ip(), trusted) else {
            shared.parts.metrics.connection_refused();
            tracing::debug!(event = "connection_refused", listener = %self.name, %peer);
            return;
        };
        // Only a latency matter; a socket that refuses it is about to fail anyway.
        let _ = tcp.set_nodelay(true);
        let client = Client {
            tcp,
            peer,
            listener: Arc::clone(&self.name),
            permit: Counted::new(shared, permit),
        };
        let door = Arc::clone(&self.door);
        match &self.tls {
            Some(tls) => {
                let tls = Arc::clone(tls);
                tokio::spawn(async move { client.with_tls(&tls, door).await });
            }
            None if self.prior_knowledge => {
                tokio::spawn(async move { client.of_either_version(door).await });
            }
            None => {
                tokio::spawn(async move { client.plain(door).await });
            }
        }
    }
}

/// A connection that has its place.
struct Client {
    tcp: TcpStream,
    peer: SocketAddr,
    listener: Arc<str>,
    permit: Counted,
}

impl Client {
    async fn plain(self, door: Arc<Door>) {
        let conn = Conn::new(self.peer, self.listener, None);
        speak_http1(self.tcp, conn, self.permit, &door).await;
    }

    async fn of_either_version(self, door: Arc<Door>) {
        let begun = pingora::prelude::timeout(FIRST_BYTES, begins_http2(&self.tcp)).await;
        // Who says nothing for so long is cut off; so is who is gone.
        let Ok(Ok(http2)) = begun else { return };
        let conn = Conn::new(self.peer, self.listener, None);
        if http2 {
            http2::serve(self.tcp, conn, self.permit, &door).await;
        } else {
            speak_http1(self.tcp, conn, self.permit, &door).await;
        }
    }

    async fn with_tls(self, tls: &Handshake, door: Arc<Door>) {
        let shaken = Box::pin(tls.with(self.tcp)).await;
        let (stream, facts): (_, TlsFacts) = match shaken {
            Ok(done) => done,
            // Who looks whether somebody listens, and who goes away, fails at nothing.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return,
            Err(error) => {
                let late = error.kind() == std::io::ErrorKind::TimedOut;
                let reason = if late { "timeout" } else { "failed" };
                door.shared.parts.metrics.handshake_failed(&self.listener, reason);
                let (listener, peer) = (&self.listener, self.peer);
                tracing::debug!(event = "handshake_failed", %listener, %peer, %error);
                return;
            }
        };
        let http2 = facts.http2;
        let conn = Conn::new(self.peer, self.listener, Some(Arc::new(facts)));
        if http2 {
            http2::serve(stream, conn, self.permit, &door).await;
        } else {
            speak_http1(stream, conn, self.permit, &door).await;
        }
    }
}

/// Hands a connection to pingora, which knows HTTP/1.
async fn speak_http1(wire: impl Wire, conn: Arc<Conn>, permit: Counted, door: &Door) {
    let Some(digest) = digest_of(&conn) else { return };
    let stream: Stream = Box::new(Guard::new(wire, conn, digest, permit));
    let mut next = Some(stream);
    while let Some(stream) = next {
        next = door.proxy.process_new(stream, &door.closing).await;
    }
}

/// Whether a client begins with HTTP/2 (RFC 9113 section 3.3). No request of HTTP/1 begins with these letters; the rest of
/// what a client of HTTP/2 must say first is looked at by who speaks it.
async fn begins_http2(tcp: &TcpStream) -> std::io::Result<bool> {
    const LETTERS: &[u8] = b"PRI";
    let mut seen = [0; LETTERS.len()];
    loop {
        let count = tcp.peek(&mut seen).await?;
        let seen = seen.get(..count).unwrap_or_default();
        if count == LETTERS.len() || count == 0 || !LETTERS.starts_with(seen) {
            return Ok(seen == LETTERS);
        }
        pingora::prelude::sleep(PEEK_AGAIN).await;
    }
}

/// pingora carries this from the stream to every request on it, which is how hooks find the [`Conn`].
pub(super) fn digest_of(conn: &Arc<Conn>) -> Option<Arc<ProxyDigest>> {
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
pub(super) struct Counted {
    shared: Arc<Shared>,
    _place: Place,
}

impl Counted {
    fn new(shared: &Arc<Shared>, place: Place) -> Self {
        shared.parts.metrics.connection_opened();
        Self { shared: Arc::clone(shared), _place: place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.parts.metrics.connection_closed();
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
