//! The PROXY protocol of a listener that requires it (HAProxy's `proxy-protocol.txt`, versions 1 and 2): the first bytes
//! of a connection, before TLS and HTTP, say who opened it at the proxy.
//!
//! Not one byte behind the header is taken from the socket. What is no header ends the connection: a listener that also
//! took connections without one would let everybody choose an address.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// The first bytes of version 2; nothing in version 1 or in HTTP begins like that.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, with its end.
const LONGEST_V1: usize = 107;
/// Longest rest of a header of version 2, with what proxies add to the addresses. The format has room for 64 KiB.
const LONGEST_V2: usize = 4096;

/// Whether the connections of a listener begin with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// They begin with TLS or HTTP.
    #[default]
    Off,
    /// Each of them, and only listed proxies may connect.
    Required,
}

/// Reads the header. `Ok(None)`: the proxy speaks for itself, as in its health checks.
pub(super) async fn client(tcp: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let header = header(tcp).await?;
    let (parsed, length) =
        ProxyHeader::parse(&header, ParseConfig::default()).map_err(|_| invalid())?;
    if length != header.len() {
        return Err(invalid());
    }
    match parsed.proxied_address() {
        None => Ok(None),
        Some(found) if found.protocol == proxy_header::Protocol::Stream => {
            Ok(Some(canonical(found.source)))
        }
        Some(_) => Err(invalid()),
    }
}

/// The whole header, and nothing behind it.
async fn header(tcp: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut start = [0; SIGNATURE.len()];
    tcp.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return version_2(tcp, start).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(invalid());
    }
    version_1(tcp, start).await
}

async fn version_2(tcp: &mut TcpStream, start: [u8; 12]) -> io::Result<Vec<u8>> {
    let mut fixed = [0; 4];
    tcp.read_exact(&mut fixed).await?;
    let [_, _, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_V2 {
        return Err(invalid());
    }
    let mut rest = vec![0; length];
    tcp.read_exact(&mut rest).await?;
    Ok([&start[..], &fixed, &rest].concat())
}

/// A line of unknown length: looked at before it is taken.
async fn version_1(tcp: &mut TcpStream, start: [u8; 12]) -> io::Result<Vec<u8>> {
    let mut line = start.to_vec();
    while line.len() < LONGEST_V1 {
        let mut ahead = [0; LONGEST_V1];
        let room = ahead.get_mut(line.len()..).unwrap_or_default();
        let seen = tcp.peek(room).await?;
        let fresh = room.get_mut(..seen).unwrap_or_default();
        let end = memchr::memchr(b'\n', fresh).map(|at| at + 1);
        let own = fresh.get_mut(..end.unwrap_or(seen)).unwrap_or_default();
        if own.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        tcp.read_exact(own).await?;
        line.extend_from_slice(own);
        if end.is_some() {
            return Ok(line);
        }
    }
    Err(invalid())
}

fn canonical(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = address.ip().to_canonical();
    SocketAddr::new(ip, address.port())
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests;
