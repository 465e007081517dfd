//! The configuration as an operator meets it: exact messages, overrides, the effective file, reload.

mod agents;
mod changes;
mod faults;
mod forward_auth;
mod mounts;
mod oidc_login;
mod planes;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use super::*;
use crate::pipeline::Authz;

/// A world of files and variables in memory.
struct World {
    files: HashMap<PathBuf, String>,
    vars: HashMap<String, String>,
}

impl Default for World {
    /// With the secrets that the shipped files name.
    fn default() -> Self {
        let secret = (PathBuf::from("/etc/p/hh-client.secret"), "of the provider".to_owned());
        Self { files: HashMap::from([secret]), vars: HashMap::new() }
    }
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
fn ten_lines_are_enough() {
    let lines = MINIMAL.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(lines, 10);
    let config = read(MINIMAL, &[]).unwrap();
    assert_eq!(config.blueprint.listeners.first().unwrap().address.to_string(), "127.0.0.1:8000");
    assert_eq!(config.blueprint.process.data_dir, Path::new("/etc/p/data"));
    assert_eq!(config.blueprint.realms.first().unwrap().is.name.as_str(), "main");
    let route = &config.blueprint.routes.first().unwrap().is;
    assert_eq!(route.authz, Authz::Policy);
    assert_eq!(route.limits, [std::sync::Arc::<str>::from("tmws-general")]);
}

#[test]
fn the_shipped_files_load_and_their_effective_form_loads_to_the_same() {
    // The demo writes the secrets that it publishes beside its file.
    let key = |name: &str| (format!("/etc/p/{name}").into(), format!("a-published-key-of-{name}"));
    let names = ["inkpass-service.key", "archon.key", "hh-client.secret"];
    let files = names.map(key).into();
    let world = World { files, ..World::default() };
    for text in [MINIMAL, FULL, DEMO] {
        let load = |text: &str| parse(Path::new(FILE), text, &[], &world);
        let config = load(text).unwrap();
        let again = load(&config.effective).unwrap_or_else(|e| panic!("{e}\n{}", config.effective));
        assert_eq!(config.effective, again.effective);
        assert_eq!(config.blueprint.effective, again.blueprint.effective, "nothing is left out");
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
fn an_ipv6_host_is_in_the_form_of_requests_however_it_was_written() {
    for written in ["::1", "[::1]", "0:0:0:0:0:0:0:1", "[0::1]"] {
        let set = format!("mount.tmws.at=[{{ hosts = [\"{written}\", \"A.example\"] }}]");
        let config = read(MINIMAL, &[&set]).unwrap_or_else(|report| panic!("{report}"));
        let hosts = |config: &Config| {
            config.blueprint.mounts.first().unwrap().is.places.first().unwrap().hosts.clone()
        };
        assert_eq!(
            hosts(&config),
            [std::sync::Arc::<str>::from("[::1]"), std::sync::Arc::<str>::from("a.example")]
        );
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
