//! Open lines through a gateway, one of each kind, and how each of them ends.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest};
use http::Request;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::TcpSocket,
};

use crate::support::{http2::Client, tls::Caller};

pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Where a gateway listens, and how it is spoken with.
#[derive(Clone)]
pub struct Door {
    pub address: SocketAddr,
    pub tls: Option<Caller>,
}

/// A frame of a client.
const PING: [u8; 8] = [0x82, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];

/// How often a busy client asks for an echo, in milliseconds, unless `PORTCULLIS_ECHO` says otherwise.
const ECHO: u64 = 100;
/// Of the buffer of a client that takes slowly, in bytes.
const ROOM: u32 = 8 << 10;
/// What it takes at a time, and when it does so again.
const MOUTHFUL: usize = 4 << 10;
const PAUSE: Duration = Duration::from_millis(25);

/// A credential as a header field.
pub type Credential = (&'static str, String);

/// How a line ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// With a close frame.
    Closed(u16, String),
    /// In a way that shows that something is missing.
    Cut,
    /// A call, with this status.
    Status(String),
    /// With an answer, before there was another one.
    Refused(u16),
    /// As if it were complete.
    Orderly,
}

pub enum Line {
    /// Silent.
    WebSocket(Box<dyn Io>),
    /// Asked for an echo again and again.
    Busy(Box<dyn Io>),
    /// Chunks over HTTP/1.
    Events(Box<dyn Io>),
    Download(Box<dyn Io>),
    /// A download that the client takes slowly.
    Slow(Box<dyn Io>),
    Upload(Box<dyn Io>),
    Call(RecvStream, SendStream<Bytes>, SendRequest<Bytes>),
    /// Over HTTP/2.
    Stream(RecvStream, SendRequest<Bytes>),
}

impl Door {
    async fn connect(&self, protocol: &str, room: Option<u32>) -> Box<dyn Io> {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(room) = room {
            socket.set_recv_buffer_size(room).unwrap();
        }
        let tcp = socket.connect(self.address).await.unwrap();
        match &self.tls {
            None => Box::new(tcp),
            Some(caller) => {
                let caller = caller.clone().speaking(&[protocol]);
                Box::new(caller.over(tcp, "a.test").await.unwrap())
            }
        }
    }

    async fn asked(&self, line: &str, who: &Credential, more: &str) -> Box<dyn Io> {
        self.asked_with(None, line, who, more).await
    }

    async fn asked_with(
        &self,
        room: Option<u32>,
        line: &str,
        who: &Credential,
        more: &str,
    ) -> Box<dyn Io> {
        let mut io = self.connect("http/1.1", room).await;
        let (name, value) = who;
        let head = format!("{line} HTTP/1.1\r\nHost: a.test\r\n{name}: {value}\r\n{more}\r\n");
        io.write_all(head.as_bytes()).await.unwrap();
        io
    }

    pub async fn websocket(&self, path: &str, who: &Credential) -> Line {
        let more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let mut io = self.asked(&format!("GET {path}"), who, more).await;
        let head = head_of(&mut io).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        io.write_all(&PING).await.unwrap();
        io.read_exact(&mut [0; 4]).await.expect("a tunnel that stays");
        Line::WebSocket(io)
    }

    pub async fn events(&self, path: &str, who: &Credential) -> Line {
        let mut io = self.asked(&format!("GET {path}"), who, "").await;
        assert!(head_of(&mut io).await.starts_with("HTTP/1.1 200"));
        Line::Events(io)
    }

    pub async fn download(&self, path: &str, who: &Credential) -> Line {
        let mut io = self.asked(&format!("GET {path}"), who, "").await;
        assert!(head_of(&mut io).await.starts_with("HTTP/1.1 200"));
        io.read_exact(&mut vec![0; 100_000]).await.unwrap();
        Line::Download(io)
    }

    /// A download whose client has little room and takes little.
    pub async fn slow(&self, path: &str, who: &Credential) -> Line {
        let mut io = self.asked_with(Some(ROOM), &format!("GET {path}"), who, "").await;
        assert!(head_of(&mut io).await.starts_with("HTTP/1.1 200"));
        Line::Slow(io)
    }

    /// A download of which the upstream has little at a time.
    pub async fn trickle(&self, path: &str, who: &Credential) -> Line {
        let mut io = self.asked(&format!("GET {path}"), who, "").await;
        assert!(head_of(&mut io).await.starts_with("HTTP/1.1 200"));
        io.read_exact(&mut [0; 100]).await.unwrap();
        Line::Download(io)
    }

    pub async fn upload(&self, path: &str, who: &Credential) -> Line {
        let more = "Transfer-Encoding: chunked\r\n";
        let mut io = self.asked(&format!("POST {path}"), who, more).await;
        io.write_all(b"5\r\nhello\r\n").await.unwrap();
        Line::Upload(io)
    }

    async fn requests(&self) -> SendRequest<Bytes> {
        Client::over(self.connect("h2", None).await).await.requests
    }

    fn request(&self, method: &str, path: &str, who: &Credential) -> http::request::Builder {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Request::builder()
            .method(method)
            .uri(format!("{scheme}://a.test{path}"))
            .header(who.0, &who.1)
    }

    pub async fn call(&self, path: &str, who: &Credential) -> Line {
        let mut requests = self.requests().await.ready().await.unwrap();
        let request = self.request("POST", path, who).header("content-type", "application/grpc");
        let request = request.header("te", "trailers").body(()).unwrap();
        let (reply, sender) = requests.send_request(request, false).unwrap();
        let reply = reply.await.unwrap();
        assert_eq!(reply.status(), 200);
        assert!(!reply.headers().contains_key("grpc-status"), "{reply:?}");
        let mut line = Line::Call(reply.into_body(), sender, requests);
        line.lives().await;
        line
    }

