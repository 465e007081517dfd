//! Reload: the file is read and compiled aside. A change of a boot-only key refuses the whole file.

use std::path::Path;

use toml::Value;

use super::{Config, Place, Report, Surroundings, load, problem::Problem, secret};
use crate::model::SecretString;

/// Keys that are fixed until a restart: sockets, threads, the folder of the store and what protects it.
const BOOT_ONLY: [&str; 19] = [
    "data.dir",
    "internal.address",
    "internal.token",
    "internal.probes",
    "secrets.master_keys",
    "limiter.max_keys",
    "cache",
    "store",
    "fleet",
    "link",
    "redis",
    "http2",
    "listener",
    "forward_auth",
    "server.threads",
    "server.grace_period",
    "server.upstream_keepalive_pool",
    "server.limits",
    "server.watch",
];

/// Reads the file again. `Err`: nothing changes, and the report says why.
pub fn reload(active: &Config, sets: &[String], from: &dyn Surroundings) -> Result<Config, Report> {
    let next = load(&active.file, sets, from)?;
    let mut problems: Vec<Problem> =
        BOOT_ONLY.iter().filter_map(|key| changed(active, &next, key)).collect();
    problems.extend(changed_secrets(active, &next));
    if problems.is_empty() {
        return Ok(next);
    }
    Err(Report { file: active.file.clone(), problems })
}

fn changed(active: &Config, next: &Config, key: &str) -> Option<Problem> {
    let (old, new) = (value(active, key), value(next, key));
    if old == new {
        return None;
    }
    Some(Problem {
        place: next.place_of(key),
        key: key.to_owned(),
        what: "changed, but fixed until a restart".into(),
        why: format!("it is {} in the running process", shown(old)),
        fix: format!("restart to use {}, or take the change back", shown(new)),
        nearest: None,
    })
}

/// Secrets fixed until a restart whose reference is the same, but not what stands behind it.
fn changed_secrets(active: &Config, next: &Config) -> Vec<Problem> {
    let (old, new) = (&active.blueprint.process, &next.blueprint.process);
    let tokens = old.internal.token.iter().zip(&new.internal.token);
    let keys = old.master_keys.iter().zip(&new.master_keys);
    [("internal.token", differ(tokens)), ("secrets.master_keys", differ(keys))]
        .into_iter()
        .filter(|(key, differ)| *differ && value(active, key) == value(next, key))
        .map(|(key, _)| Problem {
            place: next.place_of(key),
            key: key.to_owned(),
            what: "the secret behind it changed, but is fixed until a restart".into(),
            why: "the running process goes on with the old one".into(),
            fix: "restart to use the new one, or put the old one back".into(),
            nearest: None,
        })
        .collect()
}

fn differ<'s>(mut pairs: impl Iterator<Item = (&'s SecretString, &'s SecretString)>) -> bool {
    pairs.any(|(old, new)| !secret::same(old, new))
}

fn value<'c>(config: &'c Config, key: &str) -> Option<&'c Value> {
    let mut steps = key.split('.');
    let mut found = config.blueprint.effective.get(steps.next()?)?;
    for step in steps {
        found = found.as_table()?.get(step)?;
    }
    Some(found)
}

/// The value on one line. The effective record holds references in place of secrets.
fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "not set".into(), |value| value.to_string().replace('\n', " "))
}

/// The place of the first problem, for a short log line.
pub fn first_line(report: &Report) -> String {
    let Some(problem) = report.problems.first() else { return String::new() };
    let more = match report.problems.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let file: &Path = &report.file;
    let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
    match &problem.place {
        Place::File { line, column } => {
            format!("{}:{line}:{column}: {key}{}{more}", file.display(), problem.what)
        }
        Place::Set(text) => format!("--set {text}: {}{more}", problem.what),
    }
}
