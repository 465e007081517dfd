//! The corpus at real proxies that ask us by forward-auth, each set up by the file in `conf/forward-auth` that operators
//! copy. What the gateway refuses never arrives behind them; what it takes arrives alike, or is refused.
//!
//! A proxy may make another request of what it is sent, before it asks: it joins lines, drops fields, spells a path anew.
//! Then the judge holds what arrived against what was asked about, and the gateway is asked about just that again.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::Semaphore;

use crate::{
    asking::{Front, Kind, all},
    bench::mark,
    bypass,
    cases::{self, Case, Verdict},
    judge,
    support::{
        conf::{self, Conf},
        operate,
        tmws::fresh_address,
        upstream::Recorded,
        wire,
    },
    tokens,
};

/// Until a proxy has answered.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Cases at once.
const AT_ONCE: usize = 24;
/// In CI every so-manieth case, which is all sorts of them; all of them with `PORTCULLIS_FRONTS=all`.
const STEP: usize = 7;

/// What arrives of a hop and is a proxy's own doing: nginx keeps fields that `Connection` names (none of them ours), Caddy
/// asks for compressed replies.
const OF_THE_HOP: [(Kind, &str); 2] =
    [(Kind::Nginx, r#"the upstream read "X-Own""#), (Kind::Caddy, r#"the upstream read "gzip""#)];

/// What a proxy refuses by itself, before it asks; and at nginx fields of a kind whose names the gateway strips whatever they
/// are, while nginx strips those that its file lists.
const REFUSED_THERE: [(Kind, &str); 8] = [
    (Kind::Nginx, "forwarding.cases:77"),
    (Kind::Nginx, "forwarding.cases:79"),
    (Kind::Nginx, "identity.cases:154"),
    // Tabs around a length.
    (Kind::Nginx, "framing.cases:161"),
    // An empty line before a request.
    (Kind::Caddy, "lines.cases:101"),
    // The absolute form, of whose two hosts these two keep one: none of it is taken.
    (Kind::Caddy, "hosts.cases:77"),
    (Kind::Envoy, "hosts.cases:77"),
    // A method that nobody knows.
    (Kind::Envoy, "rights.cases:26"),
];

/// What became of a case behind a proxy.
#[derive(Clone, Debug)]
enum Fate {
    /// It passes, as at the gateway.
    Same,
    /// It is refused, as at the gateway.
    Refused,
    /// The gateway takes it; here it was refused.
    Stricter(String),
    /// The gateway refuses it as ambiguous; the proxy read it in one way and asked about that, which the gateway takes.
    Remade(String),
}

async fn the_corpus_behind(kind: Kind) {
    let Some(front) = Front::start(kind) else { return };
    let front = Arc::new(front);
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let step = if all() { 1 } else { STEP };
    let mut running = Vec::new();
    for case in cases::all().into_iter().step_by(step) {
        let (gate, front) = (Arc::clone(&gate), Arc::clone(&front));
        running.push(tokio::spawn(async move {
            let _permit = gate.acquire_owned().await.expect("never closed");
            play(&front, &case).await
        }));
    }
    let count = running.len();
    let (mut faults, mut refused) = (Vec::new(), Vec::new());
    let (mut stricter, mut remade): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for case in running {
        match case.await.expect("no case panics") {
            Ok((_, Fate::Same)) => {}
            Ok((mark, Fate::Refused)) => refused.push(mark),
            Ok((_, Fate::Stricter(what))) => stricter.push(what),
            Ok((mark, Fate::Remade(what))) => {
                refused.push(mark);
                remade.push(what);
            }
            Err(found) => faults.extend(found),
        }
    }
    // Where the gateway closes the connection, a proxy may read on: it finds another request in the bytes, or a text in a
    // value. What it found it asked about, and for that it is judged like anything else.
    let own_reading = |fault: &String| {
        let is_text = fault.ends_with("hidden in another") || fault.ends_with("forged arrived");
        is_text && refused.iter().any(|mark: &String| fault.contains(mark.as_str()))
    };
    let judged = bypass::judge_everything(&front.bench).await;
    faults.extend(judged.into_iter().filter(|fault| !own_reading(fault)));
    faults.extend(front.bench.upstream.seen().iter().filter_map(forged_field));
    let tokens = tokens::play(&front.bench, front.server.address).await;
    faults.extend(tokens);
    eprintln!(
        "{}: {count} cases, {} refused here only, {} read by the proxy in its own way, {} faults",
        kind.name(),
        stricter.len(),
        remade.len(),
        faults.len()
    );
    let told = stricter.iter().map(|what| ("refused here only", what));
    for (fate, what) in told.chain(remade.iter().map(|what| ("read in its own way", what))) {
        eprintln!("{}: {fate}: {what}", kind.name());
    }
    assert!(faults.is_empty(), "{}: {} faults:\n{}", kind.name(), faults.len(), faults.join("\n"));
    let known = |what: &String| {
        let place = what.split(' ').next().unwrap_or_default();
        REFUSED_THERE.contains(&(kind, place))
    };
    stricter.retain(|what| !known(what));
    assert!(stricter.is_empty(), "{}: refused here only: {stricter:?}", kind.name());
}

/// A field that only the gateway may say, with something that a client said.
fn forged_field(seen: &Recorded) -> Option<String> {
    let ours = |name: &str| judge::folds_to_ours(name) && !name.eq_ignore_ascii_case("host");
    let fields = seen.fields();
    let (name, value) =
        fields.iter().find(|(name, value)| ours(name) && value.contains("forged"))?;
    Some(format!("{}: {name}: {value}", seen.line()))
}

/// Plays one case; its mark, and what became of it.
async fn play(front: &Front, case: &Case) -> Result<(String, Fate), Vec<String>> {
    let mark = mark();
    let fate = play_as(front, case, &mark).await?;
    Ok((mark, fate))
}

async fn play_as(front: &Front, case: &Case, mark: &str) -> Result<Fate, Vec<String>> {
    let bench = &front.bench;
    let bytes = case.request.bytes(|text| bench.fill(text, mark));
    let mut wire = wire::connect_from(front.server.address, Some(fresh_address())).await.unwrap();
    let _ = wire.try_send(&bytes).await;
    // A proxy may wait for the rest of what will never come.
    let reply = wire.try_reply(bytes.starts_with(b"HEAD "));
    let reply = tokio::time::timeout(LONGEST_WAIT, reply).await.ok().flatten();
    let seen: Vec<Recorded> =
        bench.upstream.seen().into_iter().filter(|seen| seen.target().contains(mark)).collect();
    let status = reply.as_ref().map_or(0, |reply| reply.status);
    let shown = format!("{} ({}) {status}", case.place, case.why);
    let fault = |what: String| vec![format!("{shown}: {what}")];
    let verdict = &case.verdict;
    if verdict.passes() || verdict.statuses == [101] {
        if !seen.iter().any(|seen| seen.complete) {
            let refused = status == 0 || status >= 400;
            let what = "nothing arrived".to_owned();
            return if refused { Ok(Fate::Stricter(shown)) } else { Err(fault(what)) };
        }
        let texts = |texts: &[String]| texts.iter().map(|text| bench.fill(text, mark)).collect();
        // What the proxy says of itself it says in its own way.
        let verdict = Verdict { has: Vec::new(), lacks: texts(&verdict.lacks), ..verdict.clone() };
        let mut faults = bypass::upstream_faults(&verdict, &seen, mark);
        faults.extend(bypass::status_fault(case, reply.as_ref()));
        let of_the_hop = |fault: &String| {
            OF_THE_HOP.iter().any(|(kind, text)| *kind == front.kind && fault.starts_with(text))
        };
        faults.retain(|fault| !of_the_hop(fault));
        let faults: Vec<_> = faults.into_iter().flat_map(fault).collect();
        return if faults.is_empty() { Ok(Fate::Same) } else { Err(faults) };
    }
    // A request behind one that was refused is one of its own to a proxy that keeps the connection.
    let (behind, own): (Vec<_>, Vec<_>) =
        seen.iter().partition(|seen| seen.target().contains("hidden"));
    if own.is_empty() {
        // `OPTIONS *` is about the server itself.
        let of_proxy = bytes.starts_with(b"OPTIONS * ");
        let refused = status == 0 || status >= 400 || verdict.statuses.contains(&status);
        if !refused && !of_proxy {
            return Err(fault("not refused".to_owned()));
        }
        if behind.is_empty() {
            return Ok(Fate::Refused);
        }
    } else if !verdict.statuses.contains(&400) {
        let what = format!("{} arrived, but the gateway refuses the caller", own[0].line());
        return Err(fault(what));
    }
    for seen in &seen {
        if !takes_as_it_arrived(front, seen).await {
            return Err(fault(format!("{} arrived, which the gateway refuses", seen.line())));
        }
    }
    if own.is_empty() {
        return Ok(Fate::Refused);
    }
    Ok(Fate::Remade(format!("{shown}: {}", seen[0].line())))
}

/// Whether the gateway itself forwards what a proxy has forwarded, sent by the same caller.
async fn takes_as_it_arrived(front: &Front, seen: &Recorded) -> bool {
    let bench = &front.bench;
    let mut text = format!("{} HTTP/1.1\r\n", seen.line().trim_end_matches(" HTTP/1.1"));
    // Neither what the proxy says of the hop and of the caller, nor how it frames the message.
    let own = [
        "x-auth-",
        "x-forwarded",
        "x-request-id",
        "x-envoy-",
        "via",
        "connection",
        "content-length",
    ];
    let kept =
        |name: &str| !own.iter().any(|own| name.starts_with(own)) && name != "transfer-encoding";
    for (name, value) in seen.fields() {
        if kept(&name.to_ascii_lowercase()) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    // Credentials do not arrive; whose they were does.
    if let Some(subject) = seen.all("x-auth-subject").pop().filter(|told| !told.is_empty()) {
        let token = bench.token(&subject, &["SUPER_ADMIN"]);
        text.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    wire::exchange(bench.gateway.address(), format!("{text}\r\n")).await.status == 200
}

// requirement: 15, 16, 17, 18, 19, 20, 21
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_gives_the_verdict_of_the_gateway() {
    the_corpus_behind(Kind::Nginx).await;
}

// requirement: 15, 16, 17, 18, 19, 20, 21
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_gives_the_verdict_of_the_gateway() {
    the_corpus_behind(Kind::Caddy).await;
}

// requirement: 15, 16, 17, 18, 19, 20, 21
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_gives_the_verdict_of_the_gateway() {
    the_corpus_behind(Kind::Envoy).await;
}

impl Front {
    async fn send(&self, text: &str) -> Option<wire::Reply> {
        let from = Some(fresh_address());
        let mut wire = wire::connect_from(self.server.address, from).await.unwrap();
        wire.send(text).await;
        wire.try_reply(text.starts_with("HEAD ")).await
    }

    async fn status(&self, line: &str, fields: &str, body: &str) -> u16 {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let text =
            format!("{line} HTTP/1.1\r\nHost: api.example.org\r\n{fields}{length}\r\n{body}");
        self.send(&text).await.expect("a reply").status
    }
}

async fn identity_behind(kind: Kind) {
    let signed = |conf: Conf| {
        conf.mount("authorization_server", r#"{ issuer = "https://auth.example" }"#).route(
            conf::closed("signed", "/signed/**", "main")
                .with("assertion", r#"{ audience = "https://app.example", lifetime = "60s" }"#),
        )
    };
    let Some(front) = Front::start_with(kind, signed) else { return };
    let bench = &front.bench;
    let forged = "X-Auth-Subject: forged\r\nX-Auth-Roles: forged\r\nX-Auth-Tenant: forged\r\n\
                  X-Auth-Issuer: forged\r\nX-Portcullis-Assertion: forged\r\nX_Auth_Subject: forged\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-ID: forged\r\n";
    let key = format!("X-API-Key: {}\r\n{forged}", bench.full_key);
    assert_eq!(front.status("GET /closed/known", &key, "").await, 200, "{kind:?}");
    assert_eq!(front.status("POST /open/unknown?a=b", forged, "a body").await, 200, "{kind:?}");
    for (mark, subject) in [("known", Some(&bench.admin)), ("unknown", None)] {
        let all = bench.upstream.seen();
        let seen = all.iter().find(|seen| seen.target().contains(&format!("/{mark}"))).unwrap();
        let head = String::from_utf8_lossy(&seen.head).to_lowercase();
        assert!(!head.contains("forged") && !head.contains("6.6.6.6"), "{kind:?}: {head}");
        assert!(!head.contains("x-api-key"), "{kind:?}: {head}");
        let told = seen.field("x-auth-subject").filter(|told| !told.is_empty());
        assert_eq!(told.as_ref(), subject, "{kind:?}");
        assert!(seen.field("x-request-id").is_some_and(|id| id.starts_with("req_")), "{head}");
        if mark == "unknown" {
            assert_eq!((seen.target(), &*seen.body), ("/open/unknown?a=b".into(), &b"a body"[..]));
        } else {
            assert_eq!(seen.field("x-auth-method").as_deref(), Some("api_key"));
            assert_eq!(seen.field("x-auth-scopes").as_deref(), Some("FULL"));
        }
    }
    // The statement about the caller comes through whole: three parts of a JWS.
    assert_eq!(front.status("GET /signed/told", &key, "").await, 200, "{kind:?}");
    let all = bench.upstream.seen();
    let seen = all.iter().find(|seen| seen.target() == "/signed/told").unwrap();
    let statement = seen.field("x-portcullis-assertion").unwrap_or_default();
    assert_eq!(statement.split('.').count(), 3, "{kind:?}: {statement}");
    // A WebSocket goes through where the route takes one, and is a plain request elsewhere. Envoy's file lets none through.
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let taken = if kind == Kind::Envoy { 200 } else { 101 };
    let mut wire = wire::connect_from(front.server.address, Some(fresh_address())).await.unwrap();
    wire.send(&format!("GET /socket/switch HTTP/1.1\r\nHost: a.example\r\n{upgrade}\r\n")).await;
    assert_eq!(wire.head_reply().await.status, taken, "{kind:?}");
    assert_eq!(front.status("GET /open/switch", upgrade, "").await, 200, "{kind:?}");
    // The contract's own endpoints are the gateway's to answer, and know who asks.
    let login = r#"{"username":"nobody-special","password":"wrong-password"}"#;
    let json = "Content-Type: application/json\r\n";
    assert_eq!(front.status("POST /api/v1/auth/login", json, login).await, 401, "{kind:?}");
    for (line, wanted) in [
        ("GET /closed/x", 401),
        ("GET /nowhere", 404),
        ("PUT /get/x", 405),
        ("OPTIONS /open/x", 403),
    ] {
        assert_eq!(front.status(line, "", "").await, wanted, "{kind:?} {line}");
    }
    let read = format!("X-API-Key: {}\r\n", bench.read_key);
    assert_eq!(front.status("GET /scoped/x", &read, "").await, 403, "{kind:?}");
    without_the_store(&front).await;
    assert_eq!(bench.upstream.seen().len(), 5, "{kind:?}");
    bench.gateway.kill();
    let text = format!("GET /open/x HTTP/1.1\r\nHost: a\r\n{key}\r\n");
    let down = front.send(&text).await.expect("a reply");
    match kind {
        Kind::Nginx => assert_eq!((down.status, down.header("retry-after")), (503, Some("1"))),
        _ => assert!([502, 503].contains(&down.status), "{kind:?}: {}", down.status),
    }
    assert_eq!(bench.upstream.seen().len(), 5, "{kind:?}");
}

/// A store that cannot be asked is not the fault of who asks: 503 with a time to try again, whoever stands in front.
async fn without_the_store(front: &Front) {
    let gateway = &front.bench.gateway;
    let key = operate::admin_key(gateway, &["READ"]);
    let fields = format!("X-API-Key: {key}\r\n");
    let store = gateway.places.data.join("portcullis.db");
    let mut store =
        SqliteConnection::connect(&format!("sqlite://{}", store.display())).await.unwrap();
    store.execute("ALTER TABLE api_key RENAME TO out_of_reach").await.unwrap();
    let text = format!("GET /closed/x HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
    let reply = front.send(&text).await.expect("a reply");
    assert_eq!(reply.status, 503, "{:?}", front.kind);
    assert!(reply.header("retry-after").is_some(), "{:?}", front.kind);
    store.execute("ALTER TABLE out_of_reach RENAME TO api_key").await.unwrap();
    assert_eq!(front.status("GET /nowhere", &fields, "").await, 404, "{:?}", front.kind);
}

// requirement: 18, 19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_tells_who_asks_and_passes_nothing_without_a_verdict() {
    identity_behind(Kind::Nginx).await;
}

// requirement: 18, 19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_tells_who_asks_and_passes_nothing_without_a_verdict() {
    identity_behind(Kind::Caddy).await;
}

// requirement: 18, 19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_tells_who_asks_and_passes_nothing_without_a_verdict() {
    identity_behind(Kind::Envoy).await;
}
