//! Connections that hold on by being slow: a head, a body, a reader.

use std::{
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head,
    /// Where everybody may send one.
    Body,
    /// Where a credential is asked for.
    RefusedBody,
    Reader,
}

/// Few readers, for each fills buffers of the system.
fn kind_of(number: usize) -> Kind {
    match number % 50 {
        0 => Kind::Reader,
        1..25 => Kind::Head,
        25..40 => Kind::Body,
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
async fn hold(to: SocketAddr, number: usize, kind: Kind) -> (Kind, Duration) {
    let began = Instant::now();
    let Ok(mut tcp) = connect(to, number).await else { return (kind, began.elapsed()) };
    let start = match kind {
        Kind::Head => "GET /open/x HTTP/1.1\r\nHost: a.example\r\nX: ",
        Kind::Body => "POST /open/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n",
        Kind::RefusedBody => {
            "POST /closed/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n"
        }
        Kind::Reader => "GET /open/large HTTP/1.1\r\nHost: a.example\r\n\r\n",
    };
    let _ = tcp.write_all(start.as_bytes()).await;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    // A write meets a closed connection at the second try at the latest; a reader does not write, so it asks.
    while began.elapsed() < GONE * 2 {
        ticks.tick().await;
        let gone = match kind {
            Kind::Reader => is_reset(&tcp),
            Kind::Head | Kind::Body | Kind::RefusedBody => tcp.write_all(b"a").await.is_err(),
        };
        if gone {
            break;
        }
    }
    let took = began.elapsed();
    let _ = tcp.try_read(&mut [0; 1]);
    drop(tcp);
    (kind, took)
}

/// Whether the other side has ended it, without taking anything out of the buffer.
fn is_reset(tcp: &TcpStream) -> bool {
    tcp.take_error().is_ok_and(|error| error.is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_connections_are_gone_in_time_and_honest_callers_go_on() {
    let count = wanted("PORTCULLIS_SLOW_CONNECTIONS", 300);
    let world = World::start().await;
    let to = world.gateway.address();
    honest::alone(to, &world.request, Duration::from_secs(2)).await;
    let before = honest::alone(to, &world.request, Duration::from_secs(8)).await;
    let memory = world.gateway.resident_kib();

    let load = Load::start(to, &world.request);
    let mut attack = JoinSet::new();
    for number in 0..count {
        attack.spawn(hold(to, number, kind_of(number)));
        if number % 100 == 99 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let mut longest = [Duration::ZERO; 4];
    let kinds = [Kind::Head, Kind::Body, Kind::RefusedBody, Kind::Reader];
    let mut open = 0;
    while let Some(held) = attack.join_next().await {
        let (kind, took) = held.unwrap();
        open = open.max(world.gateway.resident_kib());
        let at = kinds.iter().position(|own| *own == kind).unwrap();
        longest[at] = longest[at].max(took);
    }
    let during = load.stop().await;
    println!("slow: {count} connections; longest {kinds:?} {longest:?}");
    println!("slow: resident {memory} KiB before, {open} KiB at most");
    println!("slow: honest before {before:?}");
    println!("slow: honest during {during:?}");
    for limit in ["head_timeout", "body_rate", "write_timeout"] {
        let line = format!("portcullis_connections_cut_total{{limit=\"{limit}\"}}");
        println!("slow: cut by {limit}: {}", world.figure(&line).await);
    }
    assert!(longest.iter().all(|took| *took <= GONE), "{longest:?}");
    assert!(during.goodput >= before.goodput * 0.95, "{before:?}, then {during:?}");
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
