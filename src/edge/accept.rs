//! The accept loop: counts connections, wraps each in its [`Guard`] and hands it to pingora.
//!
//! Ours instead of pingora's `Server`, whose main thread sleeps the whole grace period at stop, which tries a taken
//! address for half a minute, and which cannot say what port it got.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pingora::{
    apps::ServerApp, http::ResponseHeader, protocols::Stream, protocols::raw_connect::ProxyDigest,
    proxy::HttpProxy,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    Gateway, Shared,
    conn::Conn,
    connections::Place,
    guard::Guard,
    proxy_protocol::{self, ProxyProtocol},
};
use crate::telemetry::metrics::Turned;

/// Pause when the process is out of descriptors: accepting again at once would only spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// One public listener at work.
pub(super) struct Acceptor {
    pub(super) shared: Arc<Shared>,
    pub(super) proxy: Arc<HttpProxy<Gateway>>,
    pub(super) listener: TcpListener,
    pub(super) name: Arc<str>,
    pub(super) proxy_protocol: ProxyProtocol,
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
                        self.shared.parts.metrics.connection_refused(Turned::Descriptors);
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
        let shared = &self.shared;
        let trusted = shared.live().snapshot.trusts(peer.ip());
        let place = match self.proxy_protocol {
            ProxyProtocol::Required if !trusted => Err(Turned::ProxyUnlisted),
            _ => shared.connections.enter(peer.ip(), trusted, shared.in_flight()),
        };
        let place = match place {
            Ok(place) => Counted::new(shared, place),
            Err(why) => return turn_away(shared, &self.name, peer, why),
        };
        // Only a latency matter; a socket that refuses it is about to fail anyway.
        let _ = tcp.set_nodelay(true);
        let served = Served {
            shared: Arc::clone(shared),
            proxy: Arc::clone(&self.proxy),
            name: Arc::clone(&self.name),
            closing: self.closing.clone(),
        };
        match self.proxy_protocol {
            ProxyProtocol::Off => tokio::spawn(served.serve(tcp, peer, place)),
            ProxyProtocol::Required => tokio::spawn(served.behind_proxy(tcp, peer, place)),
        };
    }
}

fn turn_away(shared: &Shared, name: &str, peer: SocketAddr, why: Turned) {
    shared.parts.metrics.connection_refused(why);
    tracing::debug!(event = "connection_refused", listener = name, %peer, reason = why.as_str());
}

/// What serves a connection once it is accepted.
struct Served {
    shared: Arc<Shared>,
    proxy: Arc<HttpProxy<Gateway>>,
    name: Arc<str>,
    closing: watch::Receiver<bool>,
}

impl Served {
    /// Reads who opened the connection at the proxy, and counts it for that address.
    async fn behind_proxy(self, mut tcp: TcpStream, peer: SocketAddr, mut place: Counted) {
        let patience = self.shared.settings.limits.head_timeout;
        let told = tokio::time::timeout(patience, proxy_protocol::client(&mut tcp)).await;
        let Ok(Ok(client)) = told else {
            return turn_away(&self.shared, &self.name, peer, Turned::ProxyHeader);
        };
        let peer = match client {
            None => peer,
            Some(client) => {
                let trusted = self.shared.live().snapshot.trusts(client.ip());
                if let Err(why) = place.place.attribute(client.ip(), trusted) {
                    return turn_away(&self.shared, &self.name, client, why);
                }
                client
            }
        };
        self.serve(tcp, peer, place).await;
    }

    async fn serve(self, tcp: TcpStream, peer: SocketAddr, mut place: Counted) {
        let limits = Arc::clone(&self.shared.settings.limits);
        let metrics = self.shared.parts.metrics.clone();
        let conn = Conn::new(peer, self.name, limits, metrics);
        let Some(digest) = digest_of(&conn) else { return };
        place.conn = Some(Arc::clone(&conn));
        let mut next: Option<Stream> = Some(Box::new(Guard::new(tcp, conn, digest, place)));
        while let Some(stream) = next {
            next = self.proxy.process_new(stream, &self.closing).await;
        }
    }
}

/// pingora carries this from the stream to every request on it, which is how hooks find the [`Conn`].
fn digest_of(conn: &Arc<Conn>) -> Option<Arc<ProxyDigest>> {
    let nothing = ResponseHeader::build(http::StatusCode::OK, Some(0)).ok()?;
    Some(Arc::new(ProxyDigest::new(Box::new(nothing), Some(Box::new(Arc::clone(conn))))))
}

/// A place that is also shown as a metric.
struct Counted {
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
