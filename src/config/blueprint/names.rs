//! Which names the file declares, known before any section is read, so that a reference can be checked where it stands.

use std::collections::BTreeMap;

use super::super::{
    document::{Table, Value},
    problem::{Place, Problem, Problems},
};
use crate::dialects::{self, Registered};

/// Listener of a file that declares none.
pub(super) const LISTENER: &str = "public";
/// Realm of a file that declares none.
pub(super) const REALM: &str = "main";

/// Declared names by section, in the order of the file.
#[derive(Debug, Default)]
pub(in crate::config) struct Names {
    lists: BTreeMap<&'static str, Vec<String>>,
    /// Dialect and realm of each mount, as far as they can be read.
    mounts: Vec<(Option<&'static Registered>, Option<String>)>,
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.dialect.name())
    }
}

impl Names {
    /// Collects them, and reports names that stand twice or are no names.
    pub(super) fn scan(root: &Table, problems: &Problems) -> Self {
        let mut names = Names::default();
        for list in super::super::overrides::NAMED {
            let found = scan_list(root, list, problems);
            names.lists.insert(list, found);
        }
        for mount in tables(root, "mount") {
            let text = |key: &str| match mount.get(key).map(|entry| &entry.node.value) {
                Some(Value::Text(text)) => Some(text.clone()),
                _ => None,
            };
            let dialect = text("dialect").and_then(|name| dialects::find(&name));
            names.mounts.push((dialect, text("realm")));
        }
        for (list, implied) in [("listener", LISTENER), ("realm", REALM)] {
            let found = names.lists.entry(list).or_default();
            if found.is_empty() {
                found.push(implied.to_owned());
            }
        }
        names
    }

    /// Names of one section.
    pub(super) fn of(&self, list: &str) -> impl Iterator<Item = &str> {
        self.lists.get(list).into_iter().flatten().map(String::as_str)
    }

    /// Whether `name` is declared in `list`.
    pub(super) fn has(&self, list: &str, name: &str) -> bool {
        self.of(list).any(|known| known == name)
    }

    /// The contracts that mounts of the file speak, each once.
    pub(super) fn dialects(&self) -> Vec<&'static Registered> {
        let mut out: Vec<&'static Registered> = Vec::new();
        for (dialect, _) in &self.mounts {
            if let Some(found) = dialect
                && out.iter().all(|known| known.dialect.name() != found.dialect.name())
            {
                out.push(found);
            }
        }
        out
    }

    /// The contract whose rules a realm starts from: that of its first mount.
    pub(super) fn dialect_of_realm(&self, realm: &str) -> Option<&'static Registered> {
        let only = self.only("realm");
        self.mounts
            .iter()
            .find(|(_, named)| named.as_deref().or(only) == Some(realm))
            .and_then(|(dialect, _)| *dialect)
    }

    /// The name of a section's only entry, which may be left out in references.
    pub(super) fn only(&self, list: &str) -> Option<&str> {
        let mut names = self.of(list);
        let first = names.next();
        if names.next().is_some() { None } else { first }
    }
}

fn tables<'t>(root: &'t Table, list: &str) -> impl Iterator<Item = &'t Table> {
    let items = match root.get(list).map(|entry| &entry.node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter().filter_map(|item| match &item.value {
        Value::Table(table) => Some(table),
        _ => None,
    })
}

fn scan_list(root: &Table, list: &str, problems: &Problems) -> Vec<String> {
    let mut seen: Vec<(String, Place)> = Vec::new();
    for table in tables(root, list) {
        let Some(entry) = table.get("name") else { continue };
        let Value::Text(name) = &entry.node.value else { continue };
        let place = &entry.node.place;
        let key = format!("{list}.{name}.name");
        if let Some((_, first)) = seen.iter().find(|(known, _)| known == name) {
            problems.add(Problem {
                place: place.clone(),
                key,
                what: format!("duplicate name \"{name}\""),
                why: format!("another [[{list}]] has it at {}", first.in_words()),
                fix: format!("give each [[{list}]] a name of its own"),
                nearest: None,
            });
            continue;
        }
        if !is_name(name) {
            let why = "names appear in logs, metrics and --set paths";
            let fix = "use up to 64 letters, digits, - and _, beginning with a letter or digit";
            problems.say(place, key, format!("bad name \"{name}\""), why, fix);
        }
        seen.push((name.clone(), place.clone()));
    }
    seen.into_iter().map(|(name, _)| name).collect()
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(plain)
}
