//! The configuration as an operator meets it: exact messages, overrides, the effective file, reload.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use super::*;
use crate::pipeline::Authz;

/// A world of files and variables in memory.
#[derive(Default)]
struct World {
    files: HashMap<PathBuf, String>,
    vars: HashMap<String, String>,
}

impl Surroundings for World {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

const MINIMAL: &str = include_str!("../../conf/minimal.toml");
const FULL: &str = include_str!("../../conf/portcullis.toml");
const DEMO: &str = include_str!("../../conf/demo.toml");
const FILE: &str = "/etc/p/p.toml";

fn read(text: &str, sets: &[&str]) -> Result<Config, Report> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    parse(Path::new(FILE), text, &sets, &World::default())
}

/// Lines 1 to 9 of every faulty file below.
const HEAD: &str = r#"version = 1
[[mount]]
name = "tmws"
dialect = "tmws"
[[upstream]]
name = "app"
backends = ["http://127.0.0.1:9000"]

# The fault begins in the next line.
"#;

/// The report of `HEAD` followed by `rest`, as the operator sees it.
fn report(rest: &str) -> String {
    match read(&format!("{HEAD}{rest}"), &[]) {
        Ok(_) => "no error".into(),
        Err(report) => report.to_string(),
    }
}

/// A good route with something more in it; its first own line is line 15.
fn route(more: &str) -> String {
    format!(
        "[[route]]\nname = \"r\"\nmatch = {{ path = \"/r/**\" }}\nupstream = \"app\"\nauthn = [\"jwt\"]\n{more}"
    )
}

