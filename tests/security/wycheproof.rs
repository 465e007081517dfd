//! Every token of Project Wycheproof (`tests/data/wycheproof`) at the running gateway: none is ours, so none passes.
//!
//! The verdicts of the verifying function are held in `src/pipeline/jwt/tests/wycheproof.rs`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    bench::{bench, mark},
    support::{tmws::fresh_address, wire},
};

const FILES: [&str; 4] = ["signature", "crypto", "key", "encryption"];

/// Every `jws` and `jwe` of the files, compact or not.
fn tokens() -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    for name in FILES {
        let path = format!(
            "{}/tests/data/wycheproof/json_web_{name}_test.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut count = 0;
        for group in file["testGroups"].as_array().unwrap() {
            for test in group["tests"].as_array().unwrap() {
                for member in ["jws", "jwe"] {
                    match &test[member] {
                        Value::String(text) => drop(tokens.insert(text.clone())),
                        Value::Null => continue,
                        other => drop(tokens.insert(other.to_string())),
                    }
                }
                count += 1;
            }
        }
        assert_eq!(count, file["numberOfTests"].as_u64().unwrap(), "{name}");
    }
    tokens
}

// requirement: 1, 3, 4, 5
#[tokio::test]
async fn no_foreign_token_passes() {
    let bench = bench();
    let tokens = tokens();
    assert!(tokens.len() > 500, "{}", tokens.len());
    let mut faults = Vec::new();
    for token in tokens {
        let mark = mark();
        let host = bench.gateway.address();
        let head = format!("GET /closed/{mark} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer ");
        let request = [head.as_bytes(), token.as_bytes(), b"\r\n\r\n"].concat();
        let mut wire = wire::connect_from(host, Some(fresh_address())).await.expect("connect");
        let _ = wire.try_send(request).await;
        let status = wire.try_reply(false).await.map_or(0, |reply| reply.status);
        if !matches!(status, 400 | 401) {
            faults.push(format!("{status}: {token}"));
        }
        if bench.upstream.seen().iter().any(|seen| seen.target().contains(&mark)) {
            faults.push(format!("arrived: {token}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
