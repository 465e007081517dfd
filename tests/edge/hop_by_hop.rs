//! Headers of one hop stay on that hop.

use crate::bench::{bench, mark, request};

// requirement: 17
#[tokio::test]
async fn hop_by_hop_headers_and_what_connection_names_stay_here() {
    let bench = bench();
    let mark = mark();
    let fields = "Connection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n\
                  TE: trailers\r\nX-Stays: 1\r\n";
    let reply = bench.exchange(request("GET", &format!("/open/{mark}"), fields)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = bench.only(&mark);
    for name in ["x-private", "keep-alive", "proxy-connection", "proxy-authorization", "te"] {
        assert_eq!(seen.field(name), None, "{name}");
    }
    assert_eq!(seen.field("x-stays").as_deref(), Some("1"));
}

// requirement: 17
#[tokio::test]
async fn a_connection_that_names_what_is_ours_is_400() {
    let bench = bench();
    for name in [
        "X-Auth-Subject",
        "x-auth-roles",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "Forwarded",
        "X-Request-ID",
        "Authorization",
        "X-API-Key",
        "Host",
        "Content-Length",
        "close, X-Auth-Subject",
        "x_auth_subject",
    ] {
        let mark = mark();
        let fields = format!("X-API-Key: {}\r\nConnection: {name}\r\n", bench.key);
        let reply = bench.exchange(request("GET", &format!("/closed/{mark}"), &fields)).await;
        assert_eq!(reply.status, 400, "Connection: {name}: {}", reply.text());
        bench.none(&mark);
    }
}

// requirement: 16
#[tokio::test]
async fn upgrades_are_not_passed_on() {
    let bench = bench();
    for (upgrade, more) in [
        ("h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"),
        (
            "websocket",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        ),
        ("tls/1.2", ""),
    ] {
        let mark = mark();
        let hidden = request("GET", &format!("/open/{mark}hidden"), "");
        let fields = format!("Connection: Upgrade\r\nUpgrade: {upgrade}\r\n{more}");
        let head = request("GET", &format!("/open/{mark}first"), &fields);
        let reply = bench.exchange(format!("{head}{hidden}")).await;
        assert_ne!(reply.status, 101, "{upgrade}");
        for seen in bench.seen(&mark) {
            assert_eq!(seen.field("upgrade"), None, "{upgrade}");
            assert_eq!(seen.field("http2-settings"), None);
            let raw = String::from_utf8_lossy(&seen.body).into_owned();
            assert!(!raw.contains("hidden"), "nothing behind the head goes on before a 101");
        }
    }
}
