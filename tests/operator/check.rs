//! `check` and `serve` refuse every kind of bad configuration with place, reason and fix.

use serde_json::Value;

use crate::support::{
    conf::{self, Conf},
    gateway::{Places, run, said},
    ports, tls,
};

struct Case {
    what: &'static str,
    /// Text of the good file that is replaced.
    from: &'static str,
    to: &'static str,
    /// Text of the bad file on whose line the fault is.
    at: &'static str,
    /// Words of the report.
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        what: "an unknown key",
        from: "authn = [\"jwt\", \"api_key\"]",
        to: "authn = [\"jwt\", \"api_key\"]\nupstreem = \"main\"",
        at: "upstreem",
        says: &["upstreem", "upstream"],
    },
    Case {
        what: "an unknown table",
        from: "[server]",
        to: "[sever]",
        at: "[sever]",
        says: &["sever", "server"],
    },
    Case {
        what: "a wrong type",
        from: "grace_period = \"3s\"",
        to: "grace_period = 3",
        at: "grace_period = 3",
        says: &["duration", "integer"],
    },
    Case {
        what: "a bad duration",
        from: "grace_period = \"3s\"",
        to: "grace_period = \"3 parsecs\"",
        at: "parsecs",
        says: &["parsecs"],
    },
    Case {
        what: "a missing secret file",
        from: "operator.token",
        to: "no-such.token",
        at: "no-such.token",
        says: &["no-such.token"],
    },
    Case {
        what: "a missing environment variable",
        from: "token = \"file:",
        to: "token = \"env:PORTCULLIS_NO_SUCH_VARIABLE\" # ",
        at: "PORTCULLIS_NO_SUCH_VARIABLE",
        says: &["PORTCULLIS_NO_SUCH_VARIABLE"],
    },
    Case {
        what: "an unknown upstream",
        from: "upstream = \"main\"",
        to: "upstream = \"mian\"",
        at: "mian",
        says: &["mian", "main"],
    },
    Case {
        what: "an unknown limit",
        from: "upstream = \"main\"",
        to: "upstream = \"main\"\nlimits = [\"tmws-generl\"]",
        at: "tmws-generl",
        says: &["tmws-generl", "tmws-general"],
    },
    Case {
        what: "an unknown realm",
        from: "dialect = \"tmws\"",
        to: "dialect = \"tmws\"\nrealm = \"mein\"",
        at: "mein",
        says: &["mein", "main"],
    },
    Case {
        what: "an unknown contract",
        from: "dialect = \"tmws\"",
        to: "dialect = \"tmsw\"",
        at: "tmsw",
        says: &["tmsw", "tmws"],
    },
    Case {
        what: "a route without authn",
        from: "authn = [\"jwt\", \"api_key\"]\n",
        to: "",
        at: "[[route]]",
        says: &["authn", "public"],
    },
    Case {
        what: "no requests at once over HTTP/2",
        from: "[internal]",
        to: "[http2]\nstreams = 0\n[internal]",
        at: "streams = 0",
        says: &["0 is out of range", "between 1 and 1000"],
    },
    Case {
        what: "a window smaller than the protocol's",
        from: "[internal]",
        to: "[http2]\nstream_window = \"1KiB\"\n[internal]",
        at: "stream_window",
        says: &["1024 bytes is out of range", "between 65535"],
    },
    Case {
        what: "a head over HTTP/2 that is too large",
        from: "[internal]",
        to: "[http2]\nheader_list = \"1MiB\"\n[internal]",
        at: "header_list",
        says: &["out of range", "65536 bytes"],
    },
    Case {
        what: "a budget that honest clients use up",
        from: "[internal]",
        to: "[http2]\ncontrol_frames = 1\n[internal]",
        at: "control_frames",
        says: &["1 is out of range", "between 100"],
    },
    Case {
        what: "a name of a certificate of no kind",
        from: "dialect = \"tmws\"",
        to: "dialect = \"tmws\"\n[[mount.client_cert]]\nname = \"billing\"\nmatch = [\"billing\"]\n",
        at: "match = [\"billing\"]",
        says: &["bad name \"billing\"", "CN:billing"],
    },
    Case {
        what: "a certificate of a client that no listener asks for",
        from: "dialect = \"tmws\"",
        to: "dialect = \"tmws\"\n[[mount.client_cert]]\nname = \"billing\"\nmatch = [\"CN:billing\"]\n",
        at: "[[mount]]",
        says: &["no listener of the mount asks for certificates", "client_ca"],
    },
    Case {
        what: "a listener that requires certificates of nobody",
        from: "name = \"public\"",
        to: "name = \"public\"\ntls = { certificates = [], client_cert = \"required\" }",
        at: "client_cert = \"required\"",
        says: &["client_cert without client_ca", "no certificate"],
    },
    Case {
        what: "no TOML at all",
        from: "version = 1",
        to: "version = = 1",
        at: "version = = 1",
        says: &["TOML"],
    },
];

