//! The corpus over HTTP/2, in frames made by hand: the cases of HTTP/1 as far as they can be said there, and those that only
//! exist there. What differs, and why, stands in `corpus/http2.differs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use tokio::{io::AsyncWriteExt, net::TcpSocket, sync::Semaphore};

use crate::{
    bench::{Bench, mark},
    bypass::{judge_everything, upstream_faults},
    cases::{self, Case, Request, Verdict, repeated, unescape},
    support::{
        http2::{Fate, PREFACE, Raw, SETTINGS, frame, list},
        tmws::fresh_address,
        upstream::Recorded,
        wait,
    },
};

/// Cases at once.
const AT_ONCE: usize = 24;
/// What has no place in HTTP/2 (RFC 9113 section 8.2.2): with it, a request is malformed whatever it is in HTTP/1.
const OF_CONNECTIONS: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

type Field = (Vec<u8>, Vec<u8>);

/// A request as frames say it.
#[derive(Clone, Debug, Default)]
struct Asked {
    fields: Vec<Field>,
    body: Vec<u8>,
    trailers: Option<Vec<Field>>,
}

/// A request and what must become of it.
struct Play {
    place: String,
    verdict: Verdict,
    asked: Asked,
    mark: String,
    why: String,
}

// requirement: 11, 15, 16, 17, 18, 19, 20, 21, 22
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_that_frames_can_say_has_its_verdict_over_http2() {
    let bench: &Bench = Box::leak(Box::new(Bench::speaking_http2()));
    let mut differs: BTreeMap<String, (Verdict, String)> = BTreeMap::new();
    for (place, cells) in cases::lines("differs", 3) {
        let verdict = Verdict::parse(&cells[0]).unwrap_or_else(|| panic!("{place}: {}", cells[0]));
        assert!(cells[2].len() > 2, "{place}: why?");
        differs.insert(cells[1].clone(), (verdict, place));
    }
    let mut plays = Vec::new();
    let (mut unsaid, mut used) = (0, BTreeSet::new());
    for (place, cells) in cases::lines("cases", 3) {
        let mark = mark();
        let Some(asked) = translated(bench, &place, &cells, &mark) else {
            unsaid += 1;
            continue;
        };
        let verdict = match differs.get(&cells[1]) {
            Some((verdict, _)) => {
                used.insert(cells[1].clone());
                verdict.clone()
            }
            None => over_http2(&asked, Verdict::parse(&cells[0]).expect("read before")),
        };
        plays.push(Play { place, verdict, asked, mark, why: cells[2].clone() });
    }
    for (request, (_, place)) in differs {
        assert!(used.contains(&request), "{place} is no case that can be said: {request}");
    }
    let translated = plays.len();
    assert!(translated >= 900 && unsaid <= 150, "{translated} of them, {unsaid} not");
    plays.extend(own(bench));
    let count = plays.len();
    let faults = play_all(bench, plays).await;
    eprintln!("{count} cases over HTTP/2, {unsaid} cannot be said there, {} faults", faults.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

async fn play_all(bench: &'static Bench, plays: Vec<Play>) -> Vec<String> {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for one in plays {
        let gate = Arc::clone(&gate);
        running.push(tokio::spawn(async move {
            let _permit = gate.acquire_owned().await.expect("never closed");
            play(bench, &one).await
        }));
    }
    let mut faults = Vec::new();
    for case in running {
        faults.extend(case.await.expect("no case panics"));
    }
    faults.extend(judge_everything(bench).await);
    faults
}

/// One case on a connection of its own, from an address of its own.
async fn play(bench: &Bench, case: &Play) -> Vec<String> {
    let mut raw = connect(bench.gateway.address()).await;
    let trailers = case.asked.trailers.as_deref().map(list);
    let fate = raw.ask(&list(&case.asked.fields), &case.asked.body, trailers.as_deref()).await;
    let mut faults: Vec<String> = fate_fault(&case.verdict, fate).into_iter().collect();
    let texts = |texts: &[String]| texts.iter().map(|text| bench.fill(text, &case.mark)).collect();
    let (has, lacks) = (texts(&case.verdict.has), texts(&case.verdict.lacks));
    let verdict = Verdict { has, lacks, ..case.verdict.clone() };
    let seen: Vec<Recorded> = bench
        .upstream
        .seen()
        .into_iter()
        .filter(|seen| seen.target().contains(&case.mark))
        .collect();
    faults.extend(upstream_faults(&verdict, &seen, &case.mark));
    let shown: Vec<String> = case.asked.fields.iter().map(shown).collect();
    let Play { place, why, .. } = case;
    faults.into_iter().map(|fault| format!("{place}: {fault} ({why}): {shown:?}")).collect()
}

fn shown((name, value): &Field) -> String {
    let value = value.escape_ascii().to_string();
    format!("{}: {}", name.escape_ascii(), value.chars().take(120).collect::<String>())
}

async fn connect(to: SocketAddr) -> Raw {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("reuse");
    socket.bind(SocketAddr::new(fresh_address(), 0)).expect("bind");
    let mut stream = socket.connect(to).await.expect("connect");
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    stream.write_all(&hello).await.expect("write");
    Raw { stream }
}

/// To refuse is to answer with 400, or to reset the stream or end the connection as the protocol has it for what is
/// malformed (RFC 9113 section 8.1.1).
fn fate_fault(verdict: &Verdict, fate: Fate) -> Option<String> {
    let wanted = if verdict.passes() { vec![200] } else { verdict.statuses.clone() };
    match fate {
        Fate::Answered { status, complete } if wanted.contains(&status) => {
            (verdict.passes() && !complete).then(|| "the answer broke off".to_owned())
        }
        Fate::Reset(_) | Fate::Ended if wanted.contains(&400) => None,
        other => Some(format!("{other:?} instead of {wanted:?}")),
    }
}

/// A verdict of HTTP/1 where the version makes a difference for all cases alike.
fn over_http2(asked: &Asked, verdict: Verdict) -> Verdict {
    let of_connections =
        |(name, _): &Field| OF_CONNECTIONS.iter().any(|own| own.as_bytes() == name);
    if asked.fields.iter().any(of_connections) {
        return Verdict { statuses: vec![400], ..Verdict::default() };
    }
    // One stream of many on its connection, which goes on.
    Verdict { closes: false, ..verdict }
}

/// A case of HTTP/1 in the words of HTTP/2; `None` where it is about what only HTTP/1 has.
fn translated(bench: &Bench, place: &str, cells: &[String], mark: &str) -> Option<Asked> {
    let request = Request::parse(&cells[1]).unwrap_or_else(|| panic!("{place}"));
    let case = Case {
        place: place.to_owned(),
        verdict: Verdict::parse(&cells[0])?,
        request,
        why: String::new(),
    };
    let bytes = case.request.bytes(|text| bench.fill(text, mark));
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
    let mut lines = split(head, b"\r\n").into_iter();
    let line = lines.next()?;
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, b"HTTP/1.1" | b"HTTP/1.0"] = words[..] else { return None };
    let mut fields: Vec<Field> = Vec::new();
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let value = &line[at + 1..];
        let value = value.strip_prefix(b" ").unwrap_or(value);
        fields.push((line[..at].to_ascii_lowercase(), value.to_vec()));
    }
    let (scheme, authority, path) = parts_of(target);
    // The first host is the authority, or what the target names; more of them stay fields.
    let first = fields.iter().position(|(name, _)| name == b"host");
    let authority = match (authority, first) {
        (Some(authority), _) => Some(authority.to_vec()),
        (None, Some(at)) => Some(fields.remove(at).1),
        (None, None) => None,
    };
    let pseudo = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let mut all = vec![pseudo(":method", method)];
    if method != b"CONNECT" {
        all.extend([pseudo(":scheme", scheme), pseudo(":path", path)]);
    }
    all.extend(authority.map(|authority| pseudo(":authority", &authority)));
    let length = fields.iter().find(|(name, _)| name == b"content-length");
    let length = length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
    let body = match (case.verdict.passes(), length) {
        // What comes behind a request on the connection is no part of it.
        (true, Some(length)) => rest.get(..length).unwrap_or(rest).to_vec(),
        (_, None) => Vec::new(),
        (false, Some(_)) => rest.to_vec(),
    };
    all.extend(fields);
    Some(Asked { fields: all, body, trailers: None })
}

