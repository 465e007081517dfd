//! What no case may bring about, whatever it is about: a judge over everything the upstream read.
//!
//! The judge reads a request as the most careless upstream would: escapes decoded again and again, backslashes as
//! slashes, parameters cut off, dots resolved, names with any separator. What is so read as a protected place must have
//! been authorised, and identity must be what the gateway says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::upstream::Recorded;

/// Places that need a caller, as a careless upstream names them.
const PROTECTED: [&str; 7] =
    ["/open/vault", "/closed", "/admin", "/scoped", "/guarded", "/api", "/operator"];
/// Within a protected place, but open.
const WINDOW: &str = "/closed/window";

/// Everything wrong with one request that arrived; `permits` are the access lines by request id.
pub fn faults(seen: &Recorded, permits: &BTreeMap<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    let head = String::from_utf8_lossy(&seen.head).into_owned();
    let fields = seen.fields();
    let line = seen.line();
    if head.to_lowercase().contains("forged") {
        faults.push("what a client forged arrived".to_owned());
    }
    if line.contains("hidden") {
        faults.push("a request arrived that was hidden in another".to_owned());
    }
    let words: Vec<&str> = line.split(' ').collect();
    if words.len() != 3 || words[2] != "HTTP/1.1" || !words[1].starts_with('/') {
        faults.push(format!("an odd request line: {line}"));
    }
    if head.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        faults.push("a control byte in the head".to_owned());
    }
    for (name, _) in &fields {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && folds_to_ours(name)
        {
            faults.push(format!("another spelling of a name of ours: {name}"));
        }
    }
    for name in fields.iter().map(|(name, _)| folded(name)).filter(|name| folds_to_ours(name)) {
        if seen.all(&name).len() > 1 {
            faults.push(format!("{name} stands twice"));
        }
    }
    let lengths = seen.all("content-length").len() + seen.all("transfer-encoding").len();
    if lengths > 1 {
        faults.push("more than one length".to_owned());
    }
    let subject = seen.all("x-auth-subject");
    let place = careless(&seen.target());
    let protected = PROTECTED.iter().any(|own| is_below(&place, own));
    if protected && !is_below(&place, WINDOW) && subject.is_empty() {
        faults.push(format!("nobody was let in at what may be read as {place}"));
    }
    // What was authorised is what arrived.
    let id = seen.all("x-request-id").pop().unwrap_or_default();
    match permits.get(&id) {
        None => faults.push(format!("no access line has the id {id:?}")),
        Some(permit) => {
            let path = seen.target().split('?').next().unwrap_or_default().to_owned();
            if permit["path"] != path.as_str() || permit["method"] != seen.method().as_str() {
                faults.push(format!("{} {} was authorised", permit["method"], permit["path"]));
            }
            if permit["outcome"] == "refused" && seen.complete {
                faults.push("it was refused".to_owned());
            }
            let told = permit.get("subject").and_then(Value::as_str);
            if let (Some(own), Some(sent)) = (told, subject.first())
                && own != sent
            {
                faults.push(format!("{own} asked, {sent} was named"));
            }
        }
    }
    faults
}

/// Ids that stand in several requests: one authorisation, several requests.
pub fn doubled(seen: &[Recorded]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let ids = seen.iter().flat_map(|request| request.all("x-request-id"));
    ids.filter(|id| !known.insert(id.clone())).collect()
}

fn folded(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower.replace(|char: char| !char.is_ascii_alphanumeric(), "-")
}

pub fn folds_to_ours(name: &str) -> bool {
    let name = folded(name);
    ["x-auth-", "x-forwarded", "x-portcullis-"].iter().any(|own| name.starts_with(own))
        || ["forwarded", "x-real-ip", "x-request-id", "host", "content-length"].contains(&&*name)
}

fn is_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path as the most careless upstream reads it.
pub fn careless(target: &str) -> String {
    let mut text = target.split(['?', '#']).next().unwrap_or_default().to_owned();
    for _ in 0..4 {
        text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    let text = text.replace('\\', "/").to_lowercase();
    let mut out: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        let segment = segment.split([';', '\0', '#', '?']).next().unwrap_or_default().trim();
        match segment.trim_end_matches('\u{fffd}') {
            "" | "." => {}
            ".." => drop(out.pop()),
            name => out.push(name),
        }
    }
    format!("/{}", out.join("/"))
}

#[test]
fn the_careless_reader_falls_for_everything() {
    for target in [
        "/open/../closed/x",
        "/open/%2e%2e/closed/x",
        "/open/%252e%252e/closed/x",
        "/open/..;a=b/closed/x",
        "/open/..%2fclosed/x",
        "/open\\..\\closed\\x",
        "//closed//x",
        "/./closed/x?y",
        "/CLOSED/x",
    ] {
        assert_eq!(careless(target), "/closed/x", "{target}");
    }
    assert_eq!(careless("/open/x"), "/open/x");
}
