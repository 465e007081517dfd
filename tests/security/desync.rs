//! The cases of `http-desync-guardian` (`tests/data/http-desync-guardian`): requests on which parsers disagreed.
//!
//! What the collection calls severe is refused and closed; what it calls compliant passes, and arrives as it was sent;
//! the rest is refused or arrives in one form. Behind each stands a request that nobody may see.

use std::{fs, path::Path, time::Duration};

use yaml_rust2::{Yaml, YamlLoader};

use crate::support::{
    conf::{self, Conf},
    gateway::{Gateway, Places},
    upstream::{Answer, Recorded, Upstream},
    wait,
    wire::{self, Reply},
};

/// Cases that the collection calls compliant and that are refused here, by what stands in them.
const STRICTER: [(&str, &str); 10] = [
    ("gzip", "the only coding is `chunked`"),
    ("deflate", "the only coding is `chunked`"),
    ("compress", "the only coding is `chunked`"),
    ("identity", "the only coding is `chunked`"),
    ("custom_param", "the only coding is `chunked`, without parameters"),
    ("#form", "a fragment, and bytes that are refused raw"),
    ("странные", "bytes beyond ASCII are refused raw"),
    ("%09", "an escaped control byte in a path"),
    ("%0D", "an escaped control byte in a path"),
    ("%0A", "an escaped control byte in a path"),
];

/// One case as bytes.
#[derive(Clone, Debug)]
pub struct Trial {
    pub name: String,
    pub tier: String,
    pub bytes: Vec<u8>,
    /// What its framing announces, where there is only one reading.
    pub body: Vec<u8>,
    pub stricter: bool,
    /// Stands in a field of all its requests.
    pub case: String,
}

/// Every case, for a server at this host.
pub fn trials(host: &str) -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/http-desync-guardian");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut out = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|own| own == "yaml")) {
        let text = fs::read_to_string(path).unwrap();
        for document in YamlLoader::load_from_str(&text).unwrap() {
            let Yaml::Array(cases) = document else { continue };
            for case in &cases {
                let number = format!("case-{}", out.len());
                out.push(trial(case, host, number));
            }
        }
    }
    assert!(out.len() >= 150, "{}", out.len());
    out
}

fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The collection writes bytes as characters below 256.
fn latin(text: &str) -> Vec<u8> {
    let byte = |char: char| u8::try_from(u32::from(char)).ok();
    match text.chars().map(byte).collect::<Option<Vec<u8>>>() {
        Some(bytes) => bytes,
        None => text.as_bytes().to_vec(),
    }
}

fn trial(case: &Yaml, host: &str, number: String) -> Trial {
    let version = text(&case["version"]);
    let mut line = format!("{} {}", text(&case["method"]), text(&case["uri"]));
    if !version.is_empty() {
        line.push_str(&format!(" {version}"));
    }
    let mut head = latin(&line);
    let (mut length, mut chunked, mut has_host) = (0, false, false);
    let mut fields = format!("X-Case: {number}\r\n").into_bytes();
    let mut codings = String::new();
    for field in case["headers"].as_vec().into_iter().flatten() {
        let (name, value) = (text(&field["name"]), text(&field["value"]));
        has_host |= name.eq_ignore_ascii_case("host");
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0).min(5_000_000),
            "transfer-encoding" => {
                chunked |= value.contains("chunked");
                codings.push_str(&value);
            }
            _ => {}
        }
        fields.extend(latin(&format!("{name}: {value}\r\n")));
    }
    head.extend(b"\r\n");
    if !has_host {
        head.extend(format!("Host: {host}\r\n").bytes());
    }
    head.extend(fields);
    head.extend(b"\r\n");
    let body: Vec<u8> = if chunked { b"hello".to_vec() } else { vec![b'x'; length] };
    let mut bytes = head;
    if chunked {
        bytes.extend(b"5\r\nhello\r\n0\r\n\r\n");
    } else {
        bytes.extend(&body);
    }
    let hidden = format!("GET /hidden HTTP/1.1\r\nHost: {host}\r\nX-Case: {number}\r\n\r\n");
    bytes.extend(hidden.bytes());
    let told = format!("{} {codings}", text(&case["uri"]));
    Trial {
        name: text(&case["name"]),
        tier: text(&case["expected"]["tier"]),
        bytes,
        body,
        stricter: STRICTER.iter().any(|(part, _)| told.contains(part))
            || text(&case["uri"]).is_empty(),
        case: number,
    }
}

/// One open route over everything.
pub fn gateway(upstream: std::net::SocketAddr) -> Gateway {
    let all = move |places: &Places| {
        Conf::new(places)
            .upstream("main", &[upstream])
            .route(conf::open("all", "/**", "main"))
            .text()
    };
    Gateway::start(all)
}

