//! WebSockets and other upgraded connections.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use super::{
    proxying::public,
    support::{Edge, Upstream, backend, field, fill, plain, read_head, settings},
};

const ASK: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Agrees to the upgrade, then does what it is told.
fn agreeing(then: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Upstream {
    Upstream::raw(move |_, tcp| {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        tcp.write_all(head.as_bytes()).unwrap();
        then(tcp);
        false
    })
}

fn opened(edge: &Edge) -> TcpStream {
    let mut tcp = edge.connect();
    tcp.write_all(ASK).unwrap();
    let (head, _) = read_head(&mut tcp).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    tcp
}

#[test]
fn what_flows_through_a_tunnel_is_no_body() {
    const SIZE: usize = 64 << 10;
    let upstream = agreeing(|tcp| {
        let mut said = vec![0; SIZE];
        tcp.read_exact(&mut said).unwrap();
        tcp.write_all(b"all").unwrap();
    });
    let small = public(|route| (route.streaming, route.body_limit) = (true, 1024));
    let edge = Edge::start(small, &[upstream.settings()]);
    let mut tcp = opened(&edge);
    tcp.write_all(&vec![b'x'; SIZE]).unwrap();
    let mut answer = [0; 3];
    tcp.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"all");
}

#[test]
fn a_tunnel_stays_however_early_its_upstream_agrees() {
    const AGREED: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    // It agrees before it is asked, so that the answer is there whenever somebody looks.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let early = settings(vec![backend(listener.local_addr().unwrap())]);
    thread::spawn(move || {
        for tcp in listener.incoming() {
            thread::spawn(move || {
                let mut tcp = tcp.unwrap();
                tcp.write_all(AGREED).unwrap();
                // What the client says may be right behind the head.
                let (_, mut said) = read_head(&mut tcp).unwrap();
                while said.is_empty() && fill(&mut tcp, &mut said) {}
                tcp.write_all(&said).unwrap();
            });
        }
    });
    let edge = Edge::start(public(|route| route.streaming = true), &[early]);
    // More at once than there are cores.
    thread::scope(|all| {
        for _ in 0..8 {
            all.spawn(|| {
                for _ in 0..40 {
                    let mut tcp = opened(&edge);
                    tcp.write_all(b"?").unwrap();
                    let mut answer = [0; 1];
                    tcp.read_exact(&mut answer).expect("a tunnel that stays");
                    assert_eq!(&answer, b"?");
                }
            });
        }
    });
}

#[test]
fn a_tunnel_that_breaks_gets_no_refusal_written_into_it() {
    // Ends in a reset: bytes of ours are left unread.
    let upstream = agreeing(|tcp| {
        tcp.write_all(b"hi").unwrap();
        tcp.read_exact(&mut [0; 1]).unwrap();
    });
    let edge = Edge::start(public(|route| route.streaming = true), &[upstream.settings()]);
    let mut tcp = opened(&edge);
    let _ = tcp.write_all(&[b'x'; 4096]);
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest);
    let text = String::from_utf8_lossy(&rest);
    assert!(!text.contains("HTTP/1.1"), "{text}");
}

// requirement: 16
#[test]
fn a_route_that_does_not_stream_passes_no_upgrade_on() {
    let upstream = Upstream::start(|_| plain(200, "plain"));
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let mut tcp = edge.connect();
    tcp.write_all(ASK).unwrap();
    let (head, _) = read_head(&mut tcp).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let seen = &upstream.seen()[0].head;
    assert_eq!((field(seen, "upgrade"), field(seen, "connection")), (None, None));
}

// requirement: 16, 24
#[test]
fn a_101_that_nobody_asked_for_is_502() {
    let upstream = agreeing(|_| std::thread::sleep(Duration::from_millis(100)));
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let mut tcp = edge.connect();
    tcp.write_all(ASK).unwrap();
    let (head, _) = read_head(&mut tcp).unwrap();
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
}