fn good(places: &Places) -> String {
    let upstream = ports::free_address();
    Conf::new(places).upstream("main", &[upstream]).route(conf::tasks("main")).text()
}

fn places(folder: &std::path::Path) -> Places {
    Places {
        public: ports::free_address(),
        operator: ports::free_address(),
        data: folder.join("data"),
        dir: folder.to_owned(),
    }
}

fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).expect("it stands there") + 1
}

#[test]
fn every_kind_of_fault_is_refused_with_its_line_and_fix() {
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let text = good(&places(folder.path()));
        assert!(text.contains(case.from), "{}", case.what);
        let text = text.replacen(case.from, case.to, 1);
        let file = folder.path().join("portcullis.toml");
        std::fs::write(&file, &text).unwrap();
        let path = file.to_str().unwrap();
        let place = format!("portcullis.toml:{}:", line_of(&text, case.at));
        for verb in ["check", "serve"] {
            let output = run(&[verb, "--config", path]);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(1), "{verb}, {}: {said}", case.what);
            assert!(said.contains(&place), "{verb}, {}: no {place} in\n{said}", case.what);
            for word in case.says {
                assert!(said.contains(word), "{verb}, {}: no {word:?} in\n{said}", case.what);
            }
            if case.what != "no TOML at all" {
                assert!(said.contains("fix:"), "{verb}, {}: {said}", case.what);
            }
        }
        assert!(!folder.path().join("data").join("portcullis.db").exists(), "nothing was begun");
    }
}

#[test]
fn two_equal_routes_are_refused_naming_both() {
    let folder = tempfile::tempdir().unwrap();
    let text = good(&places(folder.path()));
    let second =
        text[text.find("[[route]]").unwrap()..].replacen("\"tasks\"", "\"tasks-again\"", 1);
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, format!("{text}\n{second}")).unwrap();
    for verb in ["check", "serve"] {
        let output = run(&[verb, "--config", file.to_str().unwrap()]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("tasks-again") && said.contains("\"tasks\""), "{said}");
        assert!(said.contains("portcullis.toml:") && said.contains("fix:"), "{said}");
    }
}

