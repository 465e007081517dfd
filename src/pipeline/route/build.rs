//! Building the route table, and telling everything that stands against it at once.

use std::sync::Arc;

use http::Method;

use super::{
    Place, Route, RouteMatch,
    table::{Prefixed, RouteTable},
    tree::Tree,
};
use crate::pipeline::{CanonicalPath, Mount, pattern::Pattern};

/// Two routes that match the same requests with equal specificity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConflict {
    /// First route's name.
    pub first: Arc<str>,
    /// Second route's name.
    pub second: Arc<str>,
    /// What both match, in words: `GET /api/v1/tasks on listener "public"`.
    pub what: String,
}

/// Why a table cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// Equal specificity.
    Conflict(RouteConflict),
    /// A pattern that cannot be read; the route's name and why.
    Pattern {
        /// Route name.
        route: Arc<str>,
        /// What is wrong with its path.
        why: String,
    },
}

/// Collects routes and checks them against each other.
#[derive(Debug, Default)]
pub struct RouteTableBuilder {
    entries: Vec<(Place, RouteMatch, Arc<Route>)>,
    defaults: Vec<(Place, Arc<Mount>)>,
}

impl RouteTableBuilder {
    /// Adds one route at one place.
    pub fn route(&mut self, place: Place, matches: RouteMatch, route: Arc<Route>) {
        self.entries.push((place, matches, route));
    }

    /// Names the mount that renders what no mount claims at this place. The first one given for a place wins.
    pub fn default_mount(&mut self, place: Place, mount: Arc<Mount>) {
        self.defaults.push((place, mount));
    }

    /// Builds the table, or tells every conflict and every path pattern that cannot be read.
    pub fn build(self) -> Result<RouteTable, Vec<RouteError>> {
        let mut table = RouteTable::default();
        let mut errors = Vec::new();
        for (place, mount) in &self.defaults {
            for host in hosts(place) {
                table.at(place, host).default.get_or_insert_with(|| mount.clone());
            }
        }
        for (place, matches, route) in &self.entries {
            if let Err(why) = check_prefix(&place.prefix) {
                push_new(&mut errors, RouteError::Pattern { route: route.name.clone(), why });
                continue;
            }
            match Pattern::parse(&matches.path) {
                Ok(pattern) => table.add(place, matches, &pattern, route, &mut errors),
                Err(why) => {
                    let why = format!("path `{}`: {why}", matches.path);
                    push_new(&mut errors, RouteError::Pattern { route: route.name.clone(), why });
                }
            }
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }
}

impl RouteTable {
    fn add(
        &mut self,
        place: &Place,
        matches: &RouteMatch,
        pattern: &Pattern,
        route: &Arc<Route>,
        errors: &mut Vec<RouteError>,
    ) {
        for host in hosts(place) {
            let prefixed = self.at(place, host);
            prefixed.default.get_or_insert_with(|| route.mount.clone());
            let clashes = prefixed.tree.insert(pattern, matches, route);
            for (method, other) in clashes {
                // One pair is told once, however many methods, hosts and places they share.
                let known = |error: &RouteError| {
                    matches!(error, RouteError::Conflict(known)
                        if known.first == other.name && known.second == route.name)
                };
                if !errors.iter().any(known) {
                    errors.push(RouteError::Conflict(RouteConflict {
                        first: other.name.clone(),
                        second: route.name.clone(),
                        what: describe(
                            method.as_ref(),
                            place,
                            &matches.path,
                            host.map(|host| &**host),
                        ),
                    }));
                }
            }
        }
    }

    /// The entry of a place for one of its hosts, made if it is missing.
    fn at(&mut self, place: &Place, host: Option<&Arc<str>>) -> &mut Prefixed {
        let listener = self.listeners.entry(place.listener.clone()).or_default();
        let list = match host {
            Some(host) => listener.hosts.entry(host.clone()).or_default(),
            None => &mut listener.any_host,
        };
        entry(list, &place.prefix)
    }
}

/// The hosts of a place; `None` alone stands for any.
fn hosts(place: &Place) -> impl Iterator<Item = Option<&Arc<str>>> {
    let any = place.hosts.is_empty().then_some(None);
    any.into_iter().chain(place.hosts.iter().map(Some))
}

/// The entry of this prefix, kept longest first.
fn entry<'t>(list: &'t mut Vec<Prefixed>, prefix: &Arc<str>) -> &'t mut Prefixed {
    let at = match list.iter().position(|own| own.prefix == *prefix) {
        Some(at) => at,
        None => {
            let at = list.partition_point(|own| own.prefix.len() >= prefix.len());
            let tree = Tree::default();
            list.insert(at, Prefixed { prefix: prefix.clone(), tree, default: None });
            at
        }
    };
    // `at` was found in the list or just inserted.
    #[allow(clippy::indexing_slicing)]
    &mut list[at]
}

/// A prefix is compared byte for byte with canonical paths, so it must be one itself.
fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() {
        return Ok(());
    }
    match CanonicalPath::parse(prefix) {
        Ok(path) if path.as_str() == prefix && !prefix.ends_with('/') && !prefix.contains("//") => {
            Ok(())
        }
        _ => Err(format!("prefix `{prefix}` is not a plain path such as `/v2`")),
    }
}

fn describe(method: Option<&Method>, place: &Place, path: &str, host: Option<&str>) -> String {
    let method = method.map_or("any method", Method::as_str);
    let path = if path == "/" && !place.prefix.is_empty() { "" } else { path };
    let at = format!("{method} {}{path} on listener \"{}\"", place.prefix, place.listener);
    match host {
        Some(host) => format!("{at}, host \"{host}\""),
        None => at,
    }
}

fn push_new(errors: &mut Vec<RouteError>, error: RouteError) {
    if !errors.contains(&error) {
        errors.push(error);
    }
}
