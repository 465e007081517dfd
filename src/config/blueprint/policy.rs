//! `mount.NAME.policy`: the contract's table of who may do what, with the rows that the operator replaces by name.

use std::sync::Arc;

use http::Method;
use toml::{Table as Record, Value as Toml};

use super::realm::names;
use crate::{
    config::{
        document::{Node, Value},
        section::Section,
        shape::{Fault, Shape},
    },
    pipeline::{
        Policy,
        policy::{ActionRule, PathPattern, ResourceRule, ScopeRule},
    },
};

/// A list of names under a free key, as in `role_scopes = { USER = ["READ"] }`.
pub(super) type Grants = Vec<(Arc<str>, Vec<Arc<str>>)>;

/// Reads the overrides onto `policy`.
pub(super) fn read(mount: &mut Section<'_>, mut policy: Policy) -> Policy {
    let mut section = mount.inner("policy");

    let scopes = rows(&mut section, "scopes", "scope", |row| {
        Some(ScopeRule {
            scope: row.need::<String>("scope")?.to_ascii_uppercase().into(),
            actions: row.or("actions", Vec::new()),
            methods: row.or("methods", Vec::new()),
            paths: row.or("paths", Vec::new()),
            except: row.or("except", Vec::new()),
        })
    });
    replace(&mut policy.scopes, scopes, |rule| rule.scope.clone());

    let resources = rows(&mut section, "resources", "resource", |row| {
        Some(ResourceRule {
            resource: row.need("resource")?,
            paths: row.need("paths")?,
            grants: grants(row, "grants"),
        })
    });
    replace(&mut policy.resources, resources, |rule| rule.resource.clone());

    // The first action rule that fits counts, so the list is taken as a whole.
    let actions = rows(&mut section, "actions", "action", |row| {
        Some(ActionRule {
            methods: row.or("methods", Vec::new()),
            path: row.maybe("path"),
            action: row.need("action")?,
        })
    });
    if !actions.is_empty() {
        policy.actions = actions;
    }

    let role_scopes = grants(&mut section, "role_scopes");
    replace(&mut policy.role_scopes, role_scopes, |row| row.0.clone());
    let includes = grants(&mut section, "includes");
    replace(&mut policy.includes, includes, |row| row.0.clone());

    // Free keys come in alphabetical order, so the contract's own rows are put into it too: one form for one meaning.
    policy.resources.iter_mut().for_each(|rule| rule.grants.sort());
    policy.role_scopes.sort();
    policy.includes.sort();

    section.finish();
    mount.note("policy", Toml::Table(record(&policy)));
    policy
}

fn rows<'a, T>(
    section: &mut Section<'a>,
    key: &'static str,
    name_key: &str,
    mut one: impl FnMut(&mut Section<'a>) -> Option<T>,
) -> Vec<T> {
    let mut out = Vec::new();
    for mut row in section.list(key, name_key) {
        out.extend(one(&mut row));
        row.finish();
    }
    out
}

/// Puts new rows in the place of those of the same name; rows of a new name come last.
fn replace<T>(rows: &mut Vec<T>, new: Vec<T>, name: impl Fn(&T) -> Arc<str>) {
    let names: Vec<Arc<str>> = new.iter().map(&name).collect();
    rows.retain(|row| !names.contains(&name(row)));
    rows.extend(new);
}

/// Reads a table of free keys with lists of names.
pub(super) fn grants(section: &mut Section<'_>, key: &'static str) -> Grants {
    let mut out = Grants::new();
    let found = section.free_keys(key);
    for (name, node) in found {
        match Vec::<Arc<str>>::read(node) {
            Ok(list) => out.push((name.into(), list)),
            Err(fault) => {
                let (what, why, fix) = (fault.what, fault.why, fault.fix);
                let path = format!("{}.{name}", section.key(key));
                section.problems.say(&node.place, path, what, why, fix);
            }
        }
    }
    out
}

impl Shape for PathPattern {
    const EXPECTED: &'static str = "a path pattern such as \"/api/v1/tasks/**\" or \"**/search\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        let Value::Text(text) = &node.value else {
            let what = format!("expected a path pattern, found {}", node.value.kind());
            return Err(Fault::new(what, "the value has the wrong type", Self::EXPECTED));
        };
        PathPattern::parse(text).map_err(|why| {
            let what = format!("bad path pattern \"{text}\"");
            Fault::new(what, why, format!("write {}", Self::EXPECTED))
        })
    }

    fn write(&self) -> Toml {
        Toml::String(self.as_str().to_owned())
    }
}

fn record(policy: &Policy) -> Record {
    let methods = |list: &Vec<Method>| list.write();
    let scopes = policy.scopes.iter().map(|rule| {
        Toml::Table(Record::from_iter([
            ("scope".to_owned(), rule.scope.write()),
            ("actions".to_owned(), names(&rule.actions)),
            ("methods".to_owned(), methods(&rule.methods)),
            ("paths".to_owned(), rule.paths.write()),
            ("except".to_owned(), rule.except.write()),
        ]))
    });
    let actions = policy.actions.iter().map(|rule| {
        let mut row = Record::from_iter([
            ("action".to_owned(), rule.action.write()),
            ("methods".to_owned(), methods(&rule.methods)),
        ]);
        if let Some(path) = &rule.path {
            row.insert("path".to_owned(), path.write());
        }
        Toml::Table(row)
    });
    let resources = policy.resources.iter().map(|rule| {
        Toml::Table(Record::from_iter([
            ("resource".to_owned(), rule.resource.write()),
            ("paths".to_owned(), rule.paths.write()),
            ("grants".to_owned(), grants_record(&rule.grants)),
        ]))
    });
    Record::from_iter([
        ("scopes".to_owned(), Toml::Array(scopes.collect())),
        ("actions".to_owned(), Toml::Array(actions.collect())),
        ("resources".to_owned(), Toml::Array(resources.collect())),
        ("role_scopes".to_owned(), grants_record(&policy.role_scopes)),
        ("includes".to_owned(), grants_record(&policy.includes)),
    ])
}

fn grants_record(grants: &Grants) -> Toml {
    Toml::Table(grants.iter().map(|(name, list)| (name.to_string(), names(list))).collect())
}
