use std::{
    io::{Read, Write},
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use super::{
    proxying::public,
    support::{Answer, Edge, Upstream, read_head},
};

#[test]
fn events_arrive_one_by_one() {
    let (next, order) = mpsc::channel::<()>();
    let order = Mutex::new(order);
    let upstream = Upstream::raw(move |_, tcp| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        tcp.write_all(head.as_bytes()).unwrap();
        for at in 0..3 {
            order.lock().unwrap().recv().unwrap();
            tcp.write_all(format!("8\r\ndata: {at}\n\r\n").as_bytes()).unwrap();
        }
        tcp.write_all(b"0\r\n\r\n").unwrap();
        true
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let mut tcp = edge.connect();
    tcp.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let (_, mut seen) = read_head(&mut tcp).unwrap();
    for at in 0..3 {
        next.send(()).unwrap();
        let wanted = format!("data: {at}");
        while !String::from_utf8_lossy(&seen).contains(&wanted) {
            let mut piece = [0; 256];
            let read = tcp.read(&mut piece).unwrap();
            assert_ne!(read, 0);
            seen.extend_from_slice(&piece[..read]);
        }
    }
}

// limit: 9
#[test]
fn a_silent_event_stream_outlives_the_gap_of_ordinary_answers() {
    let upstream = Upstream::raw(|_, tcp| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        tcp.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(600));
        tcp.write_all(b"2\r\nok\r\n0\r\n\r\n").unwrap();
        true
    });
    let quick = public(|route| route.timeouts.between_bytes = Duration::from_millis(100));
    let edge = Edge::start(quick, &[upstream.settings()]);
    assert!(edge.get("/events").complete);
}

#[test]
fn a_large_body_streams_both_ways() {
    const SIZE: usize = 8 << 20;
    let upstream = Upstream::raw(|seen, tcp| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len());
        tcp.write_all(head.as_bytes()).unwrap();
        tcp.write_all(&seen.body).unwrap();
        true
    });
    let edge = Edge::start(public(|route| route.body_limit = SIZE as u64), &[upstream.settings()]);
    let mut tcp = edge.connect();
    let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
    tcp.write_all(head.as_bytes()).unwrap();
    let body: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    tcp.write_all(&body).unwrap();
    let answer = Answer::read(&mut tcp, false);
    assert!(answer.complete && answer.body == body);
}

#[test]
fn a_client_that_leaves_ends_the_upstreams_work() {
    let (gone, told) = mpsc::channel();
    let gone = Mutex::new(gone);
    let upstream = Upstream::raw(move |_, tcp| {
        // The end of the connection is what a cancelled request looks like from here.
        let read = tcp.read(&mut [0; 16]);
        gone.lock().unwrap().send(matches!(read, Ok(0) | Err(_))).unwrap();
        false
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let mut tcp = edge.connect();
    tcp.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    while upstream.seen().is_empty() {
        std::thread::yield_now();
    }
    let left = Instant::now();
    drop(tcp);
    assert!(told.recv_timeout(Duration::from_secs(5)).unwrap());
    assert!(left.elapsed() < Duration::from_secs(1));
}

// requirement: 16
#[test]
fn websockets_are_tunnelled_only_after_the_upstream_agreed() {
    let upstream = Upstream::raw(|_, tcp| {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        tcp.write_all(head.as_bytes()).unwrap();
        let mut said = [0; 4];
        tcp.read_exact(&mut said).unwrap();
        tcp.write_all(&said).unwrap();
        false
    });
    let streaming = public(|route| route.streaming = true);
    let edge = Edge::start(streaming, &[upstream.settings()]);
    let mut tcp = edge.connect();
    let ask = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    tcp.write_all(ask.as_bytes()).unwrap();
    let (head, _) = read_head(&mut tcp).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    tcp.write_all(b"ping").unwrap();
    let mut echo = [0; 4];
    tcp.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"ping");
}
