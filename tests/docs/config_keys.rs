//! `conf/portcullis.toml` names every key there is, and what it comments out can be written.

use std::{collections::BTreeSet, io, path::Path, sync::LazyLock};

use portcullis::config::{self, Config, Report, Surroundings};
use toml::{Table, Value};

use crate::{assert_none, read, words};

const FULL: &str = "conf/portcullis.toml";

/// A machine on which every secret is there, each another one, every template of a letter, and every certificate, which is
/// always the same.
struct Machine;

static PAIR: LazyLock<[String; 2]> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    [made.cert.pem(), made.signing_key.serialize_pem()]
});

impl Surroundings for Machine {
    fn var(&self, name: &str) -> Option<String> {
        Some(format!("{name:-<40}"))
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let [certificate, key] = &*PAIR;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("txt") => Ok("Subject: a letter\n\nYour code: {{ code }}\n".into()),
            Some("pem") => Ok(certificate.clone()),
            Some("key")
                if ["api.key", "gateway.key", "link.key"].iter().any(|own| path.ends_with(own)) =>
            {
                Ok(key.clone())
            }
            _ => Ok(format!("{:-<60}", path.display().to_string())),
        }
    }
}

fn parse(text: &str, sets: &[&str]) -> Result<Config, Report> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    config::parse(Path::new("/etc/p/p.toml"), text, &sets, &Machine)
}

/// Puts a key that nobody knows into every table, however deep.
fn salt(value: &mut Value) {
    match value {
        Value::Table(table) => {
            table.iter_mut().for_each(|(_, inner)| salt(inner));
            table.insert(SALT.into(), Value::Integer(1));
        }
        Value::Array(items) => items.iter_mut().for_each(salt),
        _ => {}
    }
}

const SALT: &str = "zzzz";

/// Whole tables that are commented out: lines that begin with `# [`, `# #` or `#   `, without the `# `.
fn blocks(text: &str) -> Vec<String> {
    let of_block =
        |line: &&str| ["# [", "# # ", "#   "].iter().any(|begin| line.starts_with(*begin));
    let mut found: Vec<String> = Vec::new();
    let mut before = false;
    for line in text.lines() {
        let here = of_block(&line) && (before || line.starts_with("# ["));
        if here {
            if !before {
                found.push(String::new());
            }
            found.last_mut().unwrap().push_str(&format!("{}\n", line.strip_prefix("# ").unwrap()));
        }
        before = here;
    }
    found
}

#[test]
fn every_block_that_is_commented_out_can_stand_in_the_file() {
    let text = read(FULL);
    let blocks = blocks(&text);
    assert!(blocks.len() >= 3, "{blocks:?}");
    for block in &blocks {
        if let Err(report) = parse(&format!("{text}\n{block}"), &[]) {
            panic!("{block}\n{report}");
        }
    }
    // All at once, and what is in force then can be read again.
    let config = parse(&format!("{text}\n{}", blocks.concat()), &[]).unwrap();
    assert_eq!(parse(&config.effective, &[]).unwrap().effective, config.effective);
}

/// What the reader itself says it knows, table by table.
fn known_keys() -> BTreeSet<String> {
    // Tables that are off, or another form of a value, would not be read.
    let sets = [
        "upstream.app.health.path=/health",
        "listener.public.tls={ certificates = [{ cert = \"a.pem\", key = \"api.key\" }], client_ca = \"ca.pem\" }",
        "upstream.app.tls={ cert = \"a.pem\", key = \"api.key\" }",
        "mount.tmws.client_cert=[{ name = \"a\", match = [\"CN:a\"] }]",
        "route.api.authz={ scopes = { GET = \"READ\" }, roles = [\"ADMIN\"], match = \"all\" }",
    ];
    let text = read(FULL);
    let config = parse(&format!("{text}\n{}", blocks(&text).concat()), &sets).unwrap();
    let mut whole = Value::Table(config.effective.parse::<Table>().unwrap());
    salt(&mut whole);
    let report = parse(&toml::to_string(&whole).unwrap(), &[]).unwrap_err();
    let told = report.problems.iter().filter(|problem| problem.what.contains("unknown key"));
    let lists = told.filter_map(|problem| problem.why.split_once(" knows: "));
    lists.flat_map(|(_, list)| list.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_known_key_is_in_the_file() {
    let text = read(FULL);
    let named = |key: &str| {
        text.lines().any(|line| {
            let mut rest = line;
            while let Some((before, after)) = rest.split_once(key) {
                let begins = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
                if begins && (after.starts_with([']', '.']) || after.trim_start().starts_with('='))
                {
                    return true;
                }
                rest = after;
            }
            false
        })
    };
    let known = known_keys();
    assert!(known.len() > 80, "{known:?}");
    let missing: Vec<String> = known.into_iter().filter(|key| !named(key)).collect();
    assert_none(&missing);
}

#[test]
fn what_is_commented_out_can_be_written() {
    let text = read(FULL);
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    let mut seen = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some(setting) = line.strip_prefix("# ") else { continue };
        let Some((key, _)) = setting.split_once(" = ") else { continue };
        if words(key, "_.").count() != 1 {
            continue;
        }
        seen += 1;
        // In the place of the line that says something else about the same key.
        let other = format!("{key} = ");
        let begin = lines[..at].iter().rposition(|line| line.starts_with('[')).unwrap_or(0);
        let end = lines[at..].iter().position(|line| line.starts_with('['));
        let end = end.map_or(lines.len(), |n| at + n);
        let changed: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(n, line)| !((begin..end).contains(n) && line.starts_with(&other)))
            .map(|(n, line)| if n == at { setting } else { *line })
            .collect();
        if let Err(report) = parse(&changed.join("\n"), &[]) {
            faults.push(format!("{FULL}:{}: {report}", at + 1));
        }
    }
    assert!(seen > 8, "{seen}");
    assert_none(&faults);
}

#[test]
fn the_shipped_files_pass_check() {
    for name in [FULL, "conf/minimal.toml", "conf/demo.toml", "conf/one-origin.toml"] {
        if let Err(report) = parse(&read(name), &[]) {
            panic!("{name}: {report}");
        }
    }
}

const FLEET: &str = "conf/fleet.toml";

#[test]
fn one_file_is_for_all_nodes_of_a_fleet_and_names_every_key_of_one() {
    let text = read(FLEET);
    for plane in ["all", "edge", "identity"] {
        let set = format!("fleet.plane={plane}");
        let config = parse(&text, &[&set]).unwrap_or_else(|report| panic!("{plane}: {report}"));
        // What is in force on this plane stands for itself, as a file of its own.
        let again = parse(&config.effective, &[]).unwrap_or_else(|e| panic!("{plane}: {e}"));
        assert_eq!(again.effective, config.effective, "{plane}");
    }
    let mut known = BTreeSet::new();
    for table in ["fleet", "store", "link", "redis"] {
        let report = parse(&text, &[&format!("{table}.{SALT}=1")]).unwrap_err();
        let list = report.problems.iter().find_map(|told| told.why.split_once(" knows: "));
        known.extend(list.unwrap().1.split(", ").map(str::to_owned));
    }
    assert!(known.len() > 25, "{known:?}");
    let told = |key: &&String| {
        text.lines()
            .any(|line| line.strip_prefix("# ").unwrap_or(line).starts_with(&format!("{key} = ")))
    };
    let missing: Vec<String> = known.iter().filter(|key| !told(key)).cloned().collect();
    assert_none(&missing);
}
