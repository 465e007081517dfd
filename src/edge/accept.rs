//! The accept loop: counts connections, shakes hands, wraps each in its [`Guard`] and hands it to who speaks its protocol.
//!
//! Ours instead of pingora's `Server`, whose main thread sleeps the whole grace period at stop, which tries a taken
//! address for half a minute, and which cannot say what port it got.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use pingora::{
    apps::ServerApp, http::ResponseHeader, prelude::timeout, protocols::Stream,
    protocols::raw_connect::ProxyDigest,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Instant,
};

use super::{
    ForwardAuth, Shared,
    conn::Conn,
    connections::Place,
    guard::{Guard, Wire},
    http2::{self, Door},
    proxy_protocol::{self, ProxyProtocol},
    tls::{Handshake, TlsFacts},
};
use crate::telemetry::metrics::{Cut, Turned};

/// Until more of the first letters is looked for, where they came one by one.
const PEEK_AGAIN: Duration = Duration::from_millis(10);
/// Connections that are taken before others come to their turn: hundreds that come at the same moment must not stand
/// between a request and its answer.
const AT_ONCE: u32 = 8;
/// If everybody else takes longer than that, there is more to do than the threads can do at once.
const CONGESTED: Duration = Duration::from_millis(1);
/// Connections wait no longer than that for the next ones to be taken.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// Pause when the process is out of descriptors: accepting again at once would only spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// One public listener at work.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) name: Arc<str>,
    pub(super) proxy_protocol: ProxyProtocol,
    /// Proxies ask here; `None`: clients come.
    pub(super) front: Option<Arc<ForwardAuth>>,
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
        let mut in_a_row = 0;
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, peer)) => {
                        self.welcome(tcp, peer);
                        in_a_row += 1;
                    }
                    Err(error) => {
                        self.door.shared.parts.metrics.connection_refused(Turned::Descriptors);
                        tracing::warn!(event = "accept", listener = %self.name, %error);
                        tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    }
                },
            }
            if in_a_row == AT_ONCE {
                in_a_row = 0;
                step_aside().await;
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
        let trusted = match &self.front {
            Some(front) => front.believes(peer.ip()),
            None => shared.live().snapshot.trusts(peer.ip()),
        };
        let place = match self.proxy_protocol {
            _ if self.front.is_some() && !trusted => Err(Turned::PeerUnlisted),
            ProxyProtocol::Required if !trusted => Err(Turned::ProxyUnlisted),
            _ => shared.connections.enter(peer.ip(), trusted, shared.outward()),
        };
        let place = match place {
            Ok(place) => Counted::new(shared, place),
            Err(why) => return turn_away(shared, &self.name, peer, why),
        };
        // Only a latency matter; a socket that refuses it is about to fail anyway.
        let _ = tcp.set_nodelay(true);
        let served = Served {
            since: Instant::now(),
            name: Arc::clone(&self.name),
            front: self.front.clone(),
            tls: self.tls.clone(),
            prior_knowledge: self.prior_knowledge,
            door: Arc::clone(&self.door),
        };
        match self.proxy_protocol {
            ProxyProtocol::Off => tokio::spawn(served.serve(tcp, peer, place)),
            ProxyProtocol::Required => tokio::spawn(served.behind_proxy(tcp, peer, place)),
        };
    }
}

/// Lets whoever else has something to do come first. Where that takes long the cores are short, and the next connections
/// wait for as long again.
async fn step_aside() {
    let began = Instant::now();
    tokio::task::yield_now().await;
    let took = began.elapsed();
    if took > CONGESTED {
        tokio::time::sleep(took.min(LONGEST_PAUSE)).await;
    }
}

fn turn_away(shared: &Shared, name: &str, peer: SocketAddr, why: Turned) {
    shared.parts.metrics.connection_refused(why);
    tracing::debug!(event = "connection_refused", listener = name, %peer, reason = why.as_str());
}

/// What serves a connection once it is accepted.
struct Served {
    since: Instant,
    name: Arc<str>,
    front: Option<Arc<ForwardAuth>>,
    tls: Option<Arc<Handshake>>,
    prior_knowledge: bool,
    door: Arc<Door>,
}

