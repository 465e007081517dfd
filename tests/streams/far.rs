//! An upstream whose answers never end by themselves, and which notes when somebody else ends them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::wait;

/// A download nobody comes to the end of.
pub const LENGTH: u64 = 1 << 34;

type Gone = Arc<Mutex<HashMap<String, Instant>>>;

pub struct Far {
    pub http1: SocketAddr,
    pub calls: SocketAddr,
    gone: Gone,
}

impl Far {
    pub async fn start() -> Self {
        let gone = Gone::default();
        let (http1, calls) = (listen().await, listen().await);
        let far = Self {
            http1: http1.local_addr().unwrap(),
            calls: calls.local_addr().unwrap(),
            gone: Arc::clone(&gone),
        };
        let noted = Arc::clone(&gone);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = http1.accept().await {
                tokio::spawn(serve(tcp, Arc::clone(&noted)));
            }
        });
        tokio::spawn(async move {
            while let Ok((tcp, _)) = calls.accept().await {
                tokio::spawn(serve_calls(tcp, Arc::clone(&gone)));
            }
        });
        far
    }

    /// When the request with this mark at the end of its path was given up.
    pub async fn gone(&self, mark: &str) -> Instant {
        let seen = || async { self.gone.lock().unwrap().get(mark).copied() };
        wait::until("the upstream sees the end", seen).await
    }

    pub fn is_gone(&self, mark: &str) -> bool {
        self.gone.lock().unwrap().contains_key(mark)
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn serve(mut tcp: TcpStream, gone: Gone) {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match tcp.read(&mut piece).await {
            Ok(count) if count > 0 => head.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut parts = path.rsplit('/');
    let (mark, what) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
    // It may be tried once more.
    gone.lock().unwrap().remove(&mark);
    let (mut reader, mut writer) = tcp.into_split();
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    let reading = async {
        let mut piece = vec![0; 64 << 10];
        while let Ok(count) = reader.read(&mut piece).await {
            if count == 0 {
                break;
            }
            let _ = said.send(piece[..count].to_vec());
        }
    };
    let writing = async {
        let answered = async {
            match what.as_str() {
                "ws" => {
                    writer
                        .write_all(
                            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                              Connection: Upgrade\r\n\r\n",
                        )
                        .await?;
                    while let Some(frame) = heard.recv().await {
                        writer.write_all(&echo(&frame)).await?;
                    }
                }
                // The head of a frame whose rest never comes.
                "torn" => {
                    writer
                        .write_all(
                            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                              Connection: Upgrade\r\n\r\n",
                        )
                        .await?;
                    let _ = heard.recv().await;
                    writer.write_all(b"\x82\x05he").await?;
                }
                "events" => {
                    writer
                        .write_all(
                            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                              Transfer-Encoding: chunked\r\n\r\n",
                        )
                        .await?;
                    loop {
                        writer.write_all(b"9\r\ndata: x\n\n\r\n").await?;
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
                "download" => {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
                    writer.write_all(head.as_bytes()).await?;
                    let block = vec![b'x'; 64 << 10];
                    loop {
                        writer.write_all(&block).await?;
                    }
                }
                "trickle" => {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
                    writer.write_all(head.as_bytes()).await?;
                    loop {
                        writer.write_all(&[b'x'; 1000]).await?;
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
                // An upload that is read, a question that is not answered.
                _ => {}
            }
            std::future::pending::<std::io::Result<()>>().await
        };
        let _: std::io::Result<()> = answered.await;
    };
    tokio::select! { () = reading => {}, () = writing => {} }
    gone.lock().unwrap().insert(mark, Instant::now());
}

/// One short masked frame of a client as a server sends it back.
fn echo(frame: &[u8]) -> Vec<u8> {
    let length = usize::from(frame[1] & 0x7f);
    let mask = &frame[2..6];
    let payload = frame[6..6 + length].iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b);
    let mut out = vec![frame[0], u8::try_from(length).unwrap()];
    out.extend(payload);
    out
}

async fn serve_calls(tcp: TcpStream, gone: Gone) {
    let Ok(mut connection) = h2::server::handshake(tcp).await else { return };
    while let Some(Ok((request, mut reply))) = connection.accept().await {
        let gone = Arc::clone(&gone);
        tokio::spawn(async move {
            let mark = request.uri().path().rsplit('/').next().unwrap().to_owned();
            let mut body = request.into_body();
            let head = Response::builder().header("content-type", "application/grpc");
            let mut sender = reply.send_response(head.body(()).unwrap(), false).unwrap();
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                if sender.send_data(piece, false).is_err() {
                    break;
                }
            }
            gone.lock().unwrap().insert(mark, Instant::now());
            let _ = sender.send_data(Bytes::new(), true);
        });
    }
}
