//! A running edge, toy upstreams and a raw client.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    edge::{
        CacheSizes, ListenerSettings, Live, Parts, ProxyProtocol, Settings, Shared,
        UpstreamSettings, serve,
        settings::{Backend, Ejection, HostHeader, Http2, UpstreamTls},
    },
    identity::{IdentityError, Lookup},
    limit::{self, local::LocalLimiter},
    model::{KeyId, MountName, SessionId, SystemClock, SystemRandom, Timestamp, TokenId},
    pipeline::{KeyEvidence, RevocationView, Snapshot},
    telemetry::{AccessLog, Metrics},
};

pub(super) struct NoKeys;

#[async_trait]
impl Lookup for NoKeys {
    async fn key(
        &self,
        _: &MountName,
        _: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        Ok(None)
    }
    fn epoch(&self) -> u64 {
        0
    }
    fn used(&self, _: &KeyId, _: Timestamp) {}
}

struct NoRevocations;

impl RevocationView for NoRevocations {
    fn is_revoked(&self, _: Option<&TokenId>, _: Option<&SessionId>) -> bool {
        false
    }
}

/// A serving edge; stops when it is dropped.
pub(super) struct Edge {
    pub(super) shared: Arc<Shared>,
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Edge {
    pub(super) fn start(snapshot: Snapshot, upstreams: &[UpstreamSettings]) -> Self {
        Self::with(snapshot, upstreams, |_| {})
    }

    /// With other surroundings than none.
    pub(super) fn with(
        snapshot: Snapshot,
        upstreams: &[UpstreamSettings],
        adjust: impl FnOnce(&mut Parts),
    ) -> Self {
        let metrics = Metrics::new().unwrap();
        let mut parts = Parts {
            limiter: Arc::new(LocalLimiter::new(&limit::Settings::default())),
            lookup: Arc::new(NoKeys),
            revocations: Arc::new(NoRevocations),
            metrics: metrics.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            access: AccessLog::nowhere(),
        };
        adjust(&mut parts);
        let settings = Settings {
            listeners: vec![ListenerSettings {
                name: "public".into(),
                address: ([127, 0, 0, 1], 0).into(),
                proxy_protocol: ProxyProtocol::Off,
                tls: None,
                http2: false,
            }],
            forward_auth: Vec::new(),
            threads: 1,
            identity_socket: "/nonexistent/identity.sock".into(),
            grace_period: Duration::from_secs(5),
            upstream_keepalive_pool: 8,
            limits: Arc::default(),
            http2: Http2::default(),
            caches: CacheSizes::default(),
        };
        let caches = settings.caches;
        let live =
            Live::build(Arc::new(snapshot), upstreams, Arc::default(), None, &metrics, caches);
        let shared = Shared::new(parts, settings, live).unwrap();
        let (stop, stopped) = watch::channel(false);
        let mut bound = shared.bound();
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(shared, stopped).unwrap()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bound =
            runtime.block_on(async { bound.wait_for(Option::is_some).await.unwrap().clone() });
        let address = bound.unwrap()[0].1;
        Self { shared, address, stop, thread: Some(thread) }
    }

    /// Tells it to stop, without waiting.
    pub(super) fn tell_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it has stopped.
    pub(super) fn join(mut self) {
        self.stop.send_replace(true);
        self.thread.take().unwrap().join().unwrap();
    }

    pub(super) fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tcp
    }

