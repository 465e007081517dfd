//! HTTP/2 for tests: a well-behaved client, and frames made by hand.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// A connection that a client of HTTP/2 uses.
pub struct Client {
    pub requests: SendRequest<Bytes>,
}

/// A whole reply.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// By prior knowledge.
    pub async fn plain(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect(to).await.expect("a connection")).await
    }

    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = h2::client::handshake(stream).await.expect("a handshake");
        tokio::spawn(async move {
            // How it ended shows in the requests.
            let _ = connection.await;
        });
        Client { requests }
    }

    /// Sends a request with a body, if there is one.
    pub async fn send(&self, request: Request<()>, body: &[u8]) -> Result<Reply, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (reply, mut sender) = requests.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            let mut rest = Bytes::copy_from_slice(body);
            while !rest.is_empty() {
                sender.reserve_capacity(rest.len());
                let room = std::future::poll_fn(|cx| sender.poll_capacity(cx)).await;
                let Some(Ok(room)) = room else { break };
                let piece = rest.split_to(room.min(rest.len()));
                if sender.send_data(piece, rest.is_empty()).is_err() {
                    break;
                }
            }
        }
        whole(reply.await?).await
    }

    pub async fn get(&self, url: &str) -> Result<Reply, h2::Error> {
        self.send(Request::get(url).body(()).expect("a request"), b"").await
    }
}

/// Reads a reply to its end.
pub async fn whole(reply: http::Response<h2::RecvStream>) -> Result<Reply, h2::Error> {
    let (head, mut stream) = reply.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await?;
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, trailers })
}

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// A header block without compression: `GET` or `POST` of a path at `a.test`.
pub fn block(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x86];
    literal(&mut out, ":path", path);
    literal(&mut out, ":authority", "a.test");
    for (name, value) in more {
        literal(&mut out, name, value);
    }
    out
}

/// A header block of these fields as they stand, whatever they are.
pub fn list(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        literal(&mut out, name, value);
    }
    out
}

fn literal(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    out.push(0x00);
    for text in [name.as_ref(), value.as_ref()] {
        number(out, text.len());
        out.extend_from_slice(text);
    }
}

/// A length with a prefix of seven bits (RFC 7541 section 5.1).
fn number(out: &mut Vec<u8>, value: usize) {
    if value < 127 {
        out.push(u8::try_from(value).expect("small"));
        return;
    }
    out.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).expect("small") | 0x80);
        rest /= 128;
    }
    out.push(u8::try_from(rest).expect("small"));
}

/// What became of a stream, or of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered, and whether to the end.
    Answered { status: u16, complete: bool },
    /// Reset, for this reason.
    Reset(u32),
    /// The connection was ended.
    Ended,
}

/// A connection whose frames are made by hand.
pub struct Raw {
    pub stream: TcpStream,
}

impl Raw {
    /// Connects and says hello with these settings.
    pub async fn open(to: SocketAddr, settings: &[u8]) -> Self {
        let mut stream = TcpStream::connect(to).await.expect("a connection");
        let mut hello = PREFACE.to_vec();
        hello.extend(frame(SETTINGS, 0, 0, settings));
        stream.write_all(&hello).await.expect("write");
        Raw { stream }
    }