#[test]
fn every_fault_is_told_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let text = good(&places(folder.path()))
        .replace("upstream = \"main\"", "upstream = \"mian\"")
        .replace("grace_period = \"3s\"", "grace_period = 3")
        .replace("[[realm]]", "[[realm]]\nnonsense = true");
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, &text).unwrap();
    let output = run(&["check", "--config", file.to_str().unwrap(), "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["ok"], false);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "{report}");
    for error in errors {
        for field in ["line", "column"] {
            assert!(error[field].is_u64(), "{field}: {error}");
        }
        for field in ["file", "key", "what", "why", "fix"] {
            assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {error}");
        }
    }
    let lines: Vec<_> = errors.iter().map(|error| error["line"].as_u64().unwrap()).collect();
    assert!(lines.is_sorted(), "in the order of the file: {lines:?}");
}

#[test]
fn a_good_file_lists_public_routes_and_relaxations() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let upstream = ports::free_address();
    let text = Conf::new(&places)
        .upstream("main", &[upstream])
        .route(conf::tasks("main"))
        .route(conf::open("wide-open", "/open/**", "main"))
        .route(conf::closed("onward", "/onward/**", "main").with("forward_credential", "true"))
        .text();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, &text).unwrap();
    let path = file.to_str().unwrap();
    let output = run(&["check", "--config", path, "--output", "json"]);
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true);
    let public = report["public_routes"].to_string();
    assert!(public.contains("wide-open") && !public.contains("onward"), "{public}");
    let relaxations = report["relaxations"].to_string();
    assert!(relaxations.contains("route.onward.forward_credential"), "{relaxations}");
    let redis = [
        "limit.shared.per=[\"credential\"]",
        "limit.shared.windows=[\"10/min\"]",
        "limit.shared.on_error=open",
        "redis.url=redis://redis.internal:6379",
    ];
    let relaxed = |extra: &[&str]| {
        let sets = redis.iter().chain(extra).flat_map(|set| ["--set", *set]);
        let all: Vec<&str> = ["check", "--config", path].into_iter().chain(sets).collect();
        let output = run(&all);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        ["R-REDIS-PLAIN", "R-LIMIT-OPEN"].map(|id| said.contains(id))
    };
    assert_eq!(relaxed(&[]), [true; 2]);
    assert_eq!(relaxed(&["redis.tls=true", "limit.shared.on_error=closed"]), [false; 2]);
    assert_eq!(relaxed(&["redis.url=redis://127.0.0.1:6379"]), [false, true]);
    let output = run(&["check", "--config", path]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("wide-open"), "{text}");
    assert!(!folder.path().join("data").exists(), "a check touches nothing");
}

#[test]
fn an_override_is_checked_like_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, good(&places(folder.path()))).unwrap();
    let path = file.to_str().unwrap();
    let check = |set: &str| run(&["check", "--config", path, "--set", set]);
    assert!(check("mount.api.access_token_lifetime=2s").status.success());
    for set in
        ["mount.api.acces_token_lifetime=2s", "mount.api.access_token_lifetime=2", "nonsense"]
    {
        let output = check(set);
        assert_eq!(output.status.code(), Some(1), "{set}");
        // The key, and never the value: it may be a secret.
        let key = set.split('=').next().unwrap_or_default();
        assert!(said(&output).contains(&format!("--set {key}: ")), "{}", said(&output));
        assert!(!said(&output).contains("=2:"), "{}", said(&output));
    }
}

#[test]
fn a_missing_file_is_named() {
    for verb in ["check", "serve"] {
        let output = run(&[verb, "--config", "/nowhere/at/all.toml"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("/nowhere/at/all.toml"), "{}", said(&output));
    }
}

#[test]
fn the_shipped_files_are_good_and_the_smallest_has_ten_lines() {
    let conf = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    // The demo writes the secrets that it publishes beside its file; here somebody else does.
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("inkpass-service.key", "a-published-service-key"),
        ("archon.key", "another-published-service-key"),
        ("hh-client.secret", "no-secret"),
        ("database.password", "a-password"),
        ("redis.password", "another-password"),
        ("master.key", "0123456789abcdef0123456789abcdef"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    // What an operator puts where the file of the fleet says.
    let authority = tls::Authority::new();
    authority.server(&["identity-1.internal"]).write(folder.path(), "link");
    for name in ["link-ca.pem", "redis-ca.pem"] {
        authority.write(folder.path(), name);
    }
    let home = folder.path().display().to_string();
    let mut checked = 0;
    for entry in std::fs::read_dir(&conf).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "toml") {
            continue;
        }
        let copy = folder.path().join(path.file_name().unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&copy, text.replace("/etc/portcullis", &home)).unwrap();
        let output = run(&["check", "--config", copy.to_str().unwrap()]);
        assert!(output.status.success(), "{}: {}", path.display(), said(&output));
        checked += 1;
    }
    assert!(checked >= 3, "{checked}");
    let minimal = std::fs::read_to_string(conf.join("minimal.toml")).unwrap();
    let lines =
        minimal.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count();
    assert!(lines <= 10, "{lines} lines");
}