    pub async fn stream(&self, path: &str, who: &Credential) -> Line {
        let mut requests = self.requests().await.ready().await.unwrap();
        let request = self.request("GET", path, who).body(()).unwrap();
        let reply = requests.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(reply.status(), 200);
        Line::Stream(reply.into_body(), requests)
    }
}

async fn head_of(io: &mut Box<dyn Io>) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        io.read_exact(&mut byte).await.expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

impl Line {
    /// The same WebSocket, asked for an echo while it is waited for its end.
    pub fn busy(self) -> Self {
        match self {
            Line::WebSocket(io) => Line::Busy(io),
            other => other,
        }
    }

    /// Looks whether it still carries what it is there for.
    pub async fn lives(&mut self) {
        let alive = async {
            match self {
                Line::WebSocket(io) | Line::Busy(io) => {
                    io.write_all(&PING).await.unwrap();
                    let mut frame = [0; 4];
                    io.read_exact(&mut frame).await.expect("an echo");
                    assert_eq!(&frame, b"\x82\x02hi");
                }
                Line::Events(io) => {
                    io.read_exact(&mut [0; 14]).await.expect("the next event");
                }
                Line::Download(io) | Line::Slow(io) => {
                    io.read_exact(&mut [0; 2_000]).await.expect("the next bytes");
                }
                Line::Upload(io) => io.write_all(b"5\r\nhello\r\n").await.unwrap(),
                Line::Call(answers, sender, _) => {
                    sender.send_data(Bytes::from_static(b"hello"), false).unwrap();
                    let answer = answers.data().await.expect("no end").expect("an answer");
                    answers.flow_control().release_capacity(answer.len()).unwrap();
                    assert_eq!(answer, "hello");
                }
                Line::Stream(body, _) => {
                    let piece = body.data().await.expect("no end").expect("a piece");
                    body.flow_control().release_capacity(piece.len()).unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), alive).await.expect("it lives");
    }

    /// Waits for the end, and says how it was.
    pub async fn end(self) -> End {
        match self {
            Line::WebSocket(io) => last_frame(io, false).await,
            Line::Busy(io) => last_frame(io, true).await,
            Line::Slow(mut io) => {
                let mut piece = [0; MOUTHFUL];
                while io.read(&mut piece).await.is_ok_and(|count| count > 0) {
                    tokio::time::sleep(PAUSE).await;
                }
                End::Cut
            }
            Line::Events(io) => {
                let all = rest(io).await;
                if all.ends_with(b"\r\n0\r\n\r\n") { End::Orderly } else { End::Cut }
            }
            // Nobody comes to the end of that one.
            Line::Download(io) => {
                rest(io).await;
                End::Cut
            }
            Line::Upload(io) => {
                let all = rest(io).await;
                let status = all.get(9..12).and_then(|text| std::str::from_utf8(text).ok());
                status.map_or(End::Cut, |status| End::Refused(status.parse().unwrap()))
            }
            Line::Call(mut answers, _sender, _requests) => {
                while let Some(piece) = answers.data().await {
                    let Ok(piece) = piece else { return End::Cut };
                    let _ = answers.flow_control().release_capacity(piece.len());
                }
                match answers.trailers().await {
                    Ok(Some(trailers)) => {
                        End::Status(trailers["grpc-status"].to_str().unwrap().to_owned())
                    }
                    Ok(None) => End::Orderly,
                    Err(_) => End::Cut,
                }
            }
            Line::Stream(mut body, _requests) => loop {
                match body.data().await {
                    None => return End::Orderly,
                    Some(Err(_)) => return End::Cut,
                    Some(Ok(piece)) => {
                        let _ = body.flow_control().release_capacity(piece.len());
                    }
                }
            },
        }
    }
}

/// Reads frames up to the one that closes, beside asking for echoes.
async fn last_frame(io: Box<dyn Io>, busy: bool) -> End {
    let (mut reader, mut writer) = split(io);
    let end = tokio::select! {
        end = frames(&mut reader) => end,
        () = echoes(&mut writer, busy) => unreachable!("it goes on"),
    };
    if matches!(end, End::Closed(..)) {
        // As RFC 6455 has it: the close is answered, and the server goes first.
        writer.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
        assert_eq!(reader.read(&mut [0; 2]).await.unwrap_or(0), 0, "nothing behind it");
    }
    end
}

async fn frames(reader: &mut ReadHalf<Box<dyn Io>>) -> End {
    let mut head = [0; 2];
    loop {
        if reader.read_exact(&mut head).await.is_err() {
            return End::Cut;
        }
        let mut payload = vec![0; usize::from(head[1])];
        if reader.read_exact(&mut payload).await.is_err() {
            return End::Cut;
        }
        if head[0] == 0x88 {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            return End::Closed(code, String::from_utf8(payload[2..].to_vec()).unwrap());
        }
    }
}

async fn echoes(writer: &mut WriteHalf<Box<dyn Io>>, busy: bool) {
    let pause = std::env::var("PORTCULLIS_ECHO").ok().and_then(|text| text.parse().ok());
    let pause = Duration::from_millis(pause.unwrap_or(ECHO));
    while busy && writer.write_all(&PING).await.is_ok() {
        tokio::time::sleep(pause).await;
    }
    std::future::pending().await
}

/// What comes until the connection ends, but no more of it than anybody looks at.
async fn rest(mut io: Box<dyn Io>) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), vec![0; 256 << 10]);
    while let Ok(count) = io.read(&mut piece).await {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&piece[..count]);
        let surplus = all.len().saturating_sub(64 << 10);
        all.drain(..surplus);
    }
    all
}
