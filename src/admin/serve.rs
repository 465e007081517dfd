//! Answers on the open doors until told to stop, then lets running requests finish.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use super::{
    guard::guarded,
    listen::{Listeners, Socket},
    settings::Settings,
};

/// From the first byte of a head to its end, and idle time between requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections per operator door; further ones wait in the kernel's queue.
const OPERATOR_CONNECTIONS: usize = 64;
/// Connections of our own edge.
const IDENTITY_CONNECTIONS: usize = 1024;
/// Connections of edge nodes, and how long one may be idle.
const LINK_CONNECTIONS: usize = 4096;
const LINK_IDLE: Duration = Duration::from_secs(120);
/// Pause after a failed accept (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is true, then at most `grace` longer.
pub async fn serve(
    listeners: Listeners,
    settings: &Settings,
    operator: Router,
    contract: Router,
    stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let Listeners { tcp, operator: operator_socket, identity } = listeners;
    let mut doors = JoinSet::new();
    if let Some(listener) = tcp {
        let router = guarded(operator.clone(), settings);
        doors.spawn(serve_tcp(listener, Door::new(router, true, stop.clone(), grace)));
    }
    doors.spawn(serve_socket(operator_socket, Door::new(operator, true, stop.clone(), grace)));
    // The edge keeps idle connections for reuse: a time-out of ours would race with its next request.
    if let Some(identity) = identity {
        doors.spawn(serve_socket(identity, Door::new(contract, false, stop, grace)));
    }
    while doors.join_next().await.is_some() {}
}

/// Answers edge nodes at the link until told to stop. `open` shakes hands, and turns away whoever is no node.
pub async fn serve_link<S, F>(
    listener: TcpListener,
    open: impl Fn(TcpStream) -> F + Send,
    router: Router,
    stop: watch::Receiver<bool>,
    grace: Duration,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = std::io::Result<S>> + Send + 'static,
{
    let mut door = Door::new(router, false, stop, grace);
    // Longer than edge nodes keep idle connections; one that has vanished without a word must not keep its place.
    door.http.header_read_timeout(LINK_IDLE);
    door.permits = Arc::new(Semaphore::new(LINK_CONNECTIONS));
    while let Some(permit) = door.place().await {
        let accepted = tokio::select! {
            () = stopped(&mut door.stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let opening = open(stream);
                door.connection_of(permit, async move {
                    opening
                        .await
                        .inspect_err(|error| {
                            tracing::warn!(event = "link_refused", %peer, %error);
                        })
                        .ok()
                });
            }
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    door.drain().await;
}

/// What every connection of one door shares.
struct Door {
    router: Router,
    http: http1::Builder,
    permits: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    grace: Duration,
    running: JoinSet<()>,
}

impl Door {
    fn new(router: Router, operator: bool, stop: watch::Receiver<bool>, grace: Duration) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).max_buf_size(64 * 1024);
        http.header_read_timeout(operator.then_some(HEADER_TIMEOUT));
        let connections = if operator { OPERATOR_CONNECTIONS } else { IDENTITY_CONNECTIONS };
        let permits = Arc::new(Semaphore::new(connections));
        Self { router, http, permits, stop, grace, running: JoinSet::new() }
    }

    /// A place for one more connection; `None`: told to stop.
    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        while self.running.try_join_next().is_some() {}
        tokio::select! {
            () = stopped(&mut self.stop) => None,
            // The semaphore is never closed.
            permit = Arc::clone(&self.permits).acquire_owned() => permit.ok(),
        }
    }

    fn connection<S>(&mut self, stream: S, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.connection_of(permit, async { Some(stream) });
    }

    /// Of a stream that is still being opened.
    fn connection_of<S>(
        &mut self,
        permit: OwnedSemaphorePermit,
        opening: impl Future<Output = Option<S>> + Send + 'static,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = TowerToHyperService::new(self.router.clone());
        let (http, mut stop) = (self.http.clone(), self.stop.clone());
        self.running.spawn(async move {
            let _permit = permit;
            let Some(stream) = opening.await else { return };
            let connection = http.serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(event = "internal_connection_ended", %error);
            }
        });
    }

    async fn drain(mut self) {
        let rest = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace, rest).await.is_err() {
            tracing::warn!(event = "internal_requests_cut");
        }
    }
}

async fn serve_tcp(listener: TcpListener, mut door: Door) {
    while let Some(permit) = door.place().await {
        let accepted = tokio::select! {
            () = stopped(&mut door.stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => door.connection(stream, permit),
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    door.drain().await;
}

async fn serve_socket(socket: Socket, mut door: Door) {
    while let Some(permit) = door.place().await {
        let accepted = tokio::select! {
            () = stopped(&mut door.stop) => break,
            accepted = socket.listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match stream.peer_cred() {
                Ok(peer) if peer.uid() == socket.owner || peer.uid() == 0 => {
                    door.connection(stream, permit);
                }
                _ => tracing::warn!(event = "socket_peer_refused"),
            },
            Err(error) => pause(&error).await,
        }
    }
    drop(socket);
    door.drain().await;
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(event = "accept_failed", %error);
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Until told to stop, or until nobody is left who could tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
