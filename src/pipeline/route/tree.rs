//! The routes of one place as a tree of path segments.
//!
//! One tree for all methods: the most specific path is found first and then asked for the method, so that a method
//! missing on `/a/b` may still be found on `/a/**`. Every node is visited at most once, whatever the request.

use std::sync::Arc;

use http::Method;

use super::Route;
use crate::pipeline::pattern::{Pattern, Segment, trimmed};

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

/// The routes of one pattern.
#[derive(Debug, Default)]
struct Leaf {
    named: Vec<(Method, Arc<Route>)>,
    any: Option<Arc<Route>>,
    owned: Option<Arc<Route>>,
}

/// What a walk found.
enum Step<'t> {
    Hit(&'t Arc<Route>),
    /// The contract owns this path and has no such method: look no further.
    Stop,
    Miss,
}

impl Tree {
    /// Adds a route. Every method on which another route stands already is told with that route; `None` is "any".
    pub(super) fn insert(
        &mut self,
        pattern: &Pattern,
        methods: &[Method],
        owned: bool,
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
        leaf.insert(methods, owned, route)
    }

    /// The route for this path (behind the prefix) and method.
    pub(super) fn find(&self, path: &str, method: &Method) -> Option<&Arc<Route>> {
        match walk(&self.root, trimmed(path), &mut |leaf| leaf.pick(method)) {
            Step::Hit(route) => Some(route),
            Step::Stop | Step::Miss => None,
        }
    }

    /// Every method that [`Self::find`] would find on this path, in the usual order.
    pub(super) fn methods(&self, path: &str) -> Vec<Method> {
        let mut found = Vec::new();
        walk(&self.root, trimmed(path), &mut |leaf| {
            leaf.list(&mut found);
            if leaf.owned.is_some() { Step::Stop } else { Step::Miss }
        });
        let place = |method: &Method| COMMON.iter().position(|known| known == method);
        found.sort_by_key(|method| place(method).unwrap_or(COMMON.len()));
        found
    }

    /// Whether a leaf of this path names the method itself.
    pub(super) fn names(&self, path: &str, method: &Method) -> bool {
        let mut named = false;
        walk(&self.root, trimmed(path), &mut |leaf| {
            named |= leaf.named.iter().any(|(own, _)| own == method);
            if named || leaf.owned.is_some() { Step::Stop } else { Step::Miss }
        });
        named
    }

    /// Adds every route; one that stands in several places comes several times.
    pub(super) fn routes<'t>(&'t self, found: &mut Vec<&'t Arc<Route>>) {
        self.root.routes(found);
    }
}

impl Node {
    fn routes<'t>(&'t self, found: &mut Vec<&'t Arc<Route>>) {
        for leaf in [&self.here, &self.below] {
            found.extend(leaf.named.iter().map(|(_, route)| route).chain(&leaf.any));
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

impl Leaf {
    fn insert(
        &mut self,
        methods: &[Method],
        owned: bool,
        route: &Arc<Route>,
    ) -> Vec<(Option<Method>, Arc<Route>)> {
        let mut clashes = Vec::new();
        if let Some(other) = self.other_owner(owned) {
            // A path is either the contract's or the operator's, with all its methods.
            clashes.push((methods.first().cloned(), other));
        }
        if owned && self.owned.is_none() {
            self.owned = Some(route.clone());
        }
        if methods.is_empty() {
            match &self.any {
                Some(other) if !Arc::ptr_eq(other, route) => clashes.push((None, other.clone())),
                Some(_) => {}
                None => self.any = Some(route.clone()),
            }
        }
        for method in methods {
            match self.named.iter().find(|(own, _)| own == method) {
                Some((_, other)) if !Arc::ptr_eq(other, route) => {
                    clashes.push((Some(method.clone()), other.clone()));
                }
                Some(_) => {}
                None => self.named.push((method.clone(), route.clone())),
            }
        }
        clashes
    }

    fn other_owner(&self, owned: bool) -> Option<Arc<Route>> {
        match (&self.owned, owned) {
            (Some(owner), false) => Some(owner.clone()),
            (None, true) => {
                self.named.first().map(|(_, route)| route).or(self.any.as_ref()).cloned()
            }
            _ => None,
        }
    }

    fn pick(&self, method: &Method) -> Step<'_> {
        let named = |wanted: &Method| self.named.iter().find(|(own, _)| own == wanted);
        let found = named(method)
            .or_else(|| if *method == Method::HEAD { named(&Method::GET) } else { None })
            .map(|(_, route)| route)
            .or(self.any.as_ref());
        match found {
            Some(route) => Step::Hit(route),
            None if self.owned.is_some() => Step::Stop,
            None => Step::Miss,
        }
    }

    fn list(&self, found: &mut Vec<Method>) {
        let mut add = |method: &Method| {
            if !found.contains(method) {
                found.push(method.clone());
            }
        };
        for (method, _) in &self.named {
            add(method);
            if *method == Method::GET {
                add(&Method::HEAD);
            }
        }
        if self.any.is_some() {
            COMMON.iter().for_each(add);
        }
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
