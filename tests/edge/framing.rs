//! One message, one length. Whatever two parsers could read differently is refused, and nothing of it goes on.

use crate::{
    bench::{assert_refused, bench, mark, request},
    support::wire::{self, Reaction},
};

/// A POST to the open route with these fields and this body, and a second request hidden behind it.
fn smuggle(mark: &str, fields: &str, body: &str) -> String {
    let hidden = request("GET", &format!("/open/{mark}hidden"), "");
    let first = request("POST", &format!("/open/{mark}first"), fields);
    format!("{first}{body}{hidden}")
}

// requirement: 15
#[tokio::test]
async fn two_lengths_are_refused() {
    let bench = bench();
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    for (fields, body) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked),
        ("content-length: 0\r\ntransfer-encoding: chunked\r\n", chunked),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        ("Content-Length: 5, 5\r\n", "hello"),
        ("Content-Length: 5,6\r\n", "hello"),
    ] {
        let mark = mark();
        let reaction = bench.provoke(smuggle(&mark, fields, body)).await;
        assert_refused(&reaction, fields);
        bench.none(&mark);
    }
}

// requirement: 15
#[tokio::test]
async fn a_length_is_digits() {
    let bench = bench();
    for value in [
        "+5",
        "-5",
        "0x5",
        "5a",
        "5.0",
        "",
        " ",
        "five",
        "5 5",
        "99999999999999999999999",
        "\u{665}",
    ] {
        let mark = mark();
        let fields = format!("Content-Length: {value}\r\n");
        let reaction = bench.provoke(smuggle(&mark, &fields, "hello")).await;
        assert_refused(&reaction, &fields);
        bench.none(&mark);
    }
}

// requirement: 15
#[tokio::test]
async fn a_transfer_coding_is_exactly_chunked() {
    let bench = bench();
    let body = "5\r\nhello\r\n0\r\n\r\n";
    for fields in [
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let mark = mark();
        let reaction = bench.provoke(smuggle(&mark, fields, body)).await;
        assert_refused(&reaction, fields);
        bench.none(&mark);
    }
}

// requirement: 15
#[tokio::test]
async fn an_old_version_has_no_transfer_coding() {
    let bench = bench();
    let mark = mark();
    let host = bench.address();
    let text = format!(
        "POST /open/{mark} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\n"
    );
    assert_refused(&bench.provoke(text).await, "TE in 1.0");
    bench.none(&mark);
}

