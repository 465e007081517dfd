//! Connections that hold on by being slow: a head, a body, a reader.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::{
    World,
    honest::{self, Load},
    wanted,
};

/// All must be gone by then.
const GONE: Duration = Duration::from_secs(15);
/// Under the share of one address.
const PER_ADDRESS: usize = 250;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Says nothing at first, then a head that never ends.
    Late,
    Head,
    /// Where everybody may send one.
    Body,
    /// The beginning of it at once.
    StalledBody,
    Chunks,
    /// Where a credential is asked for.
    RefusedBody,
    /// To an endpoint of the contract.
    LoginBody,
    /// Takes nothing.
    Reader,
    /// Takes a little now and then.
    SlowReader,
}

impl Kind {
    fn start(self) -> Vec<u8> {
        let post = |path: &str, framing: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n\
                 {framing}\r\n\r\n"
            )
        };
        let length = "Content-Length: 50000";
        let text = match self {
            Self::Late => String::new(),
            Self::Head => "GET /open/x HTTP/1.1\r\nHost: a.example\r\nX: ".to_owned(),
            Self::Body => post("/open/x", "Content-Length: 1000000"),
            Self::StalledBody => post("/open/x", "Content-Length: 1000000") + &"a".repeat(20_000),
            Self::Chunks => post("/open/x", "Transfer-Encoding: chunked"),
            Self::RefusedBody => post("/closed/x", length),
            Self::LoginBody => post("/api/v1/auth/login", length),
            Self::Reader | Self::SlowReader => {
                "GET /open/large HTTP/1.1\r\nHost: a.example\r\n\r\n".to_owned()
            }
        };
        text.into_bytes()
    }

    /// What goes on.
    fn drip(self, seconds: u64) -> &'static [u8] {
        match self {
            Self::Late if seconds < 8 => b"",
            Self::Late if seconds == 8 => b"GET /open/x HTTP/1.1\r\nX: ",
            Self::Chunks => b"1\r\na\r\n",
            Self::Reader | Self::SlowReader => b"",
            _ => b"a",
        }
    }
}

/// As many of each; of readers few, for each fills buffers of the system.
fn kind_of(number: usize) -> Kind {
    match number % 50 {
        0 => Kind::Reader,
        1 => Kind::SlowReader,
        2..6 => Kind::Late,
        6..20 => Kind::Head,
        20..32 => Kind::Body,
        32..38 => Kind::StalledBody,
        38..42 => Kind::Chunks,
        42..46 => Kind::LoginBody,
        _ => Kind::RefusedBody,
    }
}

async fn connect(to: SocketAddr, number: usize) -> std::io::Result<TcpStream> {
    let address = u8::try_from(number / PER_ADDRESS + 1).expect("fewer than 60 000");
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(4096)?;
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 66, 0, address)), 0))?;
    socket.connect(to).await
}

/// Holds on as long as it is let; how long that was.
async fn hold(to: SocketAddr, number: usize, kind: Kind) -> Duration {
    let began = Instant::now();
    let Ok(mut tcp) = connect(to, number).await else { return began.elapsed() };
    let _ = tcp.write_all(&kind.start()).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    let (mut half, mut answer) = (0, None);
    while began.elapsed() < GONE * 2 {
        ticks.tick().await;
        if kind == Kind::Reader && answer.is_none() {
            answer = first_line(&tcp).await;
        }
        let refused = answer.is_some_and(|line| line != *b"HTTP/1.1 200");
        if refused || is_gone(&tcp, kind) {
            break;
        }
        half += 1;
        if half % 2 == 0 {
            let _ = tcp.write_all(kind.drip(half / 2)).await;
        }
    }
    began.elapsed()
}

/// How the answer begins, once it is there. Who got another one than the large one holds nothing.
async fn first_line(tcp: &TcpStream) -> Option<[u8; 12]> {
    let mut line = [0; 12];
    let soon = Duration::from_millis(100);
    let peeked = tokio::time::timeout(soon, tcp.peek(&mut line)).await;
    matches!(peeked, Ok(Ok(12))).then_some(line)
}

/// Whether the other side has ended it. Who reads nothing learns of it by a reset; the others have read what there was.
fn is_gone(tcp: &TcpStream, kind: Kind) -> bool {
    if tcp.take_error().is_ok_and(|error| error.is_some()) {
        return true;
    }
    let mut piece = [0; 512];
    match kind {
        Kind::Reader => false,
        Kind::SlowReader => is_end(tcp.try_read(&mut piece[..50])),
        _ => loop {
            match tcp.try_read(&mut piece) {
                Ok(count) if count > 0 => {}
                other => break is_end(other),
            }
        },
    }
}

fn is_end(read: std::io::Result<usize>) -> bool {
    match read {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn slow_connections_are_gone_in_time_and_honest_callers_go_on() {
    let count = wanted("PORTCULLIS_SLOW_CONNECTIONS", 300);
    let world = World::start().await;
    mixed(&world, count, kind_of).await;
}

/// All of one kind and toward one upstream, whose requests are numbered: honest callers of the same upstream go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn slow_bodies_take_no_seats_of_honest_callers() {
    let count = wanted("PORTCULLIS_SLOW_CONNECTIONS", 300);
    let world = World::crowded(count).await;
    mixed(&world, count, |_| Kind::Body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn slow_readers_take_no_seats_of_honest_callers() {
    let count = wanted("PORTCULLIS_SLOW_READERS", 300);
    let world = World::crowded(count).await;
    mixed(&world, count, |number| if number % 2 == 0 { Kind::Reader } else { Kind::SlowReader })
        .await;
}

async fn mixed(world: &World, count: usize, kind_of: impl Fn(usize) -> Kind) {
    let to = world.gateway.address();
    let before = honest::alone(to, &world.request).await;
    let memory = world.gateway.resident_kib();
    world.gateway.reset_peak();

    let load = Load::start(to, &world.request);
    let (began, mut attack) = (Instant::now(), JoinSet::new());
    for number in 0..count {
        let kind = kind_of(number);
        attack.spawn(async move { (kind, hold(to, number, kind).await) });
        if number % 20 == 19 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let opened = began.elapsed();
    let mut longest = BTreeMap::new();
    for (kind, took) in attack.join_all().await {
        let own: &mut Duration = longest.entry(kind).or_default();
        *own = took.max(*own);
    }
    honest::enough(began).await;
    let during = load.stop();
    let peak = world.gateway.peak_kib();
    println!("slow: {count} connections, opened in {opened:.1?}; longest {longest:.1?}");
    println!("slow: resident {memory} KiB before, {peak} KiB at most");
    honest::tell("slow", &before, &during);
    for limit in ["head_timeout", "body_rate", "write_timeout", "max_requests"] {
        let line = format!("portcullis_connections_cut_total{{limit=\"{limit}\"}}");
        println!("slow: cut by {limit}: {}", world.figure(&line).await);
    }
    assert!(longest.values().all(|took| *took <= GONE), "{longest:?}");
    honest::kept_goodput(&during);
}

/// How a reader learns of the end is the system's affair; that a reset is seen is shown here.
#[tokio::test]
async fn a_reader_sees_its_end() {
    let world = World::start().await;
    let mut tcp = connect(world.gateway.address(), 0).await.unwrap();
    tcp.write_all(b"GET /open/large HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
    let line = "portcullis_connections_cut_total{limit=\"write_timeout\"}";
    let end = Instant::now() + GONE;
    while world.figure(line).await == 0 {
        assert!(Instant::now() < end, "it still holds on");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest).await;
    assert!((rest.len() as u64) < crate::LARGE, "{}", rest.len());
}
