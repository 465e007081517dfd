//! Exactly one valid host, and every form of naming it agrees.

use crate::{
    bench::{assert_refused, bench, mark},
    support::wire,
};

// requirement: 21
#[tokio::test]
async fn anything_but_one_valid_host_is_refused() {
    let bench = bench();
    let host = bench.address();
    for fields in [
        String::new(),
        "Host:\r\n".to_owned(),
        "Host: \r\n".to_owned(),
        format!("Host: {host}\r\nHost: {host}\r\n"),
        format!("Host: {host}\r\nhost: other.example\r\n"),
        format!("Host: user@{host}\r\n"),
        format!("Host: {host}, other.example\r\n"),
        "Host: a b\r\n".to_owned(),
        "Host: a/b\r\n".to_owned(),
        "Host: a?b\r\n".to_owned(),
        "Host: a#b\r\n".to_owned(),
        "Host: a\\b\r\n".to_owned(),
        "Host: http://a\r\n".to_owned(),
        "Host: a:port\r\n".to_owned(),
        "Host: a:99999\r\n".to_owned(),
        "Host: [::1\r\n".to_owned(),
        "Host: a%00b\r\n".to_owned(),
    ] {
        let mark = mark();
        let text = format!("GET /open/{mark} HTTP/1.1\r\n{fields}\r\n");
        assert_refused(&bench.provoke(text).await, &fields);
        bench.none(&mark);
    }
}

#[tokio::test]
async fn usual_hosts_are_taken_and_preserved() {
    let bench = bench();
    for host in ["a", "example.org", "Example.ORG:8000", "127.0.0.1", "[::1]", "[::1]:80"] {
        let mark = mark();
        let text = format!("GET /open/{mark} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let reply = bench.exchange(text).await;
        assert_eq!(reply.status, 200, "{host}: {}", reply.text());
        let seen = bench.only(&mark);
        assert_eq!(seen.field("host").unwrap().to_lowercase(), host.to_lowercase());
    }
}

// requirement: 21
#[tokio::test]
async fn an_absolute_target_must_agree_with_the_host() {
    let bench = bench();
    let host = bench.address();
    let mark = mark();
    let text = format!("GET http://{host}/open/{mark}agree HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let reaction = bench.provoke(text).await;
    if let wire::Reaction::Replied(reply) = reaction {
        if reply.status == 200 {
            assert_eq!(bench.only(&mark).target(), format!("/open/{mark}agree"));
        } else {
            assert_eq!(reply.status, 400);
        }
    }
    for target in ["http://other.example", "http://user@other", "https://other.example", "ftp://x"]
    {
        let mark = crate::bench::mark();
        let text = format!("GET {target}/open/{mark} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_refused(&bench.provoke(text).await, target);
        bench.none(&mark);
    }
}

#[tokio::test]
async fn an_old_client_without_keep_alive_is_served() {
    let bench = bench();
    let mark = mark();
    let host = bench.address();
    let mut wire = wire::connect(host).await;
    wire.send(format!("GET /open/{mark} HTTP/1.0\r\nHost: {host}\r\n\r\n")).await;
    assert_eq!(wire.reply().await.status, 200);
    assert!(wire.is_closed().await);
}
