//! Finding the one route of a request: listener, host, prefix, then the tree of paths.

use std::{collections::HashMap, sync::Arc};

use http::Method;

use super::{
    Found, Missed, PathAllowances, Route,
    tree::{Hit, Tree},
};
use crate::pipeline::{
    CanonicalPath, Mount, RequestView,
    deny::{Deny, Malformed},
};

/// All routes by listener, host, prefix, path and method. Most specific match wins: a literal segment before a
/// parameter before `**`; on one path a route that names the method before one that takes any.
#[derive(Debug, Default)]
pub struct RouteTable {
    pub(super) listeners: HashMap<Arc<str>, Listener>,
}

/// What one listener serves.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// Places that name their host. Such a host sees no any-host place of this listener.
    pub(super) hosts: HashMap<Arc<str>, Vec<Prefixed>>,
    pub(super) any_host: Vec<Prefixed>,
}

/// The routes of one prefix at one place.
#[derive(Debug)]
pub(super) struct Prefixed {
    /// Without a trailing slash; the list is kept longest first.
    pub(super) prefix: Arc<str>,
    pub(super) tree: Tree,
    /// Renders what no route claims here.
    pub(super) default: Option<Arc<Mount>>,
}

impl RouteTable {
    /// Finds the route of a request. Pure, no allocation on the way of a hit.
    pub fn find(&self, listener: &str, view: &RequestView<'_>) -> Result<Found<'_>, Missed<'_>> {
        let Some(place) = self.place(listener, view) else {
            return Err(Missed { deny: Deny::NoRoute, mount: None });
        };
        let prefix_len = place.prefix.len();
        let path = view.path.behind(prefix_len);
        let Some(Hit { route, joined }) = place.tree.find(path, view.method, view.query) else {
            return Err(place.missed(path));
        };
        if !takes(&route.allows, &view.path) {
            let deny = Deny::Malformed(Malformed::PathNotAllowedHere);
            return Err(Missed { deny, mount: Some(&route.mount) });
        }
        Ok(Found { route, prefix_len, joined })
    }

    /// Whether a route of this path names the method itself, rather than taking any.
    pub fn names(&self, listener: &str, view: &RequestView<'_>, method: &Method) -> bool {
        self.place(listener, view)
            .is_some_and(|place| place.tree.names(view.path.behind(place.prefix.len()), method))
    }

    /// Every route once, in no particular order, for companions built from the table.
    pub fn routes(&self) -> Vec<&Arc<Route>> {
        let mut found = Vec::new();
        for listener in self.listeners.values() {
            for place in listener.hosts.values().chain([&listener.any_host]).flatten() {
                place.tree.routes(&mut found);
            }
        }
        found.sort_by_key(|route| Arc::as_ptr(route));
        found.dedup_by_key(|route| Arc::as_ptr(route));
        found
    }

    /// The methods that exist on this request's path, for `Allow` and preflights; empty when none does.
    pub fn methods_of(&self, listener: &str, view: &RequestView<'_>) -> Vec<Method> {
        match self.place(listener, view) {
            Some(place) => place.tree.methods(view.path.behind(place.prefix.len())),
            None => Vec::new(),
        }
    }

    /// The mount whose face and cross-origin rules hold for this method on this request's path: that of the route, else
    /// the one that has the path, else the default of the place.
    pub fn mount_of(
        &self,
        listener: &str,
        view: &RequestView<'_>,
        method: &Method,
    ) -> Option<&Arc<Mount>> {
        let place = self.place(listener, view)?;
        let path = view.path.behind(place.prefix.len());
        let found = place.tree.find(path, method, view.query).map(|hit| &hit.route.mount);
        found.or_else(|| place.claimant(path))
    }

    /// Whether two hosts have the same routes at one listener. Compares them all: for the rare request whose host is not
    /// the one its connection was opened to.
    pub fn same_rules(&self, listener: &str, one: &str, other: &str) -> bool {
        let Some(listener) = self.listeners.get(listener) else { return true };
        let of = |host| listener.hosts.get(host).unwrap_or(&listener.any_host);
        let (one, other) = (of(one), of(other));
        std::ptr::eq(one, other)
            || one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.same_as(b))
    }

    /// The longest prefix wins, even where it has no route and a shorter one would have.
    fn place(&self, listener: &str, view: &RequestView<'_>) -> Option<&Prefixed> {
        let listener = self.listeners.get(listener)?;
        let places = listener.hosts.get(&*view.host).unwrap_or(&listener.any_host);
        places.iter().find(|place| is_below(view.path.as_str(), &place.prefix))
    }
}

impl Prefixed {
    fn same_as(&self, other: &Self) -> bool {
        let routes = |place: &Self| {
            let mut found = Vec::new();
            place.tree.routes(&mut found);
            let mut found: Vec<_> = found.into_iter().map(Arc::as_ptr).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        self.prefix == other.prefix && routes(self) == routes(other)
    }

    /// Who speaks on a path without the method asked for: the one mount that has it, else the default of the place.
    fn claimant(&self, path: &str) -> Option<&Arc<Mount>> {
        self.tree.owner(path).or(self.default.as_ref())
    }

    fn missed(&self, path: &str) -> Missed<'_> {
        let methods = self.tree.methods(path);
        let mount = self.claimant(path);
        if methods.is_empty() {
            return Missed { deny: Deny::NoRoute, mount };
        }
        let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let allow = names.join(", ");
        Missed { deny: Deny::MethodNotAllowed { allow }, mount }
    }
}

/// Whether `path` lies at or below `prefix`, on a segment border.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn takes(allows: &PathAllowances, path: &CanonicalPath<'_>) -> bool {
    (allows.encoded_slash || !path.has_encoded_slash())
        && (allows.semicolon || !path.has_semicolon())
        && (allows.empty_segment || !path.has_empty_segment())
}
