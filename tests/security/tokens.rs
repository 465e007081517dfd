//! Tokens that our own key signed but that are none: every claim and header member in the wrong form.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

use crate::{
    bench::{Bench, bench, claims, mark, now, signed},
    cases,
    support::{tmws::fresh_address, upstream::Upstream, wire},
};

// requirement: 1, 3, 4, 6, 7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_in_a_wrong_form_is_never_an_absent_one() {
    let bench = bench();
    let faults = play(bench, bench.gateway.address()).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Sends every token to the gateway, or to a proxy in front; what is wrong with the answers.
///
/// A line is `200`, `401` and so on, the header, the claims, why. The claims are JSON text, in which `CLAIMS` stands for the
/// members of a good token without the ones named behind `-`, and `NOW+n` for a date.
pub async fn play(bench: &Bench, to: SocketAddr) -> Vec<String> {
    let mut faults = Vec::new();
    for (place, cells) in cases::lines("claims", 4) {
        let header = cells[1].replace("STD", r#""alg":"HS256","typ":"JWT""#);
        let token = signed(&header, &payload(&cells[2], &bench.admin));
        let mark = mark();
        let request = format!(
            "GET /closed/{mark} HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let mut wire = wire::connect_from(to, Some(fresh_address())).await.expect("connect");
        wire.send(request).await;
        let status = wire.reply().await.status;
        let arrived = bench.upstream.seen().iter().any(|seen| seen.target().contains(&mark));
        if status.to_string() != cells[0] || arrived != (status == 200) {
            faults.push(format!("{place}: {status}, not {}: {} {}", cells[0], cells[2], cells[3]));
        }
    }
    faults
}

/// Addresses of keys in a header, whoever signed it, are not even connected to.
// requirement: 2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_in_a_token_are_never_asked() {
    let bench = bench();
    let keys = Upstream::start();
    let url = format!("{}/jwks.json", keys.url());
    let jwk = r#"{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}"#;
    for member in [
        format!(r#""jku":"{url}""#),
        format!(r#""x5u":"{url}""#),
        format!(r#""jku":"{url}","kid":"{url}""#),
        format!(r#""jwk":{jwk}"#),
        format!(r#""x5c":["{url}"]"#),
        format!(r#""kid":"{url}""#),
        r#""kid":"../../../etc/passwd""#.to_owned(),
        format!(r#""kid":"{}""#, "k".repeat(257)),
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":"JWT",{member}}}"#);
        for token in [
            signed(&header, &claims(&bench.admin, &["SUPER_ADMIN"]).to_string()),
            format!("{}.e30.c2lnbmF0dXJl", B64.encode(&header)),
        ] {
            let host = bench.gateway.address();
            let request = format!(
                "GET /closed/jku HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            let mut wire = wire::connect_from(host, Some(fresh_address())).await.expect("connect");
            wire.send(request).await;
            assert_eq!(wire.reply().await.status, 401, "{header}");
        }
    }
    assert_eq!(keys.connections(), 0);
}

/// A role that only looks like the one that is asked for is another one.
// requirement: 9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_a_whole_word() {
    let bench = bench();
    let host = bench.gateway.address();
    for (role, status) in [
        ("SUPER_ADMIN", 200),
        ("SUPER_ADMINX", 403),
        ("XSUPER_ADMIN", 403),
        ("SUPER_ADMI", 403),
        ("SUPER", 403),
        ("super_admin", 403),
        ("SUPER_ADMIN ", 403),
        ("SUPER_ADMIN,USER", 403),
        ("USER SUPER_ADMIN", 403),
        ("*", 403),
        ("", 403),
    ] {
        let mark = mark();
        let token = bench.token(&bench.admin, &[role]);
        let request = format!(
            "GET /admin/{mark} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let reply = wire::exchange(host, request).await;
        assert_eq!(reply.status, status, "{role:?}: {}", reply.text());
        let arrived = bench.upstream.seen().iter().any(|seen| seen.target().contains(&mark));
        assert_eq!(arrived, status == 200, "{role:?}");
    }
}

fn payload(text: &str, subject: &str) -> String {
    let mut good = claims(subject, &["USER"]);
    let members = good.as_object_mut().expect("an object");
    let (text, without) = text.split_once(" -- ").unwrap_or((text, ""));
    for name in without.split_whitespace() {
        members.remove(name).unwrap_or_else(|| panic!("no claim {name}"));
    }
    let rest = good.to_string();
    let rest = rest.trim_start_matches('{').trim_end_matches('}');
    let text = text.replace("CLAIMS", rest);
    let mut out = String::new();
    let mut pieces = text.split("NOW");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end =
            piece[1..].find(|char: char| !char.is_ascii_digit()).map_or(piece.len(), |at| at + 1);
        let offset: i64 = piece[..end].parse().expect("NOW+n or NOW-n");
        out.push_str(&format!("{}{}", now() + offset, &piece[end..]));
    }
    out
}
