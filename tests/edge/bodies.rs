//! The body limit, by announced length and by what comes.

use crate::{
    bench::{bench, mark, request},
    support::wire,
};

// requirement: 23
// limit: 4
#[tokio::test]
async fn a_body_of_the_limit_passes_and_one_byte_more_is_413() {
    let bench = bench();
    for (size, status) in [(0, 200), (1_024, 200), (1_025, 413), (1_000_000, 413)] {
        let mark = mark();
        let fields = format!("Content-Length: {size}\r\n");
        let mut wire = wire::connect(bench.address()).await;
        wire.send(request("POST", &format!("/small/{mark}"), &fields)).await;
        let _ = wire.try_send("x".repeat(size)).await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, status, "{size}: {}", reply.text());
        if status == 413 {
            assert!(reply.json().is_object());
            assert!(wire.is_closed().await, "leftover bytes are no request");
            bench.none(&mark);
        } else {
            assert_eq!(bench.only(&mark).body_length, size as u64);
        }
    }
}

// limit: 4
#[tokio::test]
async fn an_announced_length_is_refused_before_the_body_comes() {
    let bench = bench();
    let mark = mark();
    let fields = "Content-Length: 1025\r\nExpect: 100-continue\r\n";
    let mut wire = wire::connect(bench.address()).await;
    wire.send(request("POST", &format!("/small/{mark}"), fields)).await;
    assert_eq!(wire.reply().await.status, 413);
    bench.none(&mark);
}

// limit: 4
#[tokio::test]
async fn a_chunked_body_beyond_the_limit_is_413_and_never_a_whole_request() {
    let bench = bench();
    for pieces in [[1_025, 0], [1_000, 100], [600, 600]] {
        let mark = mark();
        let mut text = request("POST", &format!("/small/{mark}"), "Transfer-Encoding: chunked\r\n");
        for size in pieces.into_iter().filter(|size| *size > 0) {
            text.push_str(&format!("{size:x}\r\n{}\r\n", "x".repeat(size)));
        }
        text.push_str("0\r\n\r\n");
        let reply = bench.exchange(text).await;
        assert_eq!(reply.status, 413, "{pieces:?}: {}", reply.text());
        assert!(bench.seen(&mark).iter().all(|seen| !seen.complete), "{pieces:?}");
    }
}

#[tokio::test]
async fn a_chunked_body_within_the_limit_passes() {
    let bench = bench();
    let mark = mark();
    let mut text = request("POST", &format!("/small/{mark}"), "Transfer-Encoding: chunked\r\n");
    for _ in 0..4 {
        text.push_str(&format!("100\r\n{}\r\n", "x".repeat(256)));
    }
    text.push_str("0\r\n\r\n");
    assert_eq!(bench.exchange(text).await.status, 200);
    assert_eq!(bench.only(&mark).body_length, 1_024);
}

#[tokio::test]
async fn a_get_may_have_a_body() {
    let bench = bench();
    let mark = mark();
    let text = format!("{}hi", request("GET", &format!("/open/{mark}"), "Content-Length: 2\r\n"));
    assert_eq!(bench.exchange(text).await.status, 200);
    assert_eq!(bench.only(&mark).body, b"hi");
}

#[tokio::test]
async fn who_expects_to_continue_is_told_to() {
    let bench = bench();
    let mark = mark();
    let fields = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    let mut wire = wire::connect(bench.address()).await;
    wire.send(request("POST", &format!("/open/{mark}"), fields)).await;
    let head = wire.head().await.expect("an interim reply");
    if head.status == 100 {
        wire.send("hello").await;
        assert_eq!(wire.reply().await.status, 200);
        assert_eq!(bench.only(&mark).body, b"hello");
    } else {
        assert_eq!(head.status, 417, "100 or 417");
    }
}
