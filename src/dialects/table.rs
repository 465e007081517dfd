//! How contracts write down the tables they fix: roles, policy rows, limits. Decides nothing.

use std::{sync::Arc, time::Duration};

use http::Method;

use crate::pipeline::{
    Limit, Per, Window,
    policy::{ActionRule, PathPattern, ResourceRule, ScopeRule},
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Every action.
pub(super) const ALL: &[&str] = &["*"];

/// A name and what goes with it: a role and its actions, a scope and those it includes.
pub(super) type Row = (&'static str, &'static [&'static str]);

/// Names as the core keeps them.
pub(super) fn texts(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

/// Rows as the core keeps them.
pub(super) fn rows(rows: &[Row]) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
    rows.iter().map(|(name, values)| (Arc::from(*name), texts(values))).collect()
}

/// What these methods do on these paths; `None` is any path.
pub(super) fn action(methods: &[Method], path: Option<&str>, name: &str) -> ActionRule {
    ActionRule { methods: methods.to_vec(), path: path.map(pattern), action: name.into() }
}

/// What a method does where the path says nothing else.
pub(super) fn actions() -> Vec<ActionRule> {
    vec![
        action(&[Method::GET, Method::HEAD], None, "read"),
        action(&[Method::POST], None, "create"),
        action(&[Method::PUT, Method::PATCH], None, "update"),
        action(&[Method::DELETE], None, "delete"),
    ]
}

/// Which roles may do what on these paths.
pub(super) fn resource(name: &str, paths: &[&str], grants: &[Row]) -> ResourceRule {
    ResourceRule { resource: name.into(), paths: patterns(paths), grants: rows(grants) }
}

/// What a scope reaches: these actions by these methods on these paths but not on those. No actions, methods or paths are
/// all of them.
pub(super) fn scope(
    name: &str,
    actions: &[&str],
    methods: &[Method],
    paths: &[&str],
    except: &[&str],
) -> ScopeRule {
    ScopeRule {
        scope: name.into(),
        actions: texts(actions),
        methods: methods.to_vec(),
        paths: patterns(paths),
        except: patterns(except),
    }
}

fn patterns(paths: &[&str]) -> Vec<PathPattern> {
    paths.iter().map(|path| pattern(path)).collect()
}

/// A limit of one window.
pub(super) fn limit(name: &str, per: Per, limit: u32, span: Duration) -> Limit {
    Limit {
        name: name.into(),
        per: vec![per],
        windows: vec![Window { limit, per: span }],
        shadow: false,
        across: crate::pipeline::quota::Across::default(),
    }
}

#[allow(clippy::expect_used)]
fn pattern(path: &str) -> PathPattern {
    // Every text comes from the constants of a contract, and the tests read the whole table of each. To leave out a bad
    // one quietly could widen what a role or scope reaches.
    PathPattern::parse(path).expect("the contract's patterns are well formed")
}

#[cfg(test)]
mod tests {
    use crate::{dialects::ALL, pipeline::policy::ResourceRule};

    #[test]
    fn every_contract_grants_to_roles_it_has_and_at_paths_it_names() {
        for contract in ALL {
            let (name, defaults) = (contract.dialect.name(), contract.dialect.defaults());
            let resources: &[ResourceRule] = &defaults.policy.resources;
            assert!(resources.iter().all(|rule| !rule.paths.is_empty()), "{name}");
            for (role, _) in resources.iter().flat_map(|rule| &rule.grants) {
                assert!(defaults.realm.roles.contains(role), "{name}: {role}");
            }
            let default = &defaults.realm.default_role;
            assert!(defaults.realm.roles.contains(default), "{name}: {default}");
        }
    }
}
