//! Active health checks: one plain HTTP request, of which only the status line counts.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::node::Address;
use crate::edge::settings::HealthCheck;

/// A status line is shorter than this, or it is none.
const MAX_LINE: usize = 1024;

/// Whether the node answers with a 2xx or 3xx in time.
pub(super) async fn probe(address: &Address, check: &HealthCheck) -> bool {
    let asked = async {
        match address {
            Address::Tcp(address) => ask(TcpStream::connect(address).await?, &check.path).await,
            Address::Unix(path) => ask(UnixStream::connect(path).await?, &check.path).await,
        }
    };
    let answer: Result<io::Result<u16>, _> = tokio::time::timeout(check.timeout, asked).await;
    matches!(answer, Ok(Ok(200..=399)))
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
