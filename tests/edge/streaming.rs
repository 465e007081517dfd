//! Bodies pass through in both directions with flat memory; events arrive one by one.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::{
    bench::configuration,
    support::{
        gateway::Gateway,
        upstream::{Answer, Step, Upstream},
        wait, wire,
    },
};

const MIB: u64 = 1024 * 1024;

/// Megabytes each way; `PORTCULLIS_STREAM_MIB=1024` for the full run.
fn size() -> u64 {
    let wanted = std::env::var("PORTCULLIS_STREAM_MIB").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(256) * MIB
}

fn pair(
    handler: impl Fn(&crate::support::upstream::Recorded) -> Answer + Send + Sync + 'static,
) -> (Gateway, Upstream) {
    let upstream = Upstream::with(handler);
    let address = upstream.address;
    (Gateway::start(|places| configuration(places, address).text()), upstream)
}

#[tokio::test]
async fn a_huge_upload_passes_with_flat_memory() {
    let (gateway, upstream) = pair(|_| Answer::ok());
    let host = gateway.address();
    // Warm up, so that only the body is measured.
    let warm = format!("GET /large/warm HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(wire::exchange(host, warm).await.status, 200);
    gateway.reset_peak();
    let before = gateway.resident_kib();

    let size = size();
    let mut wire = wire::connect(host).await;
    wire.send(format!("POST /large/up HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n"))
        .await;
    let block = vec![b'x'; 64 * 1024];
    for _ in 0..size / block.len() as u64 {
        wire.send(&block).await;
    }
    let reply = wire.reply().await;
    assert_eq!(reply.status, 200);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!((seen.body_length, seen.complete), (size, true));

    let grown = gateway.peak_kib().saturating_sub(before);
    println!("upload of {} MiB: peak grew by {grown} KiB", size / MIB);
    assert!(grown < 24 * 1024, "peak grew by {grown} KiB");
}

#[tokio::test]
async fn a_huge_download_passes_with_flat_memory_even_to_a_slow_reader() {
    let size = size();
    let (gateway, _upstream) = pair(move |_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        Answer::steps(vec![Step::Send(head.into_bytes()), Step::Fill(size)])
    });
    let host = gateway.address();
    gateway.reset_peak();
    let before = gateway.resident_kib();
    let mut wire = wire::connect(host).await;
    wire.send(format!("GET /large/down HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    let head = wire.head().await.unwrap();
    assert_eq!(head.status, 200);
    // The upstream would send everything at once: what we have not read must wait there, not in the gateway.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = gateway.peak_kib().saturating_sub(before);
    assert!(waiting < 24 * 1024, "{waiting} KiB while nobody reads");
    assert_eq!(wire.swallow(&head).await, (size, true));

    let grown = gateway.peak_kib().saturating_sub(before);
    println!("download of {} MiB: peak grew by {grown} KiB", size / MIB);
    assert!(grown < 24 * 1024, "peak grew by {grown} KiB");
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let (gateway, _upstream) = pair(move |_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        let events = receiver.lock().unwrap().take().expect("asked once");
        Answer::steps(vec![Step::Send(head.into()), Step::Driven(events), Step::Close])
    });
    let host = gateway.address();
    let mut wire = wire::connect(host).await;
    wire.send(format!("GET /open/events HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    let head = wire.head().await.unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    for number in 0..5 {
        // The next one is sent only after this one arrived: nothing can be waiting for more.
        let event = format!("data: {number}\n\n");
        sender.send(chunk(&event)).unwrap();
        let mut got = Vec::new();
        while got.len() < event.len() {
            let piece = wait::within("an event", Duration::from_secs(10), wire.chunk()).await;
            got.extend(piece.expect("not the end"));
        }
        assert_eq!(got, event.as_bytes());
    }
    sender.send(b"0\r\n\r\n".to_vec()).unwrap();
    drop(sender);
    assert_eq!(wire.chunk().await, Some(Vec::new()), "a clean end");
}

#[tokio::test]
async fn an_upload_reaches_the_upstream_piece_by_piece() {
    // The upstream answers before the body is complete; the client sees it at once.
    let (gateway, _upstream) = pair(|_| Answer::ok());
    let host = gateway.address();
    let mut wire = wire::connect(host).await;
    wire.send(format!(
        "POST /large/x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ))
    .await;
    for _ in 0..10 {
        wire.send(chunk("some text")).await;
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.reply().await.status, 200);
}
