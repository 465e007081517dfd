//! What is written down: no secret, and no line that a client has made up.

use serde_json::Value;

use crate::{
    bench::{SECRET, bench, mark},
    support::{canary, plain, tmws::fresh_address, wait, wire},
};

/// Texts that try to end a line, to begin another, or to change what a reader sees.
const FORGERIES: [&str; 16] = [
    r#"x","target":"access","request_id":"forged"#,
    r#"x\","request_id":"forged"#,
    r#"x\\","request_id":"forged"#,
    "x\u{85}{\"request_id\":\"forged\"}",
    "x\u{2028}{\"request_id\":\"forged\"}",
    "x\u{2029}{\"request_id\":\"forged\"}",
    "x\u{9b}31m",
    "x\u{202e}degrof",
    "x\u{2066}forged\u{2069}",
    "x\u{200f}\u{61c}",
    "\u{fffd}\u{10ffff}",
    "x\\u000a{\\\"request_id\\\":\\\"forged\\\"}",
    "%0a{%22request_id%22:%22forged%22}",
    "${jndi:ldap://127.0.0.1:1/forged}",
    "x\tforged",
    "\u{feff}{\"request_id\":\"forged\"}",
];

// requirement: 38
#[tokio::test]
async fn no_client_can_write_a_log_line() {
    let bench = bench();
    let host = bench.gateway.address();
    let mut ids = Vec::new();
    for forgery in FORGERIES {
        let mark = mark();
        let escaped =
            percent_encoding::utf8_percent_encode(forgery, percent_encoding::NON_ALPHANUMERIC);
        for request in [
            format!("GET /open/{mark} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {forgery}\r\n\r\n"),
            format!("GET /open/{mark}{escaped} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            format!(
                "GET /open/{mark}?{escaped} HTTP/1.1\r\nHost: {host}\r\nX-Request-ID: forged\r\n\r\n"
            ),
            format!("GET /closed/{mark} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {forgery}\r\n\r\n"),
        ] {
            let mut wire = wire::connect_from(host, Some(fresh_address())).await.expect("connect");
            let _ = wire.try_send(request).await;
            if let Some(reply) = wire.try_reply(false).await {
                ids.extend(reply.header("x-request-id").map(str::to_owned));
            }
        }
        let body = serde_json::json!({"username": forgery, "password": "x"}).to_string();
        let text = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = wire::exchange(host, text).await;
    }
    let lines = wait::until("a line for each", || async {
        let all = bench.gateway.stdout.all().into_iter().chain(bench.gateway.stderr.all());
        let lines: Vec<String> = all.filter(|line| line.starts_with('{')).collect();
        ids.iter().all(|id| lines.iter().any(|line| line.contains(id.as_str()))).then_some(lines)
    })
    .await;
    for line in &lines {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_ne!(read["request_id"], "forged", "{line}");
        assert!(read["target"].is_string() && read["level"].is_string(), "{line}");
        let seen = |c: char| {
            c.is_control()
                || ('\u{2028}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!line.contains(seen), "{line:?}");
    }
    assert!(ids.len() >= 3 * FORGERIES.len(), "{}", ids.len());
}

/// After all of it: nothing that was said or is shown holds a secret. [`canary`] looks at the lines of every other suite.
// requirement: 38
#[tokio::test]
async fn no_record_holds_a_secret() {
    let bench = bench();
    let host = bench.gateway.address();
    let token = bench.token(&bench.admin, &["SUPER_ADMIN"]);
    let mut said = String::new();
    for fields in [
        format!("Authorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}x\r\n"),
        format!("Authorization: Basic {token}\r\n"),
        format!("X-API-Key: {}\r\n", bench.full_key),
        format!("X-API-Key: {}x\r\n", bench.full_key),
        format!("Cookie: session={token}\r\n"),
        format!("Connection: authorization\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
    ] {
        for path in ["/closed/x", "/open/x", "/admin/x", "/nowhere", "/api/v1/auth/me", "/open/%00"]
        {
            let text = format!("GET {path}?t={token} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
            let reply = wire::exchange(host, text).await;
            said.push_str(&format!("{:?} {}\n", reply.headers, reply.text()));
        }
    }
    said.push_str(&bench.gateway.output());
    said.push_str(&bench.gateway.operator().get("/metrics").await.expect(200).text());
    for path in ["/v1/config/effective", "/v1/audit", "/v1/users", "/v1/keys", "/v1/sessions"] {
        let reply = plain::ask(&bench.gateway.socket, "GET", path, "application/json", b"");
        said.push_str(&reply.expect("an answer").text());
    }
    assert_eq!(canary::secret_in(&said), None);
    let (_, secret) = bench.full_key.split_once('.').expect("id and secret");
    for canary in [SECRET, secret, token.rsplit('.').next().expect("a signature")] {
        assert!(!said.contains(canary), "{canary}");
    }
}
