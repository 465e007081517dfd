//! The routes of one place as a tree of path segments.
//!
//! One tree for all methods: the most specific path is found first and then asked for the method, so that a method
//! missing on `/a/b` may still be found on `/a/**`. Every node is visited at most once, whatever the request.

use std::sync::Arc;

use http::Method;

use super::{Route, RouteMatch};
use crate::pipeline::{
    Mount,
    pattern::{Pattern, Segment, trimmed},
};

mod leaf;

pub(super) use leaf::Hit;
use leaf::Leaf;

/// Methods told for a route that takes any.
const COMMON: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// The routes behind one prefix.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by text.
    literals: Vec<(Box<str>, Node)>,
    parameter: Option<Box<Node>>,
    /// Routes that end here.
    here: Leaf,
    /// Routes that end in `**` here: this node and everything below.
    below: Leaf,
}

/// What a walk found.
enum Step<'t> {
    Hit(Hit<'t>),
    /// The contract owns this path and has no such method: look no further.
    Stop,
    Miss,
}

impl Tree {
    /// Adds a route. Every method on which another route stands already is told with that route; `None` is "any".
    pub(super) fn insert(
        &mut self,
        pattern: &Pattern,
        matches: &RouteMatch,
        route: &Arc<Route>,
    ) -> Vec<(Option<Method>, Arc<Route>)> {
        let mut node = &mut self.root;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Parameter => node.parameter.get_or_insert_default(),
                Segment::Literal(text) => node.literal_or_insert(text),
            };
        }
        let leaf = if pattern.open { &mut node.below } else { &mut node.here };
        leaf.insert(matches, route)
    }

    /// The route for this path (behind the prefix) and method.
    pub(super) fn find(&self, path: &str, method: &Method, query: Option<&str>) -> Option<Hit<'_>> {
        match walk(&self.root, trimmed(path), &mut |leaf| leaf.pick(method, query)) {
            Step::Hit(hit) => Some(hit),
            Step::Stop | Step::Miss => None,
        }
    }

    /// Every method that [`Self::find`] would find on this path, in the usual order.
    pub(super) fn methods(&self, path: &str) -> Vec<Method> {
        let mut found = Vec::new();
        walk(&self.root, trimmed(path), &mut |leaf| {
            leaf.list(&mut found);
            if leaf.is_owned() { Step::Stop } else { Step::Miss }
        });
        let place = |method: &Method| COMMON.iter().position(|known| known == method);
        found.sort_by_key(|method| place(method).unwrap_or(COMMON.len()));
        found
    }

    /// Whether a leaf of this path names the method itself.
    pub(super) fn names(&self, path: &str, method: &Method) -> bool {
        let mut named = false;
        walk(&self.root, trimmed(path), &mut |leaf| {
            named |= leaf.names(method);
            if named || leaf.is_owned() { Step::Stop } else { Step::Miss }
        });
        named
    }

    /// The mount of the most specific routes on this path, if they are all of one.
    pub(super) fn owner(&self, path: &str) -> Option<&Arc<Mount>> {
        let mut owner = None;
        walk(&self.root, trimmed(path), &mut |leaf| {
            let mut mounts = leaf.routes().map(|route| &route.mount);
            let Some(first) = mounts.next() else { return Step::Miss };
            owner = mounts.all(|mount| Arc::ptr_eq(mount, first)).then_some(first);
            Step::Stop
        });
        owner
    }

    /// Adds every route; one that stands in several places comes several times.
    pub(super) fn routes<'t>(&'t self, found: &mut Vec<&'t Arc<Route>>) {
        self.root.routes(found);
    }
}

impl Node {
    fn routes<'t>(&'t self, found: &mut Vec<&'t Arc<Route>>) {
        for leaf in [&self.here, &self.below] {
            found.extend(leaf.routes());
        }
        let literals = self.literals.iter().map(|(_, node)| node);
        literals.chain(self.parameter.as_deref()).for_each(|node| node.routes(found));
    }

    fn literal_or_insert(&mut self, text: &str) -> &mut Node {
        let at = self.literals.partition_point(|(own, _)| **own < *text);
        if self.literals.get(at).is_none_or(|(own, _)| **own != *text) {
            self.literals.insert(at, (text.into(), Node::default()));
        }
        // The line above put an entry at `at` if there was none.
        #[allow(clippy::indexing_slicing)]
        &mut self.literals[at].1
    }

    fn literal(&self, text: &str) -> Option<&Node> {
        let at = self.literals.binary_search_by(|(own, _)| (**own).cmp(text)).ok()?;
        self.literals.get(at).map(|(_, node)| node)
    }
}

/// Visits the leaves that fit, most specific first: a literal segment, then a parameter, then `**`.
fn walk<'t>(
    node: &'t Node,
    rest: Option<&str>,
    visit: &mut impl FnMut(&'t Leaf) -> Step<'t>,
) -> Step<'t> {
    if let Some(rest) = rest {
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        let literal = node.literal(segment);
        let parameter = node.parameter.as_deref().filter(|_| !segment.is_empty());
        for next in literal.into_iter().chain(parameter) {
            match walk(next, rest, visit) {
                Step::Miss => {}
                end => return end,
            }
        }
    } else {
        match visit(&node.here) {
            Step::Miss => {}
            end => return end,
        }
    }
    visit(&node.below)
}
