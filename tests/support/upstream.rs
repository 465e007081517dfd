//! An upstream that keeps every byte it was sent and answers as it is told.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Number of the connection it came on.
    pub connection: usize,
    /// Request line and fields, byte for byte, up to and with the empty line.
    pub head: Vec<u8>,
    /// The body with its framing taken off; only its length is kept past a mebibyte.
    pub body: Vec<u8>,
    /// Length of the whole body.
    pub body_length: u64,
    /// Whether the body ended as its framing says.
    pub complete: bool,
}

impl Recorded {
    pub fn line(&self) -> String {
        let end = self.head.iter().position(|byte| *byte == b'\r').unwrap_or(self.head.len());
        String::from_utf8_lossy(&self.head[..end]).into_owned()
    }

    pub fn method(&self) -> String {
        self.line().split(' ').next().unwrap_or_default().to_owned()
    }

    /// Path and query as sent.
    pub fn target(&self) -> String {
        self.line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    pub fn fields(&self) -> Vec<(String, String)> {
        String::from_utf8_lossy(&self.head)
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect()
    }

    /// The values of every spelling of a name: case, and `_` for `-`.
    pub fn all(&self, name: &str) -> Vec<String> {
        let fold = |text: &str| text.to_ascii_lowercase().replace('_', "-");
        let same = |(n, _): &(String, String)| fold(n) == fold(name);
        self.fields().into_iter().filter(same).map(|(_, value)| value).collect()
    }

    /// The one value of a field.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        assert!(values.len() <= 1, "{name} stands several times: {values:?}");
        values.pop()
    }
}

/// One thing to do while answering.
pub enum Step {
    Send(Vec<u8>),
    /// So many bytes of zeros.
    Fill(u64),
    Wait(Duration),
    /// Until the test gives a permit.
    Until(Arc<Semaphore>),
    /// Whatever the test sends, until it drops its end.
    Driven(mpsc::UnboundedReceiver<Vec<u8>>),
    /// Abort the connection with RST.
    Reset,
    /// Close it.
    Close,
}

/// A whole answer.
pub struct Answer(pub Vec<Step>);

impl Answer {
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status} Told\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body);
        Answer(vec![Step::Send(bytes)])
    }

    pub fn json(status: u16, body: &str) -> Self {
        Answer::new(status, &[("Content-Type", "application/json")], body)
    }

    pub fn ok() -> Self {
        Answer::json(200, r#"{"ok":true}"#)
    }

    /// Bytes that may be no HTTP at all.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Answer(vec![Step::Send(bytes.into())])
    }

    pub fn steps(steps: Vec<Step>) -> Self {
        Answer(steps)
    }

    /// The same after a while.
    pub fn after(mut self, delay: Duration) -> Self {
        self.0.insert(0, Step::Wait(delay));
        self
    }

    /// The same when the test gives a permit.
    pub fn once(mut self, gate: &Arc<Semaphore>) -> Self {
        self.0.insert(0, Step::Until(Arc::clone(gate)));
        self
    }
}

type Handler = dyn Fn(&Recorded) -> Answer + Send + Sync;

struct Shared {
    seen: Mutex<Vec<Recorded>>,
    connections: AtomicUsize,
    handler: Mutex<Arc<Handler>>,
    keep: bool,
    count: AtomicUsize,
}

/// A running upstream; stops when dropped.
pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Upstream {
    /// Answers `200 {"ok":true}` to everything.
    pub fn start() -> Self {
        Self::with(|_| Answer::ok())
    }

    pub fn with(handler: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address"), true, handler)
    }

    /// Counts requests but keeps none, for load.
    pub fn counting(handler: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address"), false, handler)
    }

    /// At a fixed address, to come back after an absence.
    pub fn at(
        address: SocketAddr,
        keep: bool,
        handler: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            seen: Mutex::new(Vec::new()),
            connections: AtomicUsize::new(0),
            handler: Mutex::new(Arc::new(handler)),
            keep,
            count: AtomicUsize::new(0),
        });
        // A socket option std does not offer: without it, coming back at an address waits for TIME_WAIT.
        let (stop, stopped) = oneshot::channel();
        let (ready, address_of) = std::sync::mpsc::channel();
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
                socket.set_reuseaddr(true).expect("reuse");
                socket.bind(address).expect("bind the upstream");
                let listener = socket.listen(1024).expect("listen");
                ready.send(listener.local_addr().expect("bound")).expect("the starter waits");
                tokio::select! {
                    () = accept(listener, own) => {}
                    _ = stopped => {}
                }
            });
            // Dropping the runtime drops every connection.
        });
        let address = address_of.recv().expect("the upstream starts");
        Upstream { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers differently from now on.
    pub fn answer(&self, handler: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        *self.shared.handler.lock().expect("no panic inside") = Arc::new(handler);
    }

    /// Everything seen so far, health checks left out.
    pub fn seen(&self) -> Vec<Recorded> {
        self.shared.seen.lock().expect("no panic inside").clone()
    }

    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub fn forget(&self) {
        self.shared.seen.lock().expect("no panic inside").clear();
        self.shared.count.store(0, Ordering::SeqCst);
    }

    /// The only request seen, which is then forgotten.
    #[track_caller]
    pub fn only(&self) -> Recorded {
        let mut seen = std::mem::take(&mut *self.shared.seen.lock().expect("no panic inside"));
        assert_eq!(seen.len(), 1, "one request was expected: {:?}", lines(&seen));
        self.shared.count.store(0, Ordering::SeqCst);
        seen.remove(0)
    }

    /// Nothing with this text in its head arrived.
    #[track_caller]
    pub fn saw_nothing_of(&self, text: &str) {
        for request in self.seen() {
            assert!(!String::from_utf8_lossy(&request.head).contains(text), "{}", request.line());
        }
    }

    #[track_caller]
    pub fn saw_nothing(&self) {
        let seen = self.seen();
        assert!(seen.is_empty(), "nothing may arrive, but: {:?}", lines(&seen));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lines(seen: &[Recorded]) -> Vec<String> {
    seen.iter().map(Recorded::line).collect()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, number, Arc::clone(&shared)));
    }
}