// requirement: 15
#[tokio::test]
async fn odd_bytes_in_a_head_are_refused() {
    let bench = bench();
    let host = bench.address();
    let mark = mark();
    let path = format!("/open/{mark}");
    for head in [
        format!("GET {path} HTTP/1.1\nHost: {host}\n\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\nA: b\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nA: b\rc\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nA: b\0c\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nA: b\r\n folded\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nA : b\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length : 5\r\n\r\nhello"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n: nameless\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nno colon\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nA(b): c\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nA\u{1}: c\r\n\r\n"),
        format!("GET\t{path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET {path} \r\nHost: {host}\r\n\r\n"),
        format!("GET {path}\r\nHost: {host}\r\n\r\n"),
        format!("GET {path} HTTP/1.1 x\r\nHost: {host}\r\n\r\n"),
        format!("GET {path} HTTP/9.9\r\nHost: {host}\r\n\r\n"),
        format!("GET {path} HTTP/2.0\r\nHost: {host}\r\n\r\n"),
        format!("GET {path} http/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET {path} HTTP/1.10\r\nHost: {host}\r\n\r\n"),
        format!("G(T {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ] {
        match bench.provoke(&head).await {
            Reaction::Closed => {}
            Reaction::Replied(reply) => {
                assert!((400..=505).contains(&reply.status), "{head:?}: {}", reply.status);
            }
        }
        let lines: Vec<_> = bench.seen(&mark).iter().map(|seen| seen.line()).collect();
        assert!(lines.is_empty(), "{head:?} arrived as {lines:?}");
    }
}

/// The library below repairs blanks in a target by escaping them before any hook sees the request.
#[tokio::test]
async fn a_blank_in_a_target_is_refused() {
    let bench = bench();
    let host = bench.address();
    for sent in ["{m}a b", "{m} ", "{m}x HTTP/1.1"] {
        let mark = mark();
        let target = format!("/open/{}", sent.replace("{m}", &mark));
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_refused(&bench.provoke(text).await, sent);
        bench.none(&mark);
    }
}

// requirement: 15
#[tokio::test]
async fn a_broken_chunk_is_never_a_clean_end() {
    let bench = bench();
    for body in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello\r\n\r\n",
        "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhel",
    ] {
        let mark = mark();
        let fields = "Transfer-Encoding: chunked\r\n";
        let mut wire = wire::connect(bench.address()).await;
        let head = request("POST", &format!("/open/{mark}first"), fields);
        let hidden = request("GET", &format!("/open/{mark}hidden"), "");
        wire.send(format!("{head}{body}{hidden}")).await;
        wire.finish().await;
        let reply = wire.try_reply(false).await;
        if let Some(reply) = &reply {
            assert!(reply.status >= 400, "{body:?} was answered {}", reply.status);
        }
        for seen in bench.seen(&mark) {
            assert!(!seen.complete, "{body:?} arrived as a whole: {}", seen.line());
            assert!(!seen.target().contains("hidden"), "smuggled by {body:?}");
        }
    }
}

#[tokio::test]
async fn a_body_cut_short_is_never_a_clean_end() {
    let bench = bench();
    for (fields, body) in [
        ("Content-Length: 10\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhe"),
    ] {
        let mark = mark();
        let mut wire = wire::connect(bench.address()).await;
        wire.send(format!("{}{body}", request("POST", &format!("/open/{mark}"), fields))).await;
        wire.finish().await;
        if let Some(reply) = wire.try_reply(false).await {
            assert!(reply.status >= 400, "{fields}: {}", reply.status);
        }
        assert!(bench.seen(&mark).iter().all(|seen| !seen.complete), "{fields}");
    }
}

// requirement: 15
#[tokio::test]
async fn what_stands_behind_a_refused_body_is_not_read_as_a_request() {
    let bench = bench();
    let mark = mark();
    let hidden = request("GET", &format!("/open/{mark}"), "");
    // Refused before its body was read: the body is a request in disguise.
    let fields = format!("Content-Length: {}\r\n", hidden.len());
    let text = format!("{}{hidden}", request("POST", "/closed/x", &fields));
    let mut wire = wire::connect(bench.address()).await;
    wire.send(text).await;
    assert_eq!(wire.reply().await.status, 401);
    assert!(wire.is_closed().await, "the connection is not used again");
    bench.none(&mark);
}

#[tokio::test]
async fn well_framed_bodies_arrive_whole() {
    let bench = bench();
    for (fields, body) in [
        ("Content-Length: 5\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let mark = mark();
        let text = format!("{}{body}", request("POST", &format!("/open/{mark}"), fields));
        let reply = bench.exchange(text).await;
        assert_eq!(reply.status, 200, "{fields}: {}", reply.text());
        let seen = bench.only(&mark);
        assert_eq!(seen.body, b"hello");
        let lengths = seen.all("content-length").len() + seen.all("transfer-encoding").len();
        assert_eq!(lengths, 1, "one length goes on");
    }
}

// requirement: 23
// limit: 1
#[tokio::test]
async fn heads_beyond_the_limits_are_refused_early() {
    let bench = bench();
    let mark = mark();
    let path = format!("/open/{mark}");
    let long_line = request("GET", &format!("{path}?{}", "x".repeat(9_000)), "");
    let long_field = request("GET", &path, &format!("A: {}\r\n", "x".repeat(9_000)));
    let many: String = (0..120).map(|n| format!("A-{n}: b\r\n")).collect();
    let many = request("GET", &path, &many);
    let all: String = (0..40).map(|n| format!("A-{n}: {}\r\n", "x".repeat(1_000))).collect();
    let all = request("GET", &path, &all);
    for (what, text, statuses) in [
        ("a request line of 9 KiB", long_line, [414, 431, 400]),
        ("a field of 9 KiB", long_field, [431, 431, 400]),
        ("120 fields", many, [431, 431, 400]),
        ("40 KiB of fields", all, [431, 431, 400]),
    ] {
        let Reaction::Replied(reply) = bench.provoke(text).await else { continue };
        assert!(statuses.contains(&reply.status), "{what}: {}", reply.status);
    }
    bench.none(&mark);
}

#[tokio::test]
async fn ninety_fields_and_long_ones_within_the_limits_pass() {
    let bench = bench();
    let mark = mark();
    let mut fields: String = (0..80).map(|n| format!("A-{n}: b\r\n")).collect();
    fields.push_str(&format!("Long: {}\r\n", "x".repeat(7_000)));
    let reply = bench.exchange(request("GET", &format!("/open/{mark}"), &fields)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(bench.only(&mark).field("a-79").as_deref(), Some("b"));
}
