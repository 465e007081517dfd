//! A TCP link in front of any server, which a test makes slow or lets carry nothing.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{oneshot, watch},
};

/// How the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Well,
    /// Every piece takes so long in each direction.
    Slow(Duration),
    /// Takes everything and carries nothing until it is another: packets are lost and sent again.
    BlackHole,
}

/// A running link; gone when dropped, with its connections.
pub struct Link {
    pub address: SocketAddr,
    state: watch::Sender<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Link {
    /// A link to this address, on a thread of its own: what the test does besides must not slow it down.
    pub fn to(target: SocketAddr) -> Self {
        let state = watch::Sender::new(State::Well);
        let ((stop, stopped), (tell, told)) = (oneshot::channel(), std::sync::mpsc::channel());
        let own = state.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the link");
                tell.send(listener.local_addr().expect("bound")).expect("the starter waits");
                tokio::select! {
                    () = accept(listener, target, own) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the link starts");
        Link { address, state, stop: Some(stop), thread: Some(thread) }
    }

    pub fn is(&self, state: State) {
        self.state.send_replace(state);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: watch::Sender<State>) {
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        let state = state.subscribe();
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(target).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            // Whichever side ends first takes the other with it.
            tokio::select! {
                () = carry(near_in, far_out, state.clone()) => {}
                () = carry(far_in, near_out, state) => {}
            }
        });
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        let now = match state.wait_for(|state| *state != State::BlackHole).await {
            Ok(now) => *now,
            Err(_) => return,
        };
        if let State::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}