    /// Sends a request on a connection of its own and reads one answer.
    pub(super) fn ask(&self, request: &str) -> Answer {
        let mut tcp = self.connect();
        tcp.write_all(request.as_bytes()).unwrap();
        Answer::read(&mut tcp, request.starts_with("HEAD"))
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: api.example.org\r\n\r\n"))
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One answer, read as far as its own framing says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// Whether it ended as its framing says.
    pub(super) complete: bool,
}

impl Answer {
    pub(super) fn read(tcp: &mut TcpStream, head_only: bool) -> Self {
        let (head, rest) = read_head(tcp).expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Self { status, head, body: rest, complete: head_only };
        if head_only {
            return answer;
        }
        if let Some(length) = answer.field("content-length").map(|text| text.parse().unwrap()) {
            while answer.body.len() < length && fill(tcp, &mut answer.body) {}
            answer.complete = answer.body.len() == length;
        } else {
            while !answer.body.ends_with(b"0\r\n\r\n") && fill(tcp, &mut answer.body) {}
            answer.complete = answer.body.ends_with(b"0\r\n\r\n");
        }
        answer
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

pub(super) fn fill(tcp: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let mut piece = [0; 65536];
    match tcp.read(&mut piece) {
        Ok(0) | Err(_) => false,
        Ok(read) => {
            into.extend_from_slice(&piece[..read]);
            true
        }
    }
}

/// Head and whatever came behind it; `None` at the end of the stream.
pub(super) fn read_head(tcp: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut seen = Vec::new();
    loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = seen.split_off(at + 4);
            return Some((String::from_utf8(seen).unwrap(), rest));
        }
        if !fill(tcp, &mut seen) {
            return None;
        }
    }
}

/// Goes on sending behind an answer: none of it may reset the connection, for a reset takes away an answer that was not read
/// yet. More than the system's buffers hold, so that it only gets through where the other side reads.
pub(super) fn send_on(mut tcp: TcpStream) {
    tcp.write_all(&vec![b'x'; 8 << 20]).unwrap();
    tcp.shutdown(Shutdown::Write).unwrap();
    assert_eq!(tcp.read(&mut [0; 1]).unwrap(), 0, "nothing came behind the answer");
}

/// A request as an upstream saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// A toy upstream: a thread per connection, one raw answer per request. An empty answer closes the connection.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub(super) fn start(answer: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        Self::raw(move |seen, tcp| {
            let answer = answer(seen);
            !answer.is_empty() && tcp.write_all(answer.as_bytes()).is_ok()
        })
    }

    /// The closure writes its answer itself and says whether the connection goes on.
    pub(super) fn raw(
        answer: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&seen));
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                thread::spawn(move || converse(tcp.unwrap(), &log, &*answer));
            }
        });
        Self { address, seen }
    }

    pub(super) fn ok() -> Self {
        Self::start(|_| plain(200, "fine"))
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn backend(&self) -> Backend {
        backend(self.address)
    }

    pub(super) fn settings(&self) -> UpstreamSettings {
        settings(vec![self.backend()])
    }
}

fn converse(
    mut tcp: TcpStream,
    log: &Mutex<Vec<Seen>>,
    answer: &dyn Fn(&Seen, &mut TcpStream) -> bool,
) {
    while let Some((head, mut body)) = read_head(&mut tcp) {
        let length = field(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        let chunked = field(&head, "transfer-encoding").is_some();
        while body.len() < length || (chunked && !body.ends_with(b"0\r\n\r\n")) {
            if !fill(&mut tcp, &mut body) {
                return;
            }
        }
        let seen = Seen { line: head.lines().next().unwrap().to_owned(), head, body };
        log.lock().unwrap().push(seen.clone());
        if !answer(&seen, &mut tcp) {
            return;
        }
    }
}

pub(super) fn plain(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn backend(address: SocketAddr) -> Backend {
    Backend::Http { host: address.ip().to_string(), port: address.port(), tls: false }
}

pub(super) fn settings(backends: Vec<Backend>) -> UpstreamSettings {
    UpstreamSettings {
        name: "up".into(),
        backends,
        health: None,
        ejection: Ejection { failures: 2, duration: Duration::from_secs(60) },
        retries: 1,
        max_requests: 1024,
        host: HostHeader::Preserve,
        http2: false,
        tls: UpstreamTls::default(),
    }
}

/// A port nobody listens on.
pub(super) fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
