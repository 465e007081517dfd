//! What is opened in the very moment in which its credential ends: decided before, open behind it.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinHandle, JoinSet},
};

use super::bench::{Bench, LIMIT, bearer, key_id, keyed, said, stalls};
use crate::support::{
    operate,
    tmws::{GOOD_PASSWORD, caller, login},
};

/// Clients that open one stream after the other.
const CLIENTS: usize = 8;
/// What one of them holds open at once.
const ROOM: usize = 20;
/// After how many in all the credential ends.
const BEFORE: usize = 400;

/// What became of one client's streams.
struct Seen {
    refused: Instant,
    ends: Vec<Instant>,
}

/// Opens streams until one is refused, then waits for the end of those that are open.
async fn client(address: SocketAddr, head: String, count: tokio::sync::mpsc::Sender<()>) -> Seen {
    let mut open = VecDeque::<JoinHandle<Instant>>::new();
    let refused = loop {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        match tcp.read_exact(&mut status).await {
            Ok(_) if status.ends_with(b"200") => open.push_back(tokio::spawn(end_of(tcp))),
            Ok(_) => {
                assert!(status.ends_with(b"401"), "{}", String::from_utf8_lossy(&status));
                break Instant::now();
            }
            // Ended before its answer began.
            Err(_) => {}
        }
        let _ = count.try_send(());
        if open.len() > ROOM {
            open.pop_front().unwrap().abort();
        }
    };
    let mut ends = Vec::new();
    for one in open {
        ends.push(one.await.unwrap());
    }
    Seen { refused, ends }
}

async fn end_of(mut tcp: TcpStream) -> Instant {
    let mut piece = [0; 4096];
    while tcp.read(&mut piece).await.is_ok_and(|count| count > 0) {}
    Instant::now()
}

/// Ends a credential while clients open streams under it, and holds all that were open to the second.
async fn none_survives(bench: &Bench, who: &(&'static str, String), path: &str, body: Value) {
    let stalls = stalls();
    let (name, value) = who;
    let head =
        format!("GET /plain/events/race HTTP/1.1\r\nHost: a.test\r\n{name}: {value}\r\n\r\n");
    let (count, mut counted) = tokio::sync::mpsc::channel(BEFORE);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(bench.gateway.address(), head.clone(), count.clone()));
    }
    for _ in 0..BEFORE {
        counted.recv().await.unwrap();
    }
    let (socket, path) = (bench.gateway.socket.clone(), path.to_owned());
    let asked = Instant::now();
    // Beside the clients, which go on meanwhile.
    let ended = tokio::task::spawn_blocking(move || {
        crate::support::plain::ask_json(&socket, "POST", &path, &body).unwrap().expect(200);
        Instant::now()
    });
    let ended = ended.await.unwrap();
    let (mut open, mut worst) = (0, Duration::ZERO);
    while let Some(seen) = clients.join_next().await {
        let Seen { refused, ends } = seen.unwrap();
        assert!(refused >= asked, "refused before its time");
        open += ends.len();
        for end in ends {
            worst = worst.max(end.saturating_duration_since(ended));
        }
    }
    let allowed = LIMIT + Duration::from_millis(stalls.load(std::sync::atomic::Ordering::Relaxed));
    println!("{open} were open, the last ended after {worst:?} of {allowed:?}");
    assert!(open > CLIENTS * ROOM / 2, "{open} were open");
    assert!(worst <= allowed, "one ended after {worst:?} of {allowed:?}");
}

// requirement: 10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_opened_in_the_moment_of_the_end_survives_it() {
    let bench = Bench::with_admin().await;
    let key = operate::admin_key(&bench.gateway, &["FULL"]);
    let path = format!("/v1/keys/{}/revoke", key_id(&key));
    none_survives(&bench, &keyed(&key), &path, Value::Null).await;

    let name = operate::someone(&bench.gateway, "USER");
    let token = async || login(&caller(&bench.gateway), &name, GOOD_PASSWORD).await.access;
    let own = token().await;
    let path = format!("/v1/sessions/{}/end", said(&own)["sid"].as_str().unwrap());
    none_survives(&bench, &bearer(&own), &path, Value::Null).await;
    let own = token().await;
    none_survives(&bench, &bearer(&own), &format!("/v1/users/{name}/disable"), json!({})).await;
}