async fn serve(mut stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, connection, &shared).await {
        let handler = Arc::clone(&shared.handler.lock().expect("no panic inside"));
        let answer = handler(&request);
        if !perform(&mut stream, answer).await {
            return;
        }
    }
}

/// Whether the connection may go on.
async fn perform(stream: &mut TcpStream, answer: Answer) -> bool {
    for step in answer.0 {
        let done = match step {
            Step::Send(bytes) => stream.write_all(&bytes).await,
            Step::Fill(count) => fill(stream, count).await,
            Step::Wait(delay) => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            Step::Until(gate) => {
                gate.acquire().await.expect("never closed").forget();
                Ok(())
            }
            Step::Driven(mut pieces) => {
                let mut outcome = Ok(());
                while let Some(piece) = pieces.recv().await {
                    outcome = stream.write_all(&piece).await;
                    if outcome.is_err() {
                        break;
                    }
                }
                outcome
            }
            Step::Reset => {
                let _ = stream.set_zero_linger();
                return false;
            }
            Step::Close => return false,
        };
        if done.is_err() {
            return false;
        }
    }
    true
}

async fn fill(stream: &mut TcpStream, count: u64) -> std::io::Result<()> {
    let block = vec![0_u8; 64 * 1024];
    let mut left = count;
    while left > 0 {
        let take = usize::try_from(left.min(block.len() as u64)).expect("a block");
        stream.write_all(&block[..take]).await?;
        left -= take as u64;
    }
    Ok(())
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    let mut piece = [0; 64 * 1024];
    match stream.read(&mut piece).await {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            buffer.extend_from_slice(&piece[..count]);
            true
        }
    }
}

async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    connection: usize,
    shared: &Shared,
) -> Option<Recorded> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if !more(stream, buffer).await {
            return None;
        }
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let mut request =
        Recorded { connection, head, body: Vec::new(), body_length: 0, complete: true };
    if request.field("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    let mut body = Body::default();
    if request.field("transfer-encoding").is_some() {
        request.complete = body.chunked(stream, buffer).await;
    } else if let Some(length) = request.field("content-length").and_then(|l| l.parse().ok()) {
        request.complete = body.sized(stream, buffer, length).await;
    }
    request.body = body.kept;
    request.body_length = body.length;
    let is_health = request.target() == "/health-of-upstream";
    if !is_health {
        shared.count.fetch_add(1, Ordering::SeqCst);
        if shared.keep {
            shared.seen.lock().expect("no panic inside").push(request.clone());
        }
    }
    Some(request)
}

#[derive(Default)]
struct Body {
    kept: Vec<u8>,
    length: u64,
}

impl Body {
    fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if self.kept.len() < 1024 * 1024 {
            self.kept.extend_from_slice(bytes);
        }
    }

    async fn sized(&mut self, stream: &mut TcpStream, buffer: &mut Vec<u8>, length: u64) -> bool {
        let mut left = length;
        while left > 0 {
            if buffer.is_empty() && !more(stream, buffer).await {
                return false;
            }
            let count = left.min(buffer.len() as u64);
            let piece: Vec<u8> = buffer.drain(..usize::try_from(count).expect("fits")).collect();
            self.take(&piece);
            left -= count;
        }
        true
    }

    async fn chunked(&mut self, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
        loop {
            let end = loop {
                if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
                    break at;
                }
                if !more(stream, buffer).await {
                    return false;
                }
            };
            let line: Vec<u8> = buffer.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&line).into_owned();
            let Ok(size) = u64::from_str_radix(text.trim(), 16) else { return false };
            if !self.sized(stream, buffer, size).await {
                return false;
            }
            while buffer.len() < 2 {
                if !more(stream, buffer).await {
                    return false;
                }
            }
            buffer.drain(..2);
            if size == 0 {
                return true;
            }
        }
    }
}
