//! The checklist of `docs/security.md`: each requirement with the names of the tests that hold it, read from the comments
//! `// requirement: 15, 20` above them; and the limits that hold with an empty file, by `// limit: 3`.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use super::generated::{cell, holds};
use crate::file;

/// What must be met, by its number.
const REQUIREMENTS: [&str; 40] = [
    "The algorithm comes from the key and never from the token; `none`, HMAC against a public key and unknown names are refused (RFC 8725 3.1)",
    "Keys and addresses of keys in a token are never used or fetched; `kid` is a map key of at most 256 bytes (RFC 8725 3.10)",
    "Only compact signed tokens of three parts: no encryption, no JSON form, no nested token, no `crit` (RFC 7515 4.1.11, 7.1)",
    "Strict decoding: base64url without padding and loose bits, UTF-8, no member twice, depth 16, 8 KiB, before any signature work (RFC 8725 3.7)",
    "Keys: RSA of 2048 to 8192 bits with a sound exponent and no ROCA key, points on their curve, secrets as long as their hash, no set of two kinds or with one name twice (RFC 7518 3)",
    "`exp` is required, all dates are typed and in range, `iss` and `aud` are ours (RFC 7519 4.1)",
    "Kinds of tokens do not mix (RFC 8725 3.11, 3.12)",
    "Key sets of others are fetched within bounds, one at a time, and the last good one is kept",
    "Scopes are compared as whole words; no matching rule means refused (RFC 6749 3.3)",
    "A revocation holds for the next request",
    "A token is read from one `Authorization` field only; two are 400; query, cookie and body are not read (RFC 6750 2)",
    "401 with a challenge and 403, neither of which tells which check failed (RFC 6750 3)",
    "API keys: 160 random bits or more, checksum before any look-up, only a hash is stored, compared in constant time",
    "API keys have owner, scopes, expiry and last use; nobody grants what he has not",
    "One message has one length, or 400 and close (RFC 9112 2.2, 5, 6, 7.1)",
    "Upgrades only where a route allows them, and nothing behind one before the 101; no CONNECT, TRACE or h2c (CVE-2026-2833)",
    "Hop-by-hop fields are removed before ours are added; a `Connection` that names one of ours is 400 (CVE-2025-48865)",
    "Identity and forwarding headers from outside are removed in every spelling and set once (CVE-2025-64484)",
    "Client address, scheme and host are believed only from listed proxies (CVE-2026-40575)",
    "One form of the path for routing, policy and upstream; what could be read in two ways is refused (RFC 3986 6)",
    "Exactly one valid host, and all that name it agree (RFC 9112 3.2)",
    "From HTTP/2 to HTTP/1: valid names, values, pseudo-headers and lengths (RFC 9113 8.2, 8.3)",
    "Limits on sizes, times and connections are on with an empty configuration",
    "A malformed or cut answer of an upstream is 502 or a visible break (RFC 9112 6.3)",
    "Limits and cheap checks come before signatures, hashes and store; memory is bounded; IPv6 counts by /64",
    "Argon2id with at least 19 MiB, parameters in the hash, new hash at login, bounded pool",
    "Passwords: length by NIST 800-63B-4, any Unicode, never cut",
    "Unknown user, wrong password and disabled account answer alike",
    "Attempts are limited per account and address; nobody is locked out for good by others",
    "Session ids are random and new at each login; strict cookies; absolute ends; logout ends on the server",
    "Refresh tokens are single use and hashed; a spent one ends its family; of many at once one wins (RFC 9700 4.14)",
    "New password, disabling and new roles end sessions",
    "Codes for reset and proof: single use, hashed, short-lived, bound to user and purpose",
    "Logins through a provider: code flow with PKCE and a state of one browser, good once (RFC 9700 2.1)",
    "After a login only to a place that was configured",
    "The operator's side has its own listener and opens only with its token or socket",
    "Pages: content policy without inline scripts, no framing, no caching",
    "No secret in logs, metrics, URLs or errors; log lines cannot be forged",
    "Every change is recorded in its own transaction, in a chain in which any edit shows",
    "Fail closed: an internal error or a panic refuses that request only",
];

/// What is limited by default.
const LIMITS: [&str; 11] = [
    "request line 8 KiB, one field 8 KiB, all fields 32 KiB, 100 fields",
    "10 s in all for a head, with the TLS handshake and a header of the PROXY protocol; 60 s idle",
    "a body brings, and an answer is taken at, 240 bytes a second over 10 s",
    "a body has 10 MiB unless the route says otherwise",
    "10 000 requests on a connection",
    "HTTP/2: 100 streams, heads of 32 KiB, windows of 64 KiB and 1 MiB, 100 resets and 1000 frames that move nothing in 10 s",
    "256 connections of an address, in all 90 % of the open files, some of which are kept free",
    "bearer token 8 KiB, API key 256 bytes, cookies 8 KiB",
    "an upstream: 2 s to connect, 30 s to the first byte and between bytes (streams an hour), 1024 requests at once",
    "a call to the store: 1 s",
    "password hashes: cores - 1 at once, four times that waiting",
];

#[test]
fn checklist() {
    table("requirements", "Requirement", "// requirement: ", &REQUIREMENTS);
}

#[test]
fn limits() {
    table("limits", "Limit", "// limit: ", &LIMITS);
}

/// A row for each text, with the tests that are marked with its number.
fn table(name: &str, head: &str, mark: &str, texts: &[&str]) {
    let mut tests: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for folder in ["src", "tests"] {
        gather(&file(folder), mark, &mut tests);
    }
    let mut out = format!("| | {head} | Tests |\n| --- | --- | --- |\n");
    for (at, text) in texts.iter().enumerate() {
        let number = at + 1;
        let names = tests.remove(&number).unwrap_or_default();
        assert!(!names.is_empty(), "no test is marked `{mark}{number}`");
        let told = names.join(", ");
        writeln!(out, "| {number} | {} | {told} |", cell(text)).unwrap();
    }
    assert!(tests.is_empty(), "there are no such {name}: {:?}", tests.keys());
    holds("docs/security.md", name, &out);
}

/// Adds the marked tests below a folder, by number.
fn gather(folder: &Path, mark: &str, tests: &mut BTreeMap<usize, Vec<String>>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            gather(&path, mark, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            marked(&text, &path, mark, tests);
        }
    }
}

fn marked(text: &str, path: &Path, mark: &str, tests: &mut BTreeMap<usize, Vec<String>>) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(numbers) = line.strip_prefix(mark) else { continue };
        let name = lines[at..].iter().find_map(|line| {
            let rest = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))?;
            rest.split('(').next()
        });
        let name = name.unwrap_or_else(|| panic!("{}:{}: no test below", path.display(), at + 1));
        for number in numbers.split(", ") {
            let number = number.parse().unwrap_or_else(|_| panic!("{}: {line}", path.display()));
            let own = tests.entry(number).or_default();
            let shown = format!("`{name}`");
            if !own.contains(&shown) {
                own.push(shown);
            }
        }
    }
}
