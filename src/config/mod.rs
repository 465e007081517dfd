//! TOML to a checked, compiled whole: file -> tree -> overrides -> blueprint -> snapshot, or every error at once.
//!
//! Rooms never import this one: each declares its own `Settings`, and this room fills them.

pub mod blueprint;
pub mod check;
pub mod compile;
pub mod document;
pub mod overrides;
pub mod problem;
pub mod reload;
pub mod secret;
pub mod section;
pub mod shape;

use std::path::{Path, PathBuf};

pub use self::{
    blueprint::{Blueprint, StoreConfig, database_url},
    check::{Finding, Findings},
    compile::{Boot, Compiled, KeySource},
    problem::{Place, Problem, Report},
    secret::{Machine, SecretRef, Surroundings},
};
use self::{document::Table, problem::Problems};
use crate::model::{Digest, MountName, api_key::hex};

/// A configuration without faults.
#[derive(Debug)]
pub struct Config {
    /// The file as the operator named it.
    pub file: PathBuf,
    /// What it says.
    pub blueprint: Blueprint,
    /// Everything in force as TOML, secrets as references; loads again to the same.
    pub effective: String,
    /// SHA-256 of `effective`, hexadecimal.
    pub hash: String,
    /// The tree, kept to find the line of a key later.
    tree: Table,
}

/// Reads, checks and dry-compiles a file with overrides.
pub fn load(file: &Path, sets: &[String], from: &dyn Surroundings) -> Result<Config, Report> {
    let text = match from.read(file) {
        Ok(text) => text,
        Err(error) => return Err(unreadable(file, &error)),
    };
    parse(file, &text, sets, from)
}

/// [`load`] for a text that is already read; `file` gives the name for messages and the base of relative paths.
pub fn parse(
    file: &Path,
    text: &str,
    sets: &[String],
    from: &dyn Surroundings,
) -> Result<Config, Report> {
    let report = |problems| Report { file: file.to_owned(), problems };
    let mut tree = document::parse(text).map_err(report)?;
    let problems = Problems::default();
    overrides::apply(&mut tree, sets, &problems);

    let base = file.parent().unwrap_or(Path::new(""));
    let blueprint = blueprint::read(&tree, base, from, &problems);
    compile::snapshot(&blueprint, "", &no_keys, &problems);
    if !problems.is_empty() {
        return Err(report(problems.into_sorted()));
    }
    let effective = render(&blueprint);
    let hash = hex(Digest::of(effective.as_bytes()).as_bytes());
    Ok(Config { file: file.to_owned(), blueprint, effective, hash, tree })
}

/// The operator socket of the gateway that a file belongs to, even if the file has faults meanwhile: whoever wants to
/// revoke something in the running gateway must not have to mend the file first. `None`: the file says nothing usable.
pub fn operator_socket(file: &Path, sets: &[String], from: &dyn Surroundings) -> Option<PathBuf> {
    let mut tree = document::parse_what_can_be(&from.read(file).ok()?);
    let faults = Problems::default();
    overrides::apply(&mut tree, sets, &faults);
    let base = file.parent().unwrap_or(Path::new(""));
    let blueprint = blueprint::read(&tree, base, from, &faults);
    Some(blueprint.process.data_dir.join(blueprint::OPERATOR_SOCKET))
}

impl Config {
    /// Where a key is written, for messages about an accepted configuration.
    pub fn place_of(&self, path: &str) -> Place {
        let mut table = &self.tree;
        let mut place = Place::START;
        for step in path.split('.') {
            let Some(entry) = table.get(step) else { break };
            place = entry.key_place.clone();
            match &entry.node.value {
                document::Value::Table(inner) => table = inner,
                _ => break,
            }
        }
        place
    }
}

fn no_keys(_: &MountName) -> Vec<crate::pipeline::jwt::VerificationKey> {
    Vec::new()
}

fn unreadable(file: &Path, error: &std::io::Error) -> Report {
    let problem = Problem {
        place: Place::START,
        key: String::new(),
        what: format!("the file cannot be read: {error}"),
        why: "there is no configuration without it".into(),
        fix: "name an existing file with --config FILE".into(),
        nearest: None,
    };
    Report { file: file.to_owned(), problems: vec![problem] }
}

/// The effective record as TOML, in the order in which `conf/portcullis.toml` explains it.
fn render(blueprint: &Blueprint) -> String {
    const ORDER: [&str; 20] = [
        "version",
        "server",
        "data",
        "mail",
        "redis",
        "internal",
        "secrets",
        "log",
        "hashing",
        "limiter",
        "trust",
        "identity_headers",
        "http2",
        "listener",
        "realm",
        "issuer",
        "upstream",
        "limit",
        "mount",
        "route",
    ];
    // A section that the order does not know stands at the end: a reload reads what is written here, and must miss nothing.
    let unordered = blueprint.effective.keys().filter(|key| !ORDER.contains(&key.as_str()));
    let keys = ORDER.into_iter().chain(unordered.map(String::as_str));
    let mut out = String::new();
    for key in keys {
        let Some(value) = blueprint.effective.get(key) else { continue };
        // An empty list behind a `[[section]]` would be read as one of its keys.
        if value.as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let part = toml::Table::from_iter([(key.to_owned(), value.clone())]);
        // A tree of plain values always has a text form; nothing of it fails to serialise.
        out.push_str(&toml::to_string(&part).unwrap_or_default());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