    /// One request on stream 1: its head in as many frames as it needs, its body, its trailers.
    pub async fn ask(&mut self, head: &[u8], body: &[u8], trailers: Option<&[u8]>) -> Fate {
        let alone = body.is_empty() && trailers.is_none();
        let mut all = in_frames(head, if alone { END_STREAM } else { 0 });
        let pieces: Vec<&[u8]> = body.chunks(FRAME).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let last = at + 1 == pieces.len() && trailers.is_none();
            all.extend(frame(DATA, if last { END_STREAM } else { 0 }, 1, piece));
        }
        if let Some(trailers) = trailers {
            all.extend(in_frames(trailers, END_STREAM));
        }
        // Who is refused early need not read all of it.
        let _ = self.stream.write_all(&all).await;
        let mut seen = Vec::new();
        let mut status = None;
        let mut piece = vec![0; 16 << 10];
        loop {
            while let Some(found) = take_frame(&mut seen) {
                let ends = found.flags & END_STREAM != 0;
                match (found.kind, found.stream) {
                    (HEADERS, 1) => status = status.or_else(|| status_of(&found.payload)),
                    (RST_STREAM, 1) => {
                        let code = found.payload.try_into().map(u32::from_be_bytes);
                        let code = code.expect("four bytes");
                        // Without a fault: the rest of the request is not wanted.
                        return match status {
                            Some(status) => Fate::Answered { status, complete: code == 0 },
                            None => Fate::Reset(code),
                        };
                    }
                    (GOAWAY, _) if found.payload.get(4..8) != Some(&[0; 4]) => return Fate::Ended,
                    _ => {}
                }
                if let (true, 1, HEADERS | DATA, Some(status)) =
                    (ends, found.stream, found.kind, status)
                {
                    return Fate::Answered { status, complete: true };
                }
            }
            let read = tokio::time::timeout(Duration::from_secs(60), self.stream.read(&mut piece));
            match read.await.expect("an answer or an end") {
                Ok(count) if count > 0 => seen.extend_from_slice(&piece[..count]),
                _ => return Fate::Ended,
            }
        }
    }

    /// Sends what `make` gives, by count, until the other side closes; reads meanwhile. Returns how many were sent, and the
    /// reason of the good-bye, if there was one.
    pub async fn flood(
        self,
        most: u32,
        within: Duration,
        mut make: impl FnMut(u32) -> Vec<u8>,
    ) -> (u32, Option<u32>) {
        let (mut reader, mut writer) = self.stream.into_split();
        let reading = tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut piece = vec![0; 64 << 10];
            // A reset is an end like any other.
            while let Ok(count) = reader.read(&mut piece).await {
                if count == 0 {
                    break;
                }
                seen.extend_from_slice(&piece[..count]);
            }
            good_bye(&seen)
        });
        let mut sent = 0;
        while sent < most && !reading.is_finished() {
            if writer.write_all(&make(sent)).await.is_err() {
                break;
            }
            sent += 1;
        }
        let reason = tokio::time::timeout(within, reading).await.expect("the connection is ended");
        (sent, reason.expect("no panic"))
    }
}

/// Largest payload that everybody takes.
const FRAME: usize = 16 << 10;

/// A header block of stream 1 in as many frames as it needs.
fn in_frames(block: &[u8], flags: u8) -> Vec<u8> {
    let pieces: Vec<&[u8]> =
        if block.is_empty() { vec![b""] } else { block.chunks(FRAME).collect() };
    let mut out = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        let own = if at == 0 { flags } else { 0 };
        let end = if at + 1 == pieces.len() { END_HEADERS } else { 0 };
        out.extend(frame(kind, own | end, 1, piece));
    }
    out
}

struct Found {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// The first frame of what was read, if it is whole.
fn take_frame(seen: &mut Vec<u8>) -> Option<Found> {
    let [a, b, c, kind, flags, s0, s1, s2, s3] = *seen.get(..9)? else { return None };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let payload = seen.get(9..9 + length)?.to_vec();
    seen.drain(..9 + length);
    Some(Found { kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]), payload })
}

/// The status in the first header block of a connection (RFC 7541): of the static table, or three digits behind the index
/// of its name, mostly in the code of Huffman.
fn status_of(block: &[u8]) -> Option<u16> {
    match *block {
        [indexed @ 0x88..=0x8e, ..] => {
            Some([200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)])
        }
        [0x48 | 0x08 | 0x18, 3, a, b, c, ..] => std::str::from_utf8(&[a, b, c]).ok()?.parse().ok(),
        [0x48 | 0x08 | 0x18, coded, ref rest @ ..] if coded > 0x80 => {
            let bytes = rest.get(..usize::from(coded - 0x80))?;
            let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
            let (mut at, mut status) = (0, 0);
            for _ in 0..3 {
                let five = u16::from_str_radix(bits.get(at..at + 5)?, 2).ok()?;
                let (digit, length) = if five < 3 {
                    (five, 5)
                } else {
                    (u16::from_str_radix(bits.get(at..at + 6)?, 2).ok()? - 0x19 + 3, 6)
                };
                (status, at) = (status * 10 + digit, at + length);
            }
            Some(status)
        }
        _ => None,
    }
}

/// The reason of the last GOAWAY among frames.
fn good_bye(mut bytes: &[u8]) -> Option<u32> {
    let mut reason = None;
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let payload = bytes.get(9..9 + length)?;
        if bytes[3] == GOAWAY {
            reason = Some(u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]));
        }
        bytes = &bytes[9 + length..];
    }
    reason
}