/// Sends a case on a connection of its own; the first reply, and whether the server closed.
pub async fn send(to: std::net::SocketAddr, bytes: &[u8]) -> (Option<Reply>, bool) {
    let mut wire = wire::connect(to).await;
    let _ = wire.try_send(bytes).await;
    let reply = wire.try_reply(bytes.starts_with(b"HEAD ")).await;
    (reply, wire.closes_within(Duration::from_secs(3)).await)
}

/// What is wrong with the outcome of a case, given what the server behind us read: line and body.
pub fn faults(
    trial: &Trial,
    reply: Option<&Reply>,
    closed: bool,
    seen: &[(String, Vec<u8>)],
) -> Vec<String> {
    let status = reply.map_or(0, |reply| reply.status);
    let mut faults = Vec::new();
    let seen = match seen {
        // What comes behind a request that has one reading is dropped if it is there before the answer, and a request of its
        // own if it comes behind that: on a slow machine the tail of a long body does.
        [own, (line, body)]
            if trial.tier == "Compliant" && line.starts_with("GET /hidden ") && body.is_empty() =>
        {
            std::slice::from_ref(own)
        }
        all => all,
    };
    if seen.len() > 1 || seen.iter().any(|(line, _)| line.contains("hidden")) {
        faults.push(format!("{} requests were read", seen.len()));
    }
    let refused = (400..500).contains(&status) || status == 501 || status == 505;
    if refused && !seen.is_empty() {
        faults.push("what was refused was read".to_owned());
    }
    if refused && !closed {
        faults.push("it was refused, and the connection stays open".to_owned());
    }
    if !refused && seen.iter().any(|(_, body)| *body != trial.body) {
        faults.push("another body was read".to_owned());
    }
    match trial.tier.as_str() {
        "Severe" if !refused => faults.push(format!("it is severe, and the answer is {status}")),
        "Compliant" if trial.stricter != refused => {
            faults.push(format!("it is compliant, and the answer is {status}"));
        }
        _ => {}
    }
    let named = |fault: String| format!("{} ({}): {fault}", trial.name, trial.tier);
    faults.into_iter().map(named).collect()
}

/// Line and body of everything of a case that arrived.
pub fn read(seen: &[Recorded], case: &str) -> Vec<(String, Vec<u8>)> {
    seen.iter()
        .filter(|seen| seen.complete && seen.all("x-case").iter().any(|own| own == case))
        .map(|seen| {
            let long = seen.body_length > seen.body.len() as u64;
            let length = usize::try_from(seen.body_length).expect("small");
            (seen.line(), if long { vec![b'x'; length] } else { seen.body.clone() })
        })
        .collect()
}

// requirement: 15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_case_makes_the_upstream_see_another_request() {
    let upstream = Upstream::start();
    let gateway = gateway(upstream.address);
    let mut found = Vec::new();
    for trial in trials(&gateway.address().to_string()) {
        let (reply, closed) = send(gateway.address(), &trial.bytes).await;
        let seen = read(&upstream.seen(), &trial.case);
        found.extend(faults(&trial, reply.as_ref(), closed, &seen));
    }
    // Whatever was left somewhere would come now.
    wait::until("one more request", || async {
        let host = gateway.address();
        let last =
            wire::exchange(host, format!("GET /last HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        (last.status == 200).then_some(())
    })
    .await;
    upstream.saw_nothing_of("hidden");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Bytes behind a request whose answer is still to come: the library would take them for a client that breaks off.
// requirement: 15
#[tokio::test]
async fn what_follows_a_request_costs_it_neither_its_body_nor_its_answer() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let own = std::sync::Arc::clone(&gate);
    let upstream = Upstream::with(move |request| match request.target().as_str() {
        "/slow" => Answer::ok().once(&own),
        _ => Answer::ok(),
    });
    let gateway = gateway(upstream.address);
    let host = gateway.address();
    let mut wire = wire::connect(host).await;
    wire.send(format!("PUT /slow HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello"))
        .await;
    wait::until("the first one arrives", || async { (upstream.count() == 1).then_some(()) }).await;
    wire.send(format!("GET /hidden HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    let other = wire::exchange(host, format!("GET /other HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    assert_eq!(other.status, 200);
    gate.add_permits(1);
    assert_eq!(wire.reply().await.status, 200);
    assert!(wire.closes_within(Duration::from_secs(5)).await);
    upstream.saw_nothing_of("hidden");
    let slow = upstream.seen().into_iter().find(|seen| seen.target() == "/slow").unwrap();
    assert_eq!((slow.body, slow.complete), (b"hello".to_vec(), true));
}
