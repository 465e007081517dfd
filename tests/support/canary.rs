//! Secrets that no log line of any gateway in any suite may hold.
//!
//! Every line is looked at as it comes. One that holds a secret ends the whole test program: there is no test it belongs
//! to, and nothing else should pass meanwhile.

use std::io::Write;

use super::{conf::OPERATOR_TOKEN, tmws::GOOD_PASSWORD};

/// Ends the program if a log line holds what it must not.
pub fn look_at(line: &str) {
    // Only log lines: what the demo prints for people names its credentials, as it should.
    if !(line.starts_with('{') && line.contains("\"level\":")) {
        return;
    }
    if let Some(what) = secret_in(line) {
        // Past the capture of the test harness, which would keep it for a report that never comes.
        let _ = writeln!(std::io::stderr(), "a log line holds {what}:\n{line}");
        std::process::abort();
    }
}

/// What kind of secret stands in a text, if any.
pub fn secret_in(text: &str) -> Option<&'static str> {
    if text.contains(GOOD_PASSWORD) {
        return Some("the password of the tests");
    }
    if text.contains(OPERATOR_TOKEN) {
        return Some("the operator's token");
    }
    if text.split(|c: char| !is_of_token(c)).any(is_jws) {
        return Some("a signed token");
    }
    if text.contains("-----BEGIN") {
        return Some("a key in PEM");
    }
    let keyed = |part: &str| {
        part.split_once('.')
            .is_some_and(|(id, secret)| id.starts_with("tmws_key_") && secret.len() > 40)
    };
    if text.split(|c: char| !is_of_token(c)).any(keyed) {
        return Some("an API key");
    }
    (text.contains("$argon2id$")).then_some("the hash of a password")
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Three parts of some length, of which the first two are JSON objects.
fn is_jws(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    matches!(parts[..], [header, claims, signature]
        if header.starts_with("eyJ") && claims.starts_with("eyJ") && signature.len() > 20)
}