fn split<'a>(bytes: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(by.len()).position(|window| window == by) {
        out.push(&rest[..at]);
        rest = &rest[at + by.len()..];
    }
    out.push(rest);
    out
}

/// Scheme, authority and path of the absolute form; of any other form the whole is the path.
fn parts_of(target: &[u8]) -> (&[u8], Option<&[u8]>, &[u8]) {
    for scheme in [&b"http"[..], b"https"] {
        let start = [scheme, b"://"].concat();
        let has = target.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(&start));
        if has {
            let rest = &target[start.len()..];
            let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
            let path = if end == rest.len() { b"/" } else { &rest[end..] };
            return (scheme, Some(&rest[..end]), path);
        }
    }
    (b"http", None, target)
}

/// The cases that only HTTP/2 has: `corpus/*.h2`.
fn own(bench: &Bench) -> Vec<Play> {
    let mut out = Vec::new();
    for (place, cells) in cases::lines("h2", 3) {
        let mark = mark();
        let verdict = Verdict::parse(&cells[0]).unwrap_or_else(|| panic!("{place}: {}", cells[0]));
        let filled = bench.fill(&repeated(&cells[1]), &mark);
        let asked =
            Asked::parse(&filled, bench, &mark).unwrap_or_else(|| panic!("{place}: {filled}"));
        out.push(Play { place, verdict, asked, mark, why: cells[2].clone() });
    }
    assert!(out.len() >= 80, "{}", out.len());
    out
}

