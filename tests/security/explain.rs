//! `explain` agrees with the running gateway: generated configurations, generated requests, each request sent to the gateway and
//! asked of `explain`, which runs in another process on a copy of the store.
//!
//! `PORTCULLIS_PAIRS=10000` plays so many pairs; `PORTCULLIS_SEED` another series. A difference names both.

use std::{
    fmt::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    bench::{self, SECRET, signed},
    support::{
        conf::{self, Conf, Table, quoted},
        gateway::{Gateway, Places, run, said},
        operate::{self, call},
        upstream::{Answer, Upstream},
        wait, wire,
    },
};

const A_SLICE: usize = 1_000;
const EACH: usize = 100;

/// Everything a request may carry as proof.
struct Proofs {
    tokens: Vec<String>,
    keys: Vec<String>,
}

/// One request, and the client that a believed proxy says it comes from.
struct Asked {
    head: String,
    body: String,
}

/// SplitMix64: a series that is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn between(&mut self, start: usize, end: usize) -> usize {
        start + self.below(end - start)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn environment(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_agrees_with_the_running_gateway_on_generated_pairs() {
    let pairs = environment("PORTCULLIS_PAIRS").unwrap_or(A_SLICE);
    let seed = environment("PORTCULLIS_SEED").unwrap_or(20_261_121);
    let mut random = Random(seed as u64);
    let upstream =
        Upstream::counting(|request| Answer::new(200, &[("X-Seen", &request.target())], "{}"));
    let gateway = Gateway::start(|places| base(places, upstream.address).text());
    let proofs = proofs(&gateway);
    let copy = copy_of(&gateway);

    let (mut done, mut round, mut admitted) = (0_usize, 0_usize, 0_usize);
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    while done < pairs {
        round += 1;
        let text = configuration(&gateway.places, upstream.address, round, &mut random).text();
        std::fs::write(&gateway.config, &text).unwrap();
        let reloaded = call(&gateway, "POST", "/v1/reload", Value::Null);
        if reloaded.status != 200 {
            // Two routes in each other's way, most likely: another one.
            assert_eq!(reloaded.status, 422, "{}", reloaded.text());
            continue;
        }
        let count = EACH.min(pairs - done);
        let asked: Vec<Asked> = (0..count).map(|_| request(round, &proofs, &mut random)).collect();
        let seen = serve(&gateway, &asked).await;
        let told = explain(&copy, &text, &gateway.places, &asked);
        for ((asked, seen), told) in asked.iter().zip(&seen).zip(&told) {
            let told = verdict_of(told);
            assert_eq!(
                *seen, told,
                "seed {seed}, round {round}\nleft: served, right: explained\n{}\n{text}",
                asked.head
            );
            admitted += usize::from(seen["admitted"] == json!(true));
            let reason = seen["reason"].as_str().unwrap_or("none").to_owned();
            *reasons.entry(reason).or_default() += 1;
        }
        done += count;
    }
    println!("{done} pairs in {round} configurations, {admitted} admitted, reasons {reasons:?}");
    // A generator that finds one stage only proves nothing.
    assert!(admitted * 12 > done, "{admitted} of {done}");
    assert!(reasons.len() > 12, "{reasons:?}");
}

/// What stays the same: mounts and their secrets.
fn base(places: &Places, upstream: SocketAddr) -> Conf {
    let secret = places.dir.join("signing.secret");
    std::fs::write(&secret, SECRET).expect("write the secret");
    let other = places.dir.join("other.secret");
    std::fs::write(&other, format!("other-{SECRET}")).expect("write the secret");
    let file = |path: &Path| quoted(&format!("file:{}", path.display()));
    Conf::new(places)
        .mount("secret", &file(&secret))
        .mount("at", r#"[{ prefixes = ["/"] }]"#)
        .table(
            Table::new("mount", "two")
                .with("dialect", quoted("tmws"))
                .with("secret", file(&other))
                .with("issuer", quoted("another-issuer"))
                .with("at", r#"[{ hosts = ["two.example"], prefixes = ["/"] }]"#),
        )
        .upstream("main", &[upstream])
        .section("[trust]\nproxies = [\"127.0.0.0/8\"]")
}

const PATHS: [&str; 9] = [
    "/a/**",
    "/a/b/**",
    "/a/{id}",
    "/a/{id}/c",
    "/b",
    "/b/**",
    "/c/{x}/{y}",
    "/api/v1/tasks/**",
    "/api/v1/agents/**",
];

fn configuration(places: &Places, upstream: SocketAddr, round: usize, random: &mut Random) -> Conf {
    let mut conf = base(places, upstream);
    let failures = *random.pick(&["1000/h", "4/h", "12/h"]);
    conf = conf.section(&format!("[limiter]\nfailures_per_address = [{}]", quoted(failures)));
    // Names of their own: counts of an earlier configuration must not be met.
    let limits: Vec<String> = (0..3).map(|number| format!("l{round}-{number}")).collect();
    for name in &limits {
        let per = *random.pick(&[
            r#"["client"]"#,
            r#"["route"]"#,
            r#"["credential"]"#,
            r#"["user"]"#,
            r#"["key"]"#,
        ]);
        let windows = *random.pick(&[r#"["2/h"]"#, r#"["9/h"]"#, r#"["500/h"]"#]);
        conf = conf.limit(name, per, windows);
    }
    let mut paths = PATHS.to_vec();
    for number in 0..random.between(7, 10) {
        if paths.is_empty() {
            break;
        }
        let path = paths.remove(random.below(paths.len()));
        conf = conf.route(route(&format!("r{number}"), path, &limits, random));
    }
    conf
}

fn route(name: &str, path: &str, limits: &[String], random: &mut Random) -> Table {
    let methods = *random.pick(&[
        "[]",
        "[]",
        "[]",
        "[]",
        r#"["GET"]"#,
        r#"["GET", "POST"]"#,
        r#"["DELETE"]"#,
    ]);
    let matches = format!("{{ path = {}, methods = {methods} }}", quoted(path));
    let mut table = conf::open(name, path, "main").with("match", matches);
    let mount = *random.pick(&["api", "api", "api", "two"]);
    table = table.with("mount", quoted(mount));
    let public = random.chance(25);
    if !public {
        let authn = *random.pick(&[
            r#"["jwt", "api_key"]"#,
            r#"["api_key", "jwt"]"#,
            r#"["jwt"]"#,
            r#"["api_key"]"#,
        ]);
        let authz = *random.pick(&[
            r#""authenticated""#,
            r#""policy""#,
            r#"{ roles = ["SUPER_ADMIN"] }"#,
            r#"{ scopes = { GET = "READ", "*" = "WRITE" } }"#,
            r#"{ scopes = { GET = "READ" } }"#,
            r#"{ scopes = { "*" = "WRITE" }, roles = ["USER"], match = "any" }"#,
            r#"{ scopes = { "*" = "READ" }, roles = ["SUPER_ADMIN"] }"#,
        ]);
        table = table.with("authn", authn).with("authz", authz);
    }
    // What counts callers may not stand on a public route; what the file refuses is thrown away.
    if random.chance(60) {
        let few: Vec<String> =
            limits.iter().filter(|_| random.chance(50)).map(|name| quoted(name)).collect();
        table = table.with("limits", format!("[{}]", few.join(", ")));
    }
    if random.chance(20) {
        table = table.with("allow", r#"["encoded_slash", "semicolon", "empty_segment"]"#);
    }
    if random.chance(20) {
        table = table.with("body_limit", quoted("1KiB"));
    }
    let slash = *random.pick(&[r#""keep""#, r#""add""#, r#""strip""#]);
    table.with("trailing_slash", slash)
}

/// Paths that routes may have.
const TARGETS: [&str; 11] = [
    "/a",
    "/a/b",
    "/a/b/x",
    "/a/7",
    "/a/7/c",
    "/b",
    "/b/x/y",
    "/c/1/2",
    "/api/v1/tasks",
    "/api/v1/tasks/9",
    "/api/v1/agents/9",
];

fn request(round: usize, proofs: &Proofs, random: &mut Random) -> Asked {
    let method = match random.below(20) {
        0 => *random.pick(&["OPTIONS", "TRACE", "ODD"]),
        1..=12 => "GET",
        _ => *random.pick(&["POST", "PUT", "DELETE", "HEAD"]),
    };
    let mut target = String::new();
    let mut odd = 4;
    if random.chance(70) {
        target.push_str(random.pick::<&str>(&TARGETS));
        odd = if random.chance(15) { 3 } else { 1 };
    }
    for _ in 0..random.below(odd) {
        let segment = *random.pick(&[
            "a",
            "a",
            "b",
            "b",
            "c",
            "x",
            "7",
            "api/v1/tasks",
            "api/v1/agents",
            "auth/login",
            "..",
            ".",
            "%2e%2e",
            "%2F",
            "x;y",
            "",
            "%00",
            "%zz",
            "%252e",
            "%41",
            "A",
            "\u{e9}",
            "x|y",
        ]);
        let _ = write!(target, "/{segment}");
    }
    if target.is_empty() || random.chance(10) {
        target.push('/');
    }
    if random.chance(20) {
        let query = ["?q=1", "?a", "?a=b&c=%2F", "?", "#f", "?\u{7f}"];
        target.push_str(random.pick::<&str>(&query));
    }
    let host = match random.below(12) {
        0 => *random.pick(&["TWO.example.", "two.example:80", "a..b", "a b"]),
        1..=3 => "two.example",
        _ => "a.example",
    };
    let mut fields = format!("Host: {host}\r\n");
    let last = random.between(1, 4);
    let (high, low) = (round / 250, round % 250);
    let _ = write!(fields, "X-Forwarded-For: 10.{high}.{low}.{last}\r\n");
    match random.between(0, 10) {
        0..=3 => {
            // The first are good.
            let some = if random.chance(60) { 3 } else { proofs.tokens.len() };
            let token = random.pick(&proofs.tokens[..some]);
            let scheme = if random.chance(90) { "Bearer" } else { "Basic" };
            let _ = write!(fields, "Authorization: {scheme} {token}\r\n");
        }
        4..=7 => {
            let some = if random.chance(60) { 4 } else { proofs.keys.len() };
            let key = random.pick(&proofs.keys[..some]);
            let _ = write!(fields, "X-API-Key: {key}\r\n");
        }
        8 => {
            let (token, key) = (random.pick(&proofs.tokens), random.pick(&proofs.keys));
            let _ = write!(fields, "Authorization: Bearer {token}\r\n");
            let _ = write!(fields, "X-API-Key: {key}\r\n");
        }
        _ => {}
    }
    if random.chance(8) {
        fields.push_str(random.pick::<&str>(&[
            "Host: again.example\r\n",
            "Connection: x-auth-subject\r\n",
            "X-Auth-Subject: forged\r\n",
            "X_Auth_Roles: forged\r\n",
            "Authorization: Bearer twice\r\n",
            "X-API-Key: twice\r\n",
            "Origin: https://other.example\r\nAccess-Control-Request-Method: POST\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "X: a\tb\r\n",
            "X : space\r\n",
            " folded\r\n",
            "Content-Type: a/b\r\nContent-Type: c/d\r\n",
        ]));
    }
    let mut body = String::new();
    if matches!(method, "POST" | "PUT") {
        body = "x".repeat(*random.pick(&[0, 5, 1024, 3000]));
        let _ = write!(fields, "Content-Length: {}\r\n", body.len());
    }
    Asked { head: format!("{method} {target} HTTP/1.1\r\n{fields}\r\n"), body }
}

fn proofs(gateway: &Gateway) -> Proofs {
    let id = |account: Value| account["id"].as_str().expect("an id").to_owned();
    let admin = id(operate::add_admin(gateway));
    let user = id(operate::add_user(gateway, "a-user", &["USER"]));
    operate::add_user(gateway, "gone", &["USER"]);
    let good = |subject: &str, roles: &[&str]| bench::claims(subject, roles);
    let hs256 = r#"{"alg":"HS256","typ":"JWT"}"#;
    let with = |mut claims: Value, key: &str, value: Value| {
        claims[key] = value;
        claims
    };
    let mut tokens: Vec<String> = [
        good(&admin, &["SUPER_ADMIN"]),
        good(&user, &["USER"]),
        good(&user, &["READONLY"]),
        good(&user, &[]),
        with(good(&user, &["USER"]), "exp", json!(bench::now() - 60)),
        with(good(&user, &["USER"]), "iss", json!("another-issuer")),
        with(good(&user, &["USER"]), "aud", json!("another")),
        with(good(&user, &["USER"]), "exp", Value::Null),
    ]
    .iter()
    .map(|claims| signed(hs256, &claims.to_string()))
    .collect();
    tokens.push(signed(r#"{"alg":"none"}"#, &good(&admin, &["SUPER_ADMIN"]).to_string()));
    let first = tokens[0].clone();
    tokens.push(first[..first.len() - 2].to_owned());
    tokens.extend(["abc".to_owned(), "a.b.c".to_owned(), String::new()]);

    let make = |owner: &str, scopes: &[&str], mount: &str| {
        operate::add_key(gateway, owner, scopes, json!({ "mount": mount }))
    };
    let mut keys = vec![
        make(operate::ADMIN, &["FULL"], "api"),
        make(operate::ADMIN, &["READ"], "api"),
        make("a-user", &["READ"], "api"),
        make(operate::ADMIN, &["FULL"], "two"),
    ];
    let gone = make("gone", &["READ"], "api");
    operate::disable(gateway, "gone");
    let revoked = make(operate::ADMIN, &["FULL"], "api");
    gateway.cli_ok(&["key", "revoke", revoked.split('.').next().unwrap(), "--mount", "api"]);
    keys.extend([gone, revoked, keys[0][..keys[0].len() - 1].to_owned(), "wrong".to_owned()]);
    Proofs { tokens, keys }
}

/// Another data folder with the store as it is now and what opens it; returns the folder.
fn copy_of(gateway: &Gateway) -> PathBuf {
    let copy = gateway.places.dir.join("copy");
    std::fs::create_dir(&copy).unwrap();
    let store = copy.join("portcullis.db");
    gateway.cli_ok(&["store", "backup", store.to_str().unwrap()]);
    for entry in std::fs::read_dir(&gateway.places.data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() && !name.starts_with("portcullis.db") && !copy.join(&name).exists() {
            std::fs::copy(&path, copy.join(&name)).unwrap();
        }
    }
    // The store takes nobody's but its own folder.
    let made = Command::new("chmod").args(["-R", "go-rwx"]).arg(&copy).status().unwrap();
    assert!(made.success());
    copy
}

/// What the gateway did with each: its access line, where there is one.
async fn serve(gateway: &Gateway, asked: &[Asked]) -> Vec<Value> {
    let mut replies = Vec::new();
    for one in asked {
        let bytes = format!("{}{}", one.head, one.body);
        let mut wire = wire::connect(gateway.address()).await;
        wire.send(&bytes).await;
        let reply = wire.try_reply(one.head.starts_with("HEAD")).await;
        let reply = reply.unwrap_or_else(|| panic!("no answer to {}", one.head));
        let id = reply.header("x-request-id").map(str::to_owned);
        let seen = reply.header("x-seen").map(str::to_owned);
        replies.push((reply.status, id, seen));
    }
    let ids: Vec<&String> = replies.iter().filter_map(|(_, id, _)| id.as_ref()).collect();
    let lines = wait::until("every access line", || async {
        let all = gateway.log();
        let lines: std::collections::HashMap<String, Value> = all
            .into_iter()
            .filter(|line| line["outcome"].is_string())
            .map(|line| (line["request_id"].as_str().unwrap_or_default().to_owned(), line))
            .collect();
        ids.iter().all(|id| lines.contains_key(*id)).then_some(lines)
    })
    .await;
    let verdict = |(status, id, seen): &(u16, Option<String>, Option<String>)| {
        let Some(line) = id.as_ref().and_then(|id| lines.get(id)) else {
            return json!({ "admitted": false, "status": status, "unread": true });
        };
        if line["upstream"].is_string() {
            return json!({
                "admitted": true, "route": line["route"], "mount": line["mount"],
                "to": line["upstream"], "path": seen,
            });
        }
        json!({
            "admitted": false, "status": status, "reason": line["reason"], "route": line["route"],
            "mount": line["mount"], "rule": rule(&line["rule"]), "missing": line["missing"],
        })
    };
    replies.iter().map(verdict).collect()
}

/// The rule that refused. Of two limits that are used up at once the one is named that takes longer to be full again, which
/// hangs on the microsecond of each charge: so limits are not told apart.
fn rule(value: &Value) -> Value {
    match value.as_str() {
        Some(name) if name.starts_with("limit ") => json!("limit"),
        _ => value.clone(),
    }
}

/// The same facts of an explanation.
fn verdict_of(told: &Value) -> Value {
    let sent = &told["upstream"];
    if sent.is_object() {
        // Our own endpoints do not tell what they saw.
        let path = if sent["to"] == "identity" { Value::Null } else { sent["path"].clone() };
        return json!({
            "admitted": true, "route": told["route"], "mount": told["mount"], "to": sent["to"], "path": path,
        });
    }
    let unread = |note: &Value| note.as_str().is_some_and(|note| note.starts_with("the parser"));
    if told["stages"][0]["saw"].as_array().is_some_and(|all| all.iter().any(unread)) {
        return json!({ "admitted": false, "status": told["status"], "unread": true });
    }
    json!({
        "admitted": false, "status": told["status"], "reason": told["reason"], "route": told["route"],
        "mount": told["mount"], "rule": rule(&told["rule"]), "missing": told["missing"],
    })
}

fn explain(copy: &Path, text: &str, places: &Places, asked: &[Asked]) -> Vec<Value> {
    let data = quoted(places.data.to_str().unwrap());
    let text = text.replace(&data, &quoted(copy.to_str().unwrap()));
    let (config, batch) = (copy.join("copy.toml"), copy.join("batch"));
    std::fs::write(&config, text).unwrap();
    let lines: Vec<String> = asked
        .iter()
        .map(|one| json!({ "head": STANDARD.encode(&one.head), "client": "127.0.0.1" }).to_string())
        .collect();
    std::fs::write(&batch, lines.join("\n")).unwrap();
    let (config, batch) = (config.to_str().unwrap(), batch.to_str().unwrap());
    let output = run(&["explain", "--batch", batch, "--config", config]);
    assert!(output.status.success(), "{}", said(&output));
    let told: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), asked.len(), "{}", said(&output));
    told
}
