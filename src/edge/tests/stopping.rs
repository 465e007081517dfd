use std::{
    io::{Read, Write},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use super::{
    proxying::public,
    support::{Answer, Edge, Upstream, plain},
};
use crate::edge::{EdgeError, Live, testing};

#[test]
fn idle_connections_do_not_hold_a_stop_up() {
    let upstream = Upstream::ok();
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let mut used = edge.connect();
    used.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    Answer::read(&mut used, false);
    let silent = edge.connect();
    let began = Instant::now();
    edge.join();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(used.read(&mut [0; 1]).unwrap_or(0), 0);
    drop(silent);
}

#[test]
fn a_running_request_finishes_and_new_connections_are_refused() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |_| {
        wait.lock().unwrap().recv().unwrap();
        plain(200, "done")
    });
    let edge = Edge::start(public(|_| {}), &[upstream.settings()]);
    let mut tcp = edge.connect();
    tcp.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    while upstream.seen().is_empty() {
        std::thread::yield_now();
    }
    edge.tell_stop();
    while std::net::TcpStream::connect(edge.address).is_ok() {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    let answer = Answer::read(&mut tcp, false);
    assert_eq!((answer.status, &*answer.text()), (200, "done"));
    edge.join();
}

#[test]
fn a_taken_address_is_told_by_name() {
    let first = Edge::start(public(|_| {}), &[]);
    let mut settings = first.shared.settings.clone();
    settings.listeners[0].address = first.address;
    let parts = crate::edge::Parts {
        limiter: Arc::clone(&first.shared.parts.limiter),
        lookup: Arc::clone(&first.shared.parts.lookup),
        revocations: Arc::clone(&first.shared.parts.revocations),
        metrics: first.shared.parts.metrics.clone(),
        clock: Arc::clone(&first.shared.parts.clock),
        random: Arc::clone(&first.shared.parts.random),
        access: first.shared.parts.access.clone(),
    };
    let live = Live::build(
        Arc::new(testing::snapshot()),
        &[],
        Arc::default(),
        None,
        &parts.metrics,
        Default::default(),
    );
    let second = crate::edge::Shared::new(parts, settings, live).unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let error = crate::edge::serve(second, stopped).unwrap_err();
    assert!(matches!(&error, EdgeError::Bind { name, .. } if &**name == "public"), "{error}");
}

#[test]
fn a_reload_changes_the_rules_of_the_next_request_and_keeps_unchanged_pools() {
    let upstream = Upstream::ok();
    let settings = [upstream.settings()];
    let edge = Edge::start(public(|_| {}), &settings);
    let mut tcp = edge.connect();
    let mut ask = || {
        tcp.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        Answer::read(&mut tcp, false).status
    };
    assert_eq!(ask(), 200);
    let old = edge.shared.live();
    let metrics = &edge.shared.parts.metrics;
    let next = Live::build(
        Arc::new(testing::snapshot()),
        &settings,
        Arc::default(),
        Some(&old),
        metrics,
        Default::default(),
    );
    assert!(Arc::ptr_eq(&old.pools()[0], &next.pools()[0]));
    edge.shared.swap(next);
    assert_eq!(ask(), 404);
}
