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
/// Of version 2: the signature, command, family and length.
const FIXED_V2: usize = SIGNATURE.len() + 4;
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
    let mut header = Vec::with_capacity(LONGEST_V1);
    loop {
        match next(&header)? {
            Next::Bytes(count) => {
                let have = header.len();
                header.resize(have + count, 0);
                tcp.read_exact(header.get_mut(have..).unwrap_or_default()).await?;
            }
            Next::RestOfLine(most) => line(tcp, &mut header, most).await?,
            Next::Nothing => return read(&header),
        }
    }
}

/// What still belongs to a header that began like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many bytes, whatever they are.
    Bytes(usize),
    /// What comes up to the end of the line, and no more bytes than these.
    RestOfLine(usize),
    /// It is whole.
    Nothing,
}

/// How a header goes on that began like this.
pub(super) fn next(have: &[u8]) -> io::Result<Next> {
    let Some(start) = have.get(..SIGNATURE.len()) else {
        return Ok(Next::Bytes(SIGNATURE.len() - have.len()));
    };
    if start == SIGNATURE {
        let Some([_, _, high, low]) = have.get(start.len()..FIXED_V2) else {
            return Ok(Next::Bytes(FIXED_V2 - have.len()));
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > LONGEST_V2 {
            return Err(invalid());
        }
        return Ok(match (FIXED_V2 + length).saturating_sub(have.len()) {
            0 => Next::Nothing,
            more => Next::Bytes(more),
        });
    }
    if !start.starts_with(b"PROXY ") {
        return Err(invalid());
    }
    if have.contains(&b'\n') {
        return Ok(Next::Nothing);
    }
    match LONGEST_V1.saturating_sub(have.len()) {
        0 => Err(invalid()),
        room => Ok(Next::RestOfLine(room)),
    }
}

/// Who is named in a whole header.
pub(super) fn read(header: &[u8]) -> io::Result<Option<SocketAddr>> {
    // In text, where the parser would take a sign before a port.
    if header.starts_with(b"PROXY TCP") && header.contains(&b'+') {
        return Err(invalid());
    }
    let (parsed, length) =
        ProxyHeader::parse(header, ParseConfig::default()).map_err(|_| invalid())?;
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

/// Takes what is there of a line: it is looked at before it is taken, because its length is not known.
async fn line(tcp: &mut TcpStream, header: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let mut ahead = [0; LONGEST_V1];
    let seen = tcp.peek(ahead.get_mut(..most).unwrap_or_default()).await?;
    let fresh = ahead.get_mut(..seen).unwrap_or_default();
    let end = memchr::memchr(b'\n', fresh).map_or(seen, |at| at + 1);
    let own = fresh.get_mut(..end).unwrap_or_default();
    if own.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    tcp.read_exact(own).await?;
    header.extend_from_slice(own);
    Ok(())
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
