//! Connections to upstreams for tunnels, whose answer is looked at one step later than it could be.
//!
//! pingora 0.9 ends a tunnel that has just begun if it sees the 101 before the end of the request's own, empty body: it takes
//! that end for the tunnel's. Where the upstream is quick and this machine busy, both wait to be seen, and chance decides. A
//! read that lets everybody else go first, once after each write, leaves nothing to chance.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
};

use async_trait::async_trait;
use pingora::{
    Error, ErrorType,
    connectors::l4::Connect,
    protocols::l4::{
        ext::set_tcp_keepalive,
        socket::SocketAddr,
        stream::Stream,
        virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// How such connections are made; one for all of them.
pub(super) static UNHURRIED: LazyLock<Arc<dyn Connect + Send + Sync>> =
    LazyLock::new(|| Arc::new(Unhurried));

/// Tells their connections from those of ordinary requests, which pingora must not use for a tunnel.
pub(super) const GROUP: u64 = 1 << 63;

#[derive(Debug)]
struct Unhurried;

#[async_trait]
impl Connect for Unhurried {
    async fn connect(&self, address: &SocketAddr) -> pingora::Result<Stream> {
        let socket: Box<dyn VirtualSocket> = match address {
            SocketAddr::Inet(address) => {
                Box::new(Later::new(TcpStream::connect(address).await.map_err(failed)?))
            }
            SocketAddr::Unix(address) => {
                let path = address.as_pathname().ok_or_else(|| Error::new(ErrorType::BindError))?;
                Box::new(Later::new(UnixStream::connect(path).await.map_err(failed)?))
            }
        };
        Ok(VirtualSocketStream::new(socket).into())
    }
}

fn failed(error: io::Error) -> Box<Error> {
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ErrorType::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
        io::ErrorKind::AddrNotAvailable => ErrorType::BindError,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            ErrorType::ConnectNoRoute
        }
        _ => ErrorType::ConnectError,
    };
    Error::because(kind, "connecting for a tunnel", error)
}

/// A socket whose first read after a write steps back once.
struct Later<S> {
    socket: S,
    has_written: bool,
}

impl<S> Later<S> {
    fn new(socket: S) -> Self {
        Self { socket, has_written: false }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.has_written |= matches!(written, Poll::Ready(Ok(1..)));
        written
    }
}

impl<S> fmt::Debug for Later<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Later<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.has_written) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Later<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, from);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, from);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl VirtualSocket for Later<TcpStream> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.socket.set_nodelay(true),
            VirtualSockOpt::KeepAlive(how) => {
                set_tcp_keepalive(&self.socket, &how).map_err(io::Error::other)
            }
            // The list may grow; what we do not know we were not asked for.
            _ => Ok(()),
        }
    }
}

impl VirtualSocket for Later<UnixStream> {
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_wrote_reads_only_after_everybody_else_had_a_turn() {
        let (own, mut other) = UnixStream::pair().unwrap();
        let mut own = Later::new(own);
        let mut into = [0; 1];
        for _ in 0..100 {
            own.write_all(b"?").await.unwrap();
            other.read_exact(&mut into).await.unwrap();
            other.write_all(b"!").await.unwrap();
            own.socket.readable().await.unwrap();
            // Without the step back chance would choose.
            let first = tokio::select! {
                _ = own.read_exact(&mut into) => "the answer",
                () = std::future::ready(()) => "what was there before",
            };
            assert_eq!(first, "what was there before");
            own.read_exact(&mut into).await.unwrap();
            assert_eq!(&into, b"!");
        }
    }
}
