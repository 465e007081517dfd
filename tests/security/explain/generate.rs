//! Configurations and requests, made up.

use std::fmt::Write;

use super::{
    random::Random,
    world::{Proofs, World},
};
use crate::support::{
    conf::{self, Conf, Table, quoted},
    gateway::Places,
};

/// Where a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Public,
    Inside,
    /// By TLS, showing this certificate.
    Secure(Option<usize>),
    /// As a question of a proxy: the number of its listener.
    Front(usize),
}

/// One request.
pub struct Asked {
    pub door: Door,
    pub head: String,
    pub body: String,
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

pub fn configuration(world: &World, places: &Places, round: usize, random: &mut Random) -> Conf {
    let mut conf = world.configuration(places);
    let failures = *random.pick(&["1000/h", "4/h", "12/h"]);
    conf = conf.section(&format!("[limiter]\nfailures_per_address = [{}]", quoted(failures)));
    // Names of their own: counts of an earlier configuration must not be met.
    let limits: Vec<String> = (0..4).map(|number| format!("l{round}-{number}")).collect();
    let mut anybodys = Vec::new();
    for name in &limits {
        let per = *random.pick(&[
            r#"["client"]"#,
            r#"["route"]"#,
            r#"["credential"]"#,
            r#"["user"]"#,
            r#"["key"]"#,
        ]);
        let windows = *random.pick(&[r#"["2/h"]"#, r#"["9/h"]"#, r#"["500/h"]"#]);
        let mode = *random.pick(&["enforce", "enforce", "shadow"]);
        // What counts callers may not stand on a public route.
        if matches!(per, r#"["client"]"# | r#"["route"]"#) {
            anybodys.push(name.clone());
        }
        conf = conf.table(
            Table::new("limit", name)
                .with("per", per)
                .with("windows", windows)
                .with("mode", quoted(mode)),
        );
    }
    let mut number = 0;
    for (mount, most) in [("api", 9), ("two", 6), ("arch", 8), ("hh", 8)] {
        let mut paths = PATHS.to_vec();
        for _ in 0..random.between(most * 2 / 3, most + 1) {
            let path = paths.remove(random.below(paths.len()));
            conf =
                conf.route(route(&format!("r{number}"), mount, path, [&limits, &anybodys], random));
            number += 1;
        }
    }
    conf
}

/// What a mount of this kind may ask for at a route.
fn asks(mount: &str) -> (&'static [&'static str], &'static [&'static str]) {
    const SHADOWED: &str =
        r#"{ scopes = { "*" = "WRITE" }, mode = "shadow", meanwhile = "authenticated" }"#;
    match mount {
        "arch" => (
            &[r#"["jwt", "agent"]"#, r#"["agent"]"#, r#"["jwt"]"#],
            &[
                r#""authenticated""#,
                r#"{ roles = ["admin"], capabilities = { GET = "file:read", "*" = "file:write" } }"#,
                r#"{ roles = ["user"], capabilities = { "*" = "file:read" } }"#,
            ],
        ),
        "hh" => (&[r#"["session"]"#], &[r#""authenticated""#]),
        _ => (
            &[
                r#"["jwt", "api_key"]"#,
                r#"["api_key", "jwt"]"#,
                r#"["jwt"]"#,
                r#"["api_key"]"#,
                r#"["jwt", { kind = "api_key", mode = "shadow" }]"#,
            ],
            &[
                r#""authenticated""#,
                r#""policy""#,
                r#"{ roles = ["SUPER_ADMIN"] }"#,
                r#"{ scopes = { GET = "READ", "*" = "WRITE" } }"#,
                r#"{ scopes = { GET = "READ" } }"#,
                r#"{ scopes = { "*" = "WRITE" }, roles = ["USER"], match = "any" }"#,
                r#"{ scopes = { "*" = "READ" }, roles = ["SUPER_ADMIN"] }"#,
                SHADOWED,
            ],
        ),
    }
}

fn route(
    name: &str,
    mount: &str,
    path: &str,
    limits: [&[String]; 2],
    random: &mut Random,
) -> Table {
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
    let mut table =
        conf::open(name, path, "main").with("match", matches).with("mount", quoted(mount));
    let kind = random.below(100);
    if kind < 15 && mount != "hh" && mount != "arch" {
        // Anybody, with something on trial.
        table = table.with("authn", r#"["public", { kind = "jwt", mode = "shadow" }]"#);
    } else if kind >= 25 {
        let (kinds, rules) = asks(mount);
        let certified = mount == "api" && random.chance(25);
        let kinds = if certified { r#"["client_cert", "jwt"]"# } else { random.pick(kinds) };
        let rule = *random.pick(rules);
        // Nobody but agents has capabilities.
        let idle = rule.contains("capabilities") && !kinds.contains("agent");
        let rule = if idle { r#"{ roles = ["admin"] }"# } else { rule };
        table = table.with("authn", kinds).with("authz", rule);
        if mount == "api" && kinds.contains("\"jwt\"") && random.chance(30) {
            let issuers = *random.pick(&["[]", r#"["corp"]"#, r#"["other"]"#]);
            table = table.with("issuers", issuers);
        }
    }
    let limits = limits[usize::from(kind < 25)];
    if random.chance(60) {
        let few: Vec<String> =
            limits.iter().filter(|_| random.chance(40)).map(|name| quoted(name)).collect();
        table = table.with("limits", format!("[{}]", few.join(", ")));
    }
    if random.chance(20) {
        table = table.with("allow", r#"["encoded_slash", "semicolon", "empty_segment"]"#);
    }
    if random.chance(20) {
        table = table.with("body_limit", quoted("1KiB"));
    }
    if random.chance(10) {
        table = table.with("streaming", "true");
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

pub fn request(round: usize, proofs: &Proofs, world: &World, random: &mut Random) -> Asked {
    let door = match random.below(20) {
        0..=11 => Door::Public,
        12 | 13 => Door::Inside,
        14..=16 => Door::Secure(*random.pick(&[None, Some(0), Some(0), Some(1)])),
        _ => Door::Front(random.below(world.fronts.len())),
    };
    let method = match random.below(20) {
        0 => *random.pick(&["OPTIONS", "TRACE", "ODD"]),
        1..=12 => "GET",
        _ => *random.pick(&["POST", "PUT", "DELETE", "HEAD"]),
    };
    let mut target = String::new();
    let prefix = match door {
        Door::Inside if random.chance(80) => "/in",
        _ if random.chance(20) => "/hh",
        _ => "",
    };
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
    let target = format!("{prefix}{target}");
    let host = match random.below(16) {
        0 => *random.pick(&["TWO.example.", "two.example:80", "a..b", "a b"]),
        1..=3 => "two.example",
        4..=6 => "arch.example",
        _ => "a.example",
    };
    let last = random.between(1, 4);
    let client = format!("10.{}.{}.{last}", round / 250, round % 250);
    let mut fields = String::new();
    let any = |pair: &[Vec<String>; 2], random: &mut Random| {
        let some = usize::from(random.chance(35));
        random.pick(&pair[some]).clone()
    };
    let shown = random.below(12);
    if matches!(shown, 0..=3 | 8) {
        let scheme = if random.chance(95) { "Bearer" } else { "Basic" };
        let fits = host == "arch.example" && random.chance(80);
        let token = any(if fits { &proofs.agents } else { &proofs.tokens }, random);
        let _ = write!(fields, "Authorization: {scheme} {token}\r\n");
    }
    if matches!(shown, 4..=6 | 8) {
        let _ = write!(fields, "X-API-Key: {}\r\n", any(&proofs.keys, random));
    }
    if shown == 7 || prefix == "/hh" {
        fields.push_str(&any(&proofs.sessions, random));
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
            "Upgrade: websocket\r\nConnection: upgrade\r\n",
            "X : space\r\n",
            " folded\r\n",
            "Content-Type: a/b\r\nContent-Type: c/d\r\n",
        ]));
    }
    if random.chance(8) {
        fields.push_str("Origin: https://app.example\r\n");
        if method == "OPTIONS" {
            fields.push_str("Access-Control-Request-Method: POST\r\n");
        }
    }
    let Door::Front(front) = door else {
        let mut body = String::new();
        if matches!(method, "POST" | "PUT") {
            body = "x".repeat(*random.pick(&[0, 5, 1024, 3000]));
            let _ = write!(fields, "Content-Length: {}\r\n", body.len());
        }
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n{fields}\r\n"
        );
        return Asked { door, head, body };
    };
    let told = [
        ("Method", method),
        ("URI", &target),
        ("Host", host),
        ("Proto", "https"),
        ("For", &client),
    ];
    let told = |prefix: &str| {
        let lines = told.iter().map(|(name, value)| format!("{prefix}{name}: {value}\r\n"));
        lines.collect::<String>()
    };
    let head = match world.fronts[front].1 {
        "nginx" => {
            format!("GET /ask HTTP/1.1\r\nHost: asked\r\n{}{fields}\r\n", told("X-Original-"))
        }
        "caddy" => {
            format!("GET /ask HTTP/1.1\r\nHost: asked\r\n{}{fields}\r\n", told("X-Forwarded-"))
        }
        _ => format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-For: {client}\r\n{fields}\r\n"
        ),
    };
    Asked { door, head, body: String::new() }
}