impl Served {
    /// Reads who opened the connection at the proxy, and counts it for that address.
    async fn behind_proxy(self, mut tcp: TcpStream, peer: SocketAddr, mut place: Counted) {
        let shared = &self.door.shared;
        let told = timeout(self.patience(), proxy_protocol::client(&mut tcp)).await;
        let Ok(Ok(client)) = told else {
            return turn_away(shared, &self.name, peer, Turned::ProxyHeader);
        };
        let peer = match client {
            None => peer,
            Some(client) => {
                let trusted = shared.live().snapshot.trusts(client.ip());
                if let Err(why) = place.place.attribute(client.ip(), trusted) {
                    return turn_away(shared, &self.name, client, why);
                }
                client
            }
        };
        self.serve(tcp, peer, place).await;
    }

    async fn serve(self, tcp: TcpStream, peer: SocketAddr, place: Counted) {
        // In boxes: what serves plain HTTP/1 must not carry the space of the others.
        match (self.tls.clone(), self.prior_knowledge) {
            (None, false) => self.http1(tcp, self.conn(peer, None), place).await,
            (None, true) => Box::pin(self.of_either_version(tcp, peer, place)).await,
            (Some(tls), _) => Box::pin(self.with_tls(&tls, tcp, peer, place)).await,
        }
    }

    async fn of_either_version(&self, tcp: TcpStream, peer: SocketAddr, place: Counted) {
        let begun = timeout(self.patience(), begins_http2(&tcp)).await;
        // Who says nothing for so long is cut off; so is who is gone.
        let Ok(Ok(http2)) = begun else {
            if begun.is_err() {
                self.door.shared.parts.metrics.connection_cut(Cut::HeadTime);
            }
            return;
        };
        self.speak(http2, tcp, self.conn(peer, None), place).await;
    }

    async fn with_tls(&self, tls: &Handshake, tcp: TcpStream, peer: SocketAddr, place: Counted) {
        let shaken = Box::pin(tls.with(tcp, self.patience())).await;
        let (stream, facts): (_, TlsFacts) = match shaken {
            Ok(done) => done,
            // Who looks whether somebody listens, and who goes away, fails at nothing.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return,
            Err(error) => {
                let reason =
                    if error.kind() == io::ErrorKind::TimedOut { "timeout" } else { "failed" };
                self.door.shared.parts.metrics.handshake_failed(&self.name, reason);
                tracing::debug!(event = "handshake_failed", listener = %self.name, %peer, %error);
                return;
            }
        };
        let http2 = facts.http2;
        self.speak(http2, stream, self.conn(peer, Some(Arc::new(facts))), place).await;
    }

    async fn speak(&self, http2: bool, wire: impl Wire, conn: Arc<Conn>, place: Counted) {
        if http2 {
            http2::serve(wire, conn, place, &self.door).await;
        } else {
            self.http1(wire, conn, place).await;
        }
    }

    /// Hands a connection to pingora, which knows HTTP/1.
    async fn http1(&self, wire: impl Wire, conn: Arc<Conn>, mut place: Counted) {
        let Some(digest) = digest_of(&conn) else { return };
        place.conn = Some(Arc::clone(&conn));
        let mut next: Option<Stream> = Some(Box::new(Guard::new(wire, conn, digest, place)));
        while let Some(stream) = next {
            next = self.door.proxy.process_new(stream, &self.door.closing).await;
        }
    }

    fn conn(&self, peer: SocketAddr, tls: Option<Arc<TlsFacts>>) -> Arc<Conn> {
        let shared = &self.door.shared;
        let (limits, metrics) = (Arc::clone(&shared.settings.limits), shared.parts.metrics.clone());
        let name = Arc::clone(&self.name);
        Conn::new(peer, name, limits, metrics, tls, self.front.clone(), self.patience())
    }

    /// What is left of the time in which a new connection must have brought the head of a request.
    fn patience(&self) -> Duration {
        self.door.shared.settings.limits.head_timeout.saturating_sub(self.since.elapsed())
    }
}

/// Whether a client begins with HTTP/2 (RFC 9113 section 3.3). No request of HTTP/1 begins with these letters; the rest of
/// what a client of HTTP/2 must say first is looked at by who speaks it.
async fn begins_http2(tcp: &TcpStream) -> io::Result<bool> {
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

/// A place that is also shown as a metric.
pub(super) struct Counted {
    shared: Arc<Shared>,
    /// Once anything is read from it.
    conn: Option<Arc<Conn>>,
    place: Place,
}

impl Counted {
    fn new(shared: &Arc<Shared>, place: Place) -> Self {
        shared.parts.metrics.connection_opened();
        Self { shared: Arc::clone(shared), conn: None, place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let metrics = &self.shared.parts.metrics;
        metrics.connection_closed();
        if self.conn.as_ref().is_some_and(|conn| conn.was_unseen()) {
            metrics.head_refused();
        }
    }
}
