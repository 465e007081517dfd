//! Exact bytes out, parsed reply in: for everything a well-behaved HTTP client refuses to send.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UnixStream},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A reply as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the message ended as its own framing says.
    pub complete: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, v)| v.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("status {}: not JSON ({e}): {:?}", self.status, self.text()))
    }
}

/// The head of a reply whose body is still to come.
#[derive(Clone, Debug)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// One connection.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S> Wire<S> {
    /// Around a connection that was made elsewhere.
    pub fn over(stream: S) -> Self {
        Wire { stream, buffer: Vec::new() }
    }

    /// To speak something else on it from here on; nothing of an answer may have been read.
    pub fn into_inner(self) -> S {
        assert!(self.buffer.is_empty(), "bytes of an answer would be lost");
        self.stream
    }
}

/// Connects from a given loopback address.
pub async fn connect_from(to: SocketAddr, local: Option<IpAddr>) -> io::Result<Wire<TcpStream>> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = local {
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(Wire { stream, buffer: Vec::new() })
}

/// Connects from anywhere.
pub async fn connect(to: SocketAddr) -> Wire<TcpStream> {
    connect_from(to, None).await.expect("connect")
}

/// Connects to a Unix socket.
pub async fn connect_unix(path: &Path) -> io::Result<Wire<UnixStream>> {
    Ok(Wire { stream: UnixStream::connect(path).await?, buffer: Vec::new() })
}

/// One request, one reply, one connection.
pub async fn exchange(to: SocketAddr, request: impl AsRef<[u8]>) -> Reply {
    let mut wire = connect(to).await;
    wire.send(request).await;
    wire.reply().await
}

/// What a server did with bytes that may be no request at all.
#[derive(Debug)]
pub enum Reaction {
    Replied(Reply),
    Closed,
}

/// As [`exchange`], but a close without a reply is an answer too.
pub async fn provoke(to: SocketAddr, request: impl AsRef<[u8]>) -> Reaction {
    let mut wire = connect(to).await;
    let _ = wire.stream.write_all(request.as_ref()).await;
    match wire.try_reply(false).await {
        Some(reply) => Reaction::Replied(reply),
        None => Reaction::Closed,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("write");
        self.stream.flush().await.expect("flush");
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Closes our half.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    pub async fn reply(&mut self) -> Reply {
        self.try_reply(false).await.expect("a reply before the connection closed")
    }

    /// The reply to a `HEAD`: no body whatever its length says.
    pub async fn head_reply(&mut self) -> Reply {
        self.try_reply(true).await.expect("a reply before the connection closed")
    }

    /// `None`: closed or reset without a complete head.
    pub async fn try_reply(&mut self, to_head: bool) -> Option<Reply> {
        loop {
            let head = self.head().await?;
            // Interim replies are not the answer.
            if head.status == 100 || head.status == 103 {
                continue;
            }
            let (body, complete) = if to_head || head.status == 204 || head.status == 304 {
                (Vec::new(), true)
            } else {
                self.body(&head).await
            };
            return Some(Reply { status: head.status, headers: head.headers, body, complete });
        }
    }

    pub async fn head(&mut self) -> Option<Head> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if self.fill().await? == 0 {
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Some(Head { status, headers })
    }

    async fn body(&mut self, head: &Head) -> (Vec<u8>, bool) {
        if head.header("transfer-encoding").is_some_and(|te| te.eq_ignore_ascii_case("chunked")) {
            let mut body = Vec::new();
            loop {
                match self.chunk().await {
                    Some(piece) if piece.is_empty() => return (body, true),
                    Some(piece) => body.extend_from_slice(&piece),
                    None => return (body, false),
                }
            }
        }
        if let Some(length) = head.header("content-length").and_then(|l| l.parse::<usize>().ok()) {
            while self.buffer.len() < length {
                match self.fill().await {
                    Some(0) | None => return (std::mem::take(&mut self.buffer), false),
                    Some(_) => {}
                }
            }
            return (self.buffer.drain(..length).collect(), true);
        }
        loop {
            match self.fill().await {
                Some(0) => return (std::mem::take(&mut self.buffer), true),
                Some(_) => {}
                None => return (std::mem::take(&mut self.buffer), false),
            }
        }
    }

    /// One chunk of a chunked body; empty at its end, `None` when it breaks off.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break at;
            }
            if self.fill().await? == 0 {
                return None;
            }
        };
        let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&line).into_owned();
        let size = usize::from_str_radix(text.trim().split(';').next()?, 16).ok()?;
        while self.buffer.len() < size + 2 {
            if self.fill().await? == 0 {
                return None;
            }
        }
        let piece = self.buffer.drain(..size).collect();
        self.buffer.drain(..2);
        Some(piece)
    }

    /// The head and the first chunk behind it.
    pub async fn chunk_after_head(&mut self) -> Vec<u8> {
        let head = self.head().await.expect("a head");
        assert_eq!(head.status, 200);
        self.chunk().await.expect("a chunk")
    }

    /// Reads and drops `length` body bytes, whole or chunked; returns how many came.
    pub async fn swallow(&mut self, head: &Head) -> (u64, bool) {
        if head.header("transfer-encoding").is_some() {
            let mut seen = 0;
            loop {
                match self.chunk().await {
                    Some(piece) if piece.is_empty() => return (seen, true),
                    Some(piece) => seen += piece.len() as u64,
                    None => return (seen, false),
                }
            }
        }
        let length: u64 =
            head.header("content-length").and_then(|l| l.parse().ok()).expect("a length");
        let mut seen = self.buffer.len() as u64;
        self.buffer.clear();
        while seen < length {
            match self.fill().await {
                Some(0) | None => return (seen, false),
                Some(count) => seen += count as u64,
            }
            self.buffer.clear();
        }
        (seen, true)
    }

    /// Whether the peer closes now (and sends nothing more).
    pub async fn is_closed(&mut self) -> bool {
        loop {
            match self.fill().await {
                Some(0) | None => return self.buffer.is_empty(),
                Some(_) => {}
            }
        }
    }

    /// Whether the peer closes within this time, having sent nothing more.
    pub async fn closes_within(&mut self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.is_closed()).await.unwrap_or(false)
    }

    /// The first line of one more reply, if one comes before the peer closes.
    pub async fn second_reply(&mut self) -> Option<String> {
        while self.fill().await.is_some_and(|count| count > 0) {}
        let text = String::from_utf8_lossy(&self.buffer).into_owned();
        text.lines().next().map(str::to_owned)
    }

    /// Reads once more; `Some(0)` at the end, `None` on a reset. Panics when nothing happens for long.
    async fn fill(&mut self) -> Option<usize> {
        let mut piece = vec![0; 64 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await;
        let count = read.expect("the peer neither sent nor closed").ok()?;
        self.buffer.extend_from_slice(piece.get(..count)?);
        Some(count)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
