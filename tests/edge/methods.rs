//! HEAD, OPTIONS, TRACE, CONNECT and methods a route does not take.

use crate::{
    bench::{bench, mark, request},
    support::wire::{self, Reaction},
};

#[tokio::test]
async fn a_head_goes_on_as_head_and_has_no_body() {
    let bench = bench();
    let mark = mark();
    let mut wire = wire::connect(bench.address()).await;
    wire.send(request("HEAD", &format!("/open/{mark}"), "")).await;
    let reply = wire.head_reply().await;
    assert_eq!(reply.status, 200);
    assert_eq!(bench.only(&mark).method(), "HEAD");
    // A local refusal neither; the connection stays in step.
    wire.send(request("HEAD", "/closed/x", "")).await;
    let reply = wire.head_reply().await;
    assert_eq!(reply.status, 401);
    assert!(reply.header("content-length").is_some());
    if reply.header("connection").is_none_or(|value| !value.contains("close")) {
        wire.send(request("GET", &format!("/open/{mark}again"), "")).await;
        assert_eq!(wire.reply().await.status, 200);
    }
}

// requirement: 16
#[tokio::test]
async fn trace_and_connect_are_refused() {
    let bench = bench();
    let host = bench.address();
    let mark = mark();
    for text in [
        request("TRACE", &format!("/open/{mark}"), ""),
        request("TRACK", &format!("/only-get?{mark}"), ""),
        format!("CONNECT {mark}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("CONNECT /open/{mark} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ] {
        if let Reaction::Replied(reply) = bench.provoke(&text).await {
            assert!(matches!(reply.status, 400 | 405 | 501), "{text}: {}", reply.status);
        }
    }
    bench.none(&mark);
}

// requirement: 20
#[tokio::test]
async fn options_of_the_server_is_refused() {
    let bench = bench();
    let host = bench.address();
    let text = format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let reply = bench.exchange(text).await;
    assert!(matches!(reply.status, 400 | 404 | 405), "{}", reply.status);
}

#[tokio::test]
async fn a_method_the_route_does_not_take_is_405_with_allow() {
    let bench = bench();
    let reply = bench.exchange(request("DELETE", "/only-get", "")).await;
    assert_eq!(reply.status, 405);
    let allow = reply.header("allow").expect("Allow");
    assert!(allow.contains("GET"), "{allow}");
    assert!(reply.json().is_object());
    for method in ["GET", "HEAD"] {
        let mut wire = wire::connect(bench.address()).await;
        wire.send(request(method, "/only-get", "")).await;
        let reply = wire.try_reply(method == "HEAD").await.unwrap();
        assert_eq!(reply.status, 200, "{method}");
    }
}

#[tokio::test]
async fn methods_are_case_sensitive() {
    let bench = bench();
    let mark = mark();
    for method in ["get", "Get"] {
        if let Reaction::Replied(reply) =
            bench.provoke(request(method, &format!("/only-get?{mark}"), "")).await
        {
            assert!(matches!(reply.status, 400 | 405 | 501), "{method}: {}", reply.status);
        }
    }
    bench.none(&mark);
}

#[tokio::test]
async fn connections_are_kept_and_stay_in_step() {
    let bench = bench();
    let mut wire = wire::connect(bench.address()).await;
    for round in 0..20 {
        let mark = mark();
        let body = "x".repeat(round * 10);
        let fields = format!("Content-Length: {}\r\n", body.len());
        wire.send(format!("{}{body}", request("POST", &format!("/open/{mark}"), &fields))).await;
        assert_eq!(wire.reply().await.status, 200, "round {round}");
        assert_eq!(bench.only(&mark).body.len(), body.len());
    }
}