impl Asked {
    /// `name: value ++ …  == body ^^ trailer: value ++ …`. Pseudo-fields that are not named stand in front, unless there is
    /// `-name`.
    fn parse(text: &str, bench: &Bench, mark: &str) -> Option<Self> {
        let (rest, trailers) = match text.split_once(" ^^ ") {
            Some((rest, trailers)) => (rest, Some(trailers)),
            None => (text, None),
        };
        let (head, body) = rest.split_once(" == ").unwrap_or((rest, ""));
        let mut given = Vec::new();
        let mut without = Vec::new();
        for piece in head.split(" ++ ").filter(|piece| !piece.is_empty()) {
            match piece.strip_prefix('-') {
                Some(name) if name.starts_with(':') => without.push(name.as_bytes().to_vec()),
                _ => given.push(field(piece)?),
            }
        }
        let (path, host) = (format!("/open/{mark}"), bench.gateway.address().to_string());
        let mut fields: Vec<Field> = Vec::new();
        for (name, value) in
            [(":method", "GET"), (":scheme", "http"), (":path", &path), (":authority", &host)]
        {
            let named = given.iter().any(|(own, _)| own == name.as_bytes());
            if !named && !without.iter().any(|own| own == name.as_bytes()) {
                fields.push((name.into(), value.into()));
            }
        }
        fields.extend(given);
        let trailers = match trailers {
            Some(text) => Some(text.split(" ++ ").map(field).collect::<Option<_>>()?),
            None => None,
        };
        Some(Asked { fields, body: unescape(body)?, trailers })
    }
}

/// `name: value`; the name may begin with a colon.
fn field(text: &str) -> Option<Field> {
    let (name, value) = match text.split_once(": ") {
        Some((name, value)) => (name, value),
        None => (text.strip_suffix(':')?, ""),
    };
    Some((unescape(name)?, unescape(value)?))
}

/// What the library refuses by itself is counted, answered or not.
// requirement: 15, 22
#[tokio::test]
async fn what_no_hook_sees_is_counted_over_http2() {
    let bench = Bench::speaking_http2();
    let count = || async {
        let text = bench.gateway.operator().get("/metrics").await.expect(200).text();
        let line =
            text.lines().find_map(|line| line.strip_prefix("portcullis_heads_refused_total "));
        line.expect("the metric").parse::<u64>().expect("a number")
    };
    for (request, answer) in [
        // Answered here or by the library.
        (":path: ?{m}", Some(400)),
        ("\"x\": 1", Some(400)),
        ("x: {x*40000}", Some(431)),
        // A stream that is reset, or a connection that is ended.
        ("X-Upper: 1", None),
        (r"x: a\r\nb: c", None),
        ("-:path", None),
        ("connection: close", None),
    ] {
        let before = count().await;
        let asked = Asked::parse(&bench.fill(&repeated(request), "counted"), &bench, "counted");
        let mut raw = connect(bench.gateway.address()).await;
        let fate = raw.ask(&list(&asked.unwrap().fields), b"", None).await;
        match (fate, answer) {
            (Fate::Answered { status, .. }, Some(wanted)) => {
                assert_eq!(status, wanted, "{request}")
            }
            (Fate::Reset(_) | Fate::Ended, None) => {}
            other => panic!("{request}: {other:?}"),
        }
        wait::until("the count", || async { (count().await == before + 1).then_some(()) }).await;
    }
    assert_eq!(bench.upstream.count(), 0);
}