#[test]
fn every_kind_of_fault_is_told_with_its_line_and_the_fix() {
    let no_authn = "[[route]]\nname = \"r\"\nmatch = { path = \"/r\" }\nupstream = \"app\"\n";
    let plain = |authn: &str| {
        format!(
            "[[route]]\nname = \"r\"\nlistener = \"public\"\nmatch = {{ path = \"/r\" }}\nauthn = {authn}\n"
        )
    };
    let cases: Vec<(String, &str)> = vec![
        (
            "[server]\ntreads = 4\n".into(),
            "/etc/p/p.toml:11:1: server.treads: unknown key \"treads\"\n    \
             why: server knows: grace_period, threads, upstream_keepalive_pool, watch\n    \
             fix: write \"threads\", or remove it",
        ),
        (
            "[server]\nthreads = \"four\"\n".into(),
            "/etc/p/p.toml:11:11: server.threads: expected a whole number such as 10, found a string\n    \
             why: the value has the wrong type\n    \
             fix: write a whole number such as 10",
        ),
        (
            "[server]\ngrace_period = \"soon\"\n".into(),
            "/etc/p/p.toml:11:16: server.grace_period: bad duration \"soon\"\n    \
             why: a duration is a whole number and one of ms, s, m, h, d\n    \
             fix: write a duration such as \"15m\", \"2s\" or \"250ms\"",
        ),
        (
            "[internal]\ntoken = \"file:missing\"\n".into(),
            "/etc/p/p.toml:11:9: internal.token: secret file /etc/p/missing cannot be read: entity not found\n    \
             why: the secret is referenced by this path\n    \
             fix: create the file (mode 0600, owned by the service), or correct the path",
        ),
        (
            "[internal]\ntoken = \"env:NOWHERE\"\n".into(),
            "/etc/p/p.toml:11:9: internal.token: environment variable NOWHERE is not set\n    \
             why: the secret is referenced as env:NOWHERE\n    \
             fix: set NOWHERE for the process, or use file: or cred:",
        ),
        (
            "[internal]\ntoken = \"cred:op\"\n".into(),
            "/etc/p/p.toml:11:9: internal.token: no credential \"op\": CREDENTIALS_DIRECTORY is not set\n    \
             why: cred: names a systemd credential, which only a unit has\n    \
             fix: add LoadCredential=op:PATH to the unit, or use file:",
        ),
        (
            "[internal]\ntoken = \"hunter2hunter2\"\n".into(),
            "/etc/p/p.toml:11:9: internal.token: a secret stands in the configuration itself\n    \
             why: a secret in the configuration ends up in backups, logs and version control\n    \
             fix: put it into a file of mode 0600 and write a reference: \"file:PATH\", \"env:NAME\" or \"cred:NAME\"",
        ),
        (
            "[internal]\naddress = \"localhost\"\n".into(),
            "/etc/p/p.toml:11:11: internal.address: bad address \"localhost\"\n    \
             why: an address is an IP address and a port\n    \
             fix: write an address such as \"127.0.0.1:8000\" or \"[::1]:8000\"",
        ),
        (
            "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\n".into(),
            "/etc/p/p.toml:12:11: listener.l.address: port 0\n    \
             why: clients could not know the port the system chooses\n    \
             fix: write a port from 1 to 65535",
        ),
        (
            "[[limit]]\nname = \"l\"\nper = [\"client\"]\nwindows = [\"many\"]\n".into(),
            "/etc/p/p.toml:13:11: limit.l.windows: bad rate \"many\"\n    \
             why: a rate is a number, a slash and a span\n    \
             fix: write a rate such as \"100/min\" or \"1000/h\"",
        ),
        (
            "[[limit]]\nname = \"l\"\nper = [\"client\"]\n".into(),
            "/etc/p/p.toml:10:1: limit.l.windows: missing key\n    \
             why: it has no default\n    \
             fix: add windows = a list in square brackets",
        ),
        (
            route("body_limit = \"1 GB\"\n"),
            "/etc/p/p.toml:15:14: route.r.body_limit: bad size \"1 GB\"\n    \
             why: a size is a whole number and one of B, KiB, MiB, GiB\n    \
             fix: write a size such as \"64KiB\", \"10MiB\" or \"500B\"",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmws\"\nat = [{ hosts = [\"b\"] }]\naccess_token_lifetime = \"25h\"\n".into(),
            "/etc/p/p.toml:14:25: mount.two.access_token_lifetime: longer than 24h\n    \
             why: ended sessions are remembered for a day, and no token may outlive that\n    \
             fix: write \"24h\" or less",
        ),
        (
            no_authn.into(),
            "/etc/p/p.toml:10:1: route.r.authn: a route without authn\n    \
             why: nothing is public by default; a route says which credentials it takes\n    \
             fix: add authn = [\"jwt\", \"api_key\"], or authn = [\"public\"]",
        ),
        (
            format!("{no_authn}authn = [\"public\", \"jwt\"]\n"),
            "/etc/p/p.toml:14:9: route.r.authn: \"public\" beside other kinds\n    \
             why: a public route reads no credential, so the others would never be asked for\n    \
             fix: write authn = [\"public\"], or remove \"public\"",
        ),
        (
            format!("{no_authn}authn = [\"jtw\"]\n"),
            "/etc/p/p.toml:14:9: route.r.authn: unknown credential kind \"jtw\"\n    \
             why: known: jwt, api_key, public\n    \
             fix: write \"jwt\", or remove it",
        ),
        (
            route("").replace("\"app\"", "\"ap\""),
            "/etc/p/p.toml:13:12: route.r.upstream: unknown upstream \"ap\"\n    \
             why: known: app\n    \
             fix: write \"app\", or add an [[upstream]] of this name",
        ),
        (
            route("mount = \"tmsw\"\n"),
            "/etc/p/p.toml:15:9: route.r.mount: unknown mount \"tmsw\"\n    \
             why: known: tmws\n    \
             fix: write \"tmws\", or add a [[mount]] of this name",
        ),
        (
            route("limits = [\"tmws-generic\"]\n"),
            "/etc/p/p.toml:15:10: route.r.limits: unknown limit \"tmws-generic\"\n    \
             why: known: tmws-general\n    \
             fix: write \"tmws-general\", or add a [[limit]] of this name",
        ),
        (
            plain("[\"public\"]").replace("\"public\"\nm", "\"pulbic\"\nm"),
            "/etc/p/p.toml:12:12: route.r.listener: unknown listener \"pulbic\"\n    \
             why: known: public\n    \
             fix: write \"public\", or add a [[listener]] of this name",
        ),
        (
            plain("[\"jwt\"]"),
            "/etc/p/p.toml:14:9: route.r.authn: credentials on a route without a mount\n    \
             why: tokens and keys belong to a mount, and this route names none\n    \
             fix: add mount = \"…\", or write authn = [\"public\"]",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmvs\"\nat = [{ hosts = [\"b\"] }]\n".into(),
            "/etc/p/p.toml:12:11: mount.two.dialect: unknown dialect \"tmvs\"\n    \
             why: known: tmws\n    \
             fix: write \"tmws\", or name a contract this program speaks",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmws\"\nrealm = \"mian\"\nat = [{ hosts = [\"b\"] }]\n".into(),
            "/etc/p/p.toml:13:9: mount.two.realm: unknown realm \"mian\"\n    \
             why: known: main\n    \
             fix: write \"main\", or add a [[realm]] of this name",
        ),
        (
            "[[upstream]]\nname = \"app\"\nbackends = [\"http://127.0.0.1:1\"]\n".into(),
            "/etc/p/p.toml:11:8: upstream.app.name: duplicate name \"app\"\n    \
             why: another [[upstream]] has it at line 6\n    \
             fix: give each [[upstream]] a name of its own",
        ),
        (
            route("authz = { scopes = { GET = \"REED\" } }\n"),
            "/etc/p/p.toml:15:28: route.r.authz.scopes: scope that no key or role can hold: unknown scope \"REED\"\n    \
             why: mount \"tmws\" knows: ADMIN, FULL, MEMORY, READ, TASKS, WORKFLOWS, WRITE\n    \
             fix: write \"READ\", or add the scope to the mount's policy",
        ),
        (
            route("authz = { roles = [\"ROOT\"] }\n"),
            "/etc/p/p.toml:15:19: route.r.authz.roles: unknown role \"ROOT\"\n    \
             why: known: SUPER_ADMIN, ADMIN, USER, READONLY, SERVICE\n    \
             fix: add it to the roles of the realm",
        ),
        (
            format!(
                "{}[[limit]]\nname = \"k\"\nper = [\"key\"]\nwindows = [\"1/s\"]\n",
                route("limits = [\"k\"]\n").replace("\"jwt\"", "\"public\"")
            ),
            "/etc/p/p.toml:15:10: route.r.limits: limit \"k\" on a public route\n    \
             why: it counts keys, users or tenants, and a public route knows none\n    \
             fix: use a limit with per = [\"client\"], or let the route take credentials",
        ),
        (
            route("headers = { request = { set = { X-Auth-Roles = \"ADMIN\" } } }\n"),
            "/etc/p/p.toml:15:31: route.r.headers.request.set: header rule for the identity header \"x-auth-roles\"\n    \
             why: identity headers are removed on every route and set once, from the permit\n    \
             fix: remove the rule",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmws\"\nat = [{ hosts = [\"b\"] }]\ncors = { origins = [\"*\"], credentials = true }\n".into(),
            "/etc/p/p.toml:14:41: mount.two.cors.credentials: credentials for any origin\n    \
             why: any web site could act with the visitor's cookies (Fetch standard)\n    \
             fix: list the origins, or write credentials = false",
        ),
        (
            route("").replace("/r/**", "/r/**/x"),
            "/etc/p/p.toml:12:18: route.r.match.path: bad path \"/r/**/x\"\n    \
             why: * stands only as a last segment of two: /**\n    \
             fix: write a path such as \"/a/b\", \"/a/{id}\" or \"/a/**\"",
        ),
        (
            format!("{}{}", route(""), route("").replace("\"r\"", "\"s\"")),
            "/etc/p/p.toml:15:1: route.s: routes \"r\" (line 10) and \"s\" (line 15) are equal\n    \
             why: both match any method /r/** on listener \"public\" and neither is more specific\n    \
             fix: change the path or the methods of one, or remove it",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmws\"\n".into(),
            "/etc/p/p.toml:10:1: mount.two: mounts \"tmws\" (line 2) and \"two\" (line 10) claim the same endpoints\n    \
             why: both would answer POST /api/v1/auth/login on listener \"public\", among others\n    \
             fix: give one of them another listener, host or prefix in its at",
        ),
        (
            "a = \n".into(),
            "/etc/p/p.toml:10:5: not valid TOML: string values must be quoted, expected literal string\n    \
             why: the file cannot be read any further\n    \
             fix: correct the syntax (https://toml.io)",
        ),
    ];
    let mut wrong = String::new();
    for (text, expected) in cases {
        let (found, expected) = (report(&text), format!("{expected}\n1 error in {FILE}"));
        if found != expected {
            wrong.push_str(&format!(
                "--- file\n{text}--- found\n{found}\n--- expected\n{expected}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let text = "vresion = 1\n[[mount]]\nname = \"a b\"\ndialect = \"tmws\"\nlimits = [\"x\"]\n\
                [[upstream]]\nname = \"u\"\nbackends = [\"https://h\"]\nretries = -1\n\
                [[route]]\nname = \"r\"\n";
    let found = read(text, &["nope", "route.q.limits=[]"]).unwrap_err();
    let keys: Vec<&str> = found.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "vresion",
            "mount.a b.name",
            "mount.a b.limits",
            "upstream.u.backends",
            "upstream.u.retries",
            "route.r.authn",
            "route.r.match",
            "nope",
            "route.q.limits",
        ]
    );
}

#[test]
fn two_mounts_never_share_a_secret() {
    let mut world = World::default();
    world.files.insert("/etc/p/one".into(), format!("{}\n", "s".repeat(40)));
    world.vars.insert("TWO".into(), "s".repeat(40));
    let text = "[[mount]]\nname = \"a\"\ndialect = \"tmws\"\nsecret = \"file:one\"\n\
                [[mount]]\nname = \"b\"\ndialect = \"tmws\"\nsecret = \"env:TWO\"\nat = [{ prefixes = [\"/b\"] }]\n";
    let found = parse(Path::new(FILE), text, &[], &world).unwrap_err().to_string();
    assert_eq!(
        found,
        "/etc/p/p.toml:8:10: mount.b.secret: the same secret as mount \"a\" (line 4)\n    \
         why: a token of one mount would verify on the other\n    \
         fix: give each mount its own secret\n1 error in /etc/p/p.toml"
    );
    assert!(!found.contains("sss"));
}

#[test]
fn short_secrets_of_the_process_are_refused_before_it_starts() {
    let mut world = World::default();
    world.files.insert("/etc/p/token".into(), "fifteen-letters\n".into());
    world.files.insert("/etc/p/key".into(), "short-canary\n".into());
    let text = format!(
        "{HEAD}[internal]\ntoken = \"file:token\"\n[secrets]\nmaster_keys = [\"file:key\"]\n"
    );
    let found = parse(Path::new(FILE), &text, &[], &world).unwrap_err().to_string();
    let token = "p.toml:11:9: internal.token: the operator token has fewer than 16 bytes\n    \
                 why: it opens every account and key, and a short one can be guessed\n    \
                 fix: make one: openssl rand -hex 32";
    assert!(found.contains(token), "{found}");
    let key = "secrets.master_keys: the master key file:/etc/p/key has fewer than 16 bytes";
    assert!(found.contains(key), "{found}");
    assert!(!found.contains("fifteen") && !found.contains("canary"), "{found}");
}

#[test]
fn ten_lines_are_enough() {
    let lines = MINIMAL.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(lines, 10);
    let config = read(MINIMAL, &[]).unwrap();
    assert_eq!(config.blueprint.listeners.first().unwrap().address.to_string(), "127.0.0.1:8000");
    assert_eq!(config.blueprint.process.data_dir, Path::new("/etc/p/data"));
    assert_eq!(config.blueprint.realms.first().unwrap().is.name.as_str(), "main");
    let route = &config.blueprint.routes.first().unwrap().is;
    assert_eq!(route.authz, Authz::Policy);
    assert_eq!(route.limits, ["tmws-general".into()]);
}

#[test]
fn the_shipped_files_load_and_their_effective_form_loads_to_the_same() {
    for text in [MINIMAL, FULL, DEMO] {
        let config = read(text, &[]).unwrap();
        let again =
            read(&config.effective, &[]).unwrap_or_else(|e| panic!("{e}\n{}", config.effective));
        assert_eq!(config.effective, again.effective);
        assert_eq!(config.hash, again.hash);
        assert_eq!(
            config.blueprint.mounts.first().unwrap().is.policy.resources,
            again.blueprint.mounts.first().unwrap().is.policy.resources
        );
    }
}

#[test]
fn the_full_file_writes_out_defaults() {
    let only = |text: &str| read(text, &[]).unwrap().blueprint.effective;
    let (full, minimal) = (only(FULL), only(MINIMAL));
    for key in ["server", "internal", "secrets", "log", "limiter", "trust", "identity_headers"] {
        assert_eq!(full.get(key), minimal.get(key), "{key}");
    }
    for list in ["listener", "realm", "limit", "upstream"] {
        assert_eq!(full.get(list), minimal.get(list), "{list}");
    }
}

#[test]
fn secrets_stay_references_in_the_effective_file() {
    let mut world = World::default();
    world.vars.insert("TOKEN".into(), "canary-canary-canary".into());
    let text = format!("{HEAD}[internal]\ntoken = \"env:TOKEN\"\n");
    let config = parse(Path::new(FILE), &text, &[], &world).unwrap();
    assert!(config.effective.contains("token = \"env:TOKEN\""));
    assert!(!config.effective.contains("canary"));
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn overrides_reach_named_entries_and_make_limits() {
    let sets = [
        "mount.tmws.access_token_lifetime=2s",
        "limit.tmws-general.windows=[\"1000/min\"]",
        "limit.new.per=[\"client\"]",
        "limit.new.windows=5/s",
        "realm.main.lockout.failures=3",
        "route.api.limits=[]",
        "upstream.app.backends=[\"http://10.0.0.1:1\"]",
        "mount.tmws.cors.origins=[\"https://a.example\"]",
        "data.dir=/srv/x",
        "listener.public.address=127.0.0.1:1234",
        "log.level=debug",
    ];
    let config = read(MINIMAL, &sets).unwrap();
    let b = &config.blueprint;
    let mount = &b.mounts.first().unwrap().is;
    assert_eq!(mount.tokens.access_lifetime.as_secs(), 2);
    assert_eq!(mount.cors.origins, ["https://a.example".into()]);
    let general = b.limits.iter().find(|limit| &*limit.name == "tmws-general").unwrap();
    assert_eq!(general.windows.first().unwrap().limit, 1000);
    assert_eq!(general.per, [crate::pipeline::Per::Credential]);
    let made = b.limits.iter().find(|limit| &*limit.name == "new").unwrap();
    assert_eq!(made.windows.first().unwrap().limit, 5, "one value stands for a list of one");
    assert_eq!(b.realms.first().unwrap().is.rules.lockout.unwrap().failures, 3);
    assert!(b.routes.first().unwrap().is.limits.is_empty());
    assert_eq!(b.process.data_dir, Path::new("/srv/x"));
    assert_eq!(b.listeners.first().unwrap().address.port(), 1234);
    assert_eq!(b.process.log.level, "debug");
}

#[test]
fn faults_of_overrides_name_the_override() {
    for (set, expected) in [
        (
            "mount.tmsw.realm=x",
            "--set mount.tmsw.realm: mount.tmsw.realm: unknown mount \"tmsw\"",
        ),
        ("mount.tmws.relam=x", "--set mount.tmws.relam: mount.tmws.relam: unknown key \"relam\""),
        ("log.level=5", "--set log.level: log.level: expected a string, found an integer"),
        ("route=1", "--set route: route: [[route]] is no single value"),
        ("log", "--set log: log: there is no = in it"),
        ("log..level=x", "--set log..level: log..level: an empty part in the key"),
    ] {
        let found = read(MINIMAL, &[set]).unwrap_err().to_string();
        assert_eq!(found.lines().next(), Some(expected));
    }
    let typed = ["internal.token=hunter2hunter2", "internal.tokn=hunter2hunter2"];
    let found = read(MINIMAL, &typed).unwrap_err();
    let as_json = serde_json::to_string(&found).unwrap();
    assert!(!found.to_string().contains("hunter2") && !as_json.contains("hunter2"), "{found}");
}

#[test]
fn a_reload_of_boot_only_keys_is_refused_whole() {
    let mut world = World::default();
    world.files.insert(FILE.into(), MINIMAL.into());
    let active = load(Path::new(FILE), &[], &world).unwrap();

    let grown = format!("{MINIMAL}[server]\nthreads = 77\n[log]\nlevel = \"debug\"\n");
    world.files.insert(FILE.into(), grown);
    let found = reload::reload(&active, &[], &world).unwrap_err().to_string();
    assert!(
        found.starts_with(
            "/etc/p/p.toml:13:1: server.threads: changed, but fixed until a restart\n"
        ),
        "{found}"
    );
    assert!(found.contains("fix: restart to use 77, or take the change back"), "{found}");

    world.files.insert(FILE.into(), format!("{MINIMAL}[log]\nlevel = \"debug\"\n"));
    let next = reload::reload(&active, &[], &world).unwrap();
    assert_eq!(next.blueprint.process.log.level, "debug");
    assert_ne!(next.hash, active.hash);
}

#[test]
fn a_reload_refuses_another_secret_behind_the_same_boot_only_reference() {
    let text = format!(
        "{MINIMAL}[internal]\ntoken = \"file:token\"\n[secrets]\nmaster_keys = [\"file:key\"]\n"
    );
    let mut world = World::default();
    world.files.insert(FILE.into(), text);
    world.files.insert("/etc/p/token".into(), "the token of the operator\n".into());
    world.files.insert("/etc/p/key".into(), "the master key of the store\n".into());
    let active = load(Path::new(FILE), &[], &world).unwrap();
    reload::reload(&active, &[], &world).unwrap();

    world.files.insert("/etc/p/token".into(), "another token of the operator\n".into());
    world.files.insert("/etc/p/key".into(), "another master key of the store\n".into());
    let found = reload::reload(&active, &[], &world).unwrap_err().to_string();
    for key in ["internal.token", "secrets.master_keys"] {
        let what = format!("{key}: the secret behind it changed, but is fixed until a restart");
        assert!(found.contains(&what), "{found}");
    }
    assert!(!found.contains("another token") && !found.contains("another master"), "{found}");
}

#[test]
fn an_ipv6_host_is_in_the_form_of_requests_however_it_was_written() {
    for written in ["::1", "[::1]", "0:0:0:0:0:0:0:1", "[0::1]"] {
        let set = format!("mount.tmws.at=[{{ hosts = [\"{written}\", \"A.example\"] }}]");
        let config = read(MINIMAL, &[&set]).unwrap_or_else(|report| panic!("{report}"));
        let hosts = |config: &Config| {
            config.blueprint.mounts.first().unwrap().is.places.first().unwrap().hosts.clone()
        };
        assert_eq!(hosts(&config), ["[::1]".into(), "a.example".into()]);
        let again = read(&config.effective, &[]).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!((hosts(&again), again.hash), (hosts(&config), config.hash));
    }
}

#[test]
fn check_lists_public_routes_and_relaxations() {
    let findings = read(MINIMAL, &[]).unwrap().findings();
    let public: Vec<&str> = findings.public_routes.iter().map(|r| r.route.as_str()).collect();
    assert_eq!(
        public,
        ["tmws:POST /api/v1/auth/login", "tmws:POST /api/v1/auth/refresh", "tmws:GET /health"]
    );
    let relaxed: Vec<&str> = findings.relaxations.iter().map(|finding| finding.id).collect();
    assert_eq!(relaxed, ["R-PASSWORD-LENGTH", "R-REFRESH-GRACE"]);

    let sets = [
        "listener.public.address=0.0.0.0:80",
        "realm.main.lockout=false",
        "mount.tmws.cors.origins=[\"*\"]",
        "route.api.authz=authenticated",
        "route.api.limits=[]",
        "trust.proxies=[\"0.0.0.0/0\"]",
    ];
    let findings = read(MINIMAL, &sets).unwrap().findings();
    for id in
        ["R-PLAIN-HTTP", "R-LOCKOUT-OFF", "R-CORS-ANY", "R-NO-AUTHZ", "R-UNLIMITED", "R-TRUST-ALL"]
    {
        assert!(findings.relaxations.iter().any(|finding| finding.id == id), "{id}");
    }
}
