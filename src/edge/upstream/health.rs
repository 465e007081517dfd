//! Active health checks: one plain HTTP request, of which only the status line counts.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::node::{Address, Node};
use crate::edge::settings::HealthCheck;

/// A status line is shorter than this, or it is none.
const MAX_LINE: usize = 1024;

/// Whether the node answers with a 2xx or 3xx in time.
pub(super) async fn probe(node: &Node, check: &HealthCheck) -> bool {
    let asked = async {
        match node.address() {
            Address::Tcp(address) => {
                let tcp = TcpStream::connect(address).await?;
                match node.secure() {
                    Some(secure) => of_version(node, secure.with(tcp).await?, check).await,
                    None => of_version(node, tcp, check).await,
                }
            }
            Address::Unix(path) => of_version(node, UnixStream::connect(path).await?, check).await,
        }
    };
    let answer: Result<io::Result<u16>, _> = tokio::time::timeout(check.timeout, asked).await;
    matches!(answer, Ok(Ok(200..=399)))
}

async fn of_version(
    node: &Node,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    check: &HealthCheck,
) -> io::Result<u16> {
    if node.is_http2() {
        ask_http2(stream, node, check).await
    } else {
        ask(stream, &check.path).await
    }
}

async fn ask_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    node: &Node,
    check: &HealthCheck,
) -> io::Result<u16> {
    let (requests, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    let (scheme, host) = match node.secure() {
        Some(secure) => ("https", secure.name()),
        None => ("http", "health"),
    };
    let request = http::Request::get(format!("{scheme}://{host}{}", check.path))
        .header(http::header::USER_AGENT, "portcullis-health")
        .body(())
        .map_err(io::Error::other)?;
    let asked = async {
        let mut requests = requests.ready().await?;
        let (reply, _) = requests.send_request(request, true)?;
        reply.await
    };
    tokio::select! {
        reply = asked => Ok(reply.map_err(io::Error::other)?.status().as_u16()),
        _ = connection => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: health\r\nUser-Agent: portcullis-health\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut seen = Vec::with_capacity(MAX_LINE);
    while !seen.contains(&b'\n') && seen.len() < MAX_LINE {
        if stream.read_buf(&mut seen).await? == 0 {
            break;
        }
    }
    status(&seen).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The code of `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let code = rest.get(2..5)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_line_has_a_status() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status(b"HTTP/1.0 500\r\n"), Some(500));
        assert_eq!(status(b"SSH-2.0-x\r\n"), None);
        assert_eq!(status(b"HTTP/1.1"), None);
    }
}
