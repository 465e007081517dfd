//! The routes of one path pattern, by method, and who takes a request that two mounts claim.

use std::sync::Arc;

use http::Method;

use super::{COMMON, Step};
use crate::pipeline::route::{Overlap, Route, RouteMatch};

/// The routes of one pattern.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    named: Vec<Named>,
    any: Option<Arc<Route>>,
    owned: Option<Arc<Route>>,
}

/// The routes of one method.
#[derive(Debug)]
struct Named {
    method: Method,
    route: Arc<Route>,
    overlap: Overlap,
    /// Takes the requests whose query has the parameter.
    chosen: Option<(&'static str, Arc<Route>)>,
    /// Those for which `route` answers.
    joined: Vec<Arc<Route>>,
}

/// A route found.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline::route) struct Hit<'t> {
    pub(in crate::pipeline::route) route: &'t Arc<Route>,
    /// Routes of other mounts for which it answers.
    pub(in crate::pipeline::route) joined: &'t [Arc<Route>],
}

impl Leaf {
    /// Adds a route. Every method on which another route stands in its way is told with that route.
    pub(super) fn insert(
        &mut self,
        matches: &RouteMatch,
        route: &Arc<Route>,
    ) -> Vec<(Option<Method>, Arc<Route>)> {
        let RouteMatch { methods, owned, overlap, .. } = matches;
        let mut clashes = Vec::new();
        if let Some(other) = self.other_owner(*owned) {
            // A path is either the contract's or the operator's, with all its methods.
            clashes.push((methods.first().cloned(), other));
        }
        if *owned && self.owned.is_none() {
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
            match self.named.iter_mut().find(|own| own.method == *method) {
                Some(own) => {
                    if let Some(other) = own.share(*overlap, route) {
                        clashes.push((Some(method.clone()), other));
                    }
                }
                None => self.named.push(Named::new(method, *overlap, route)),
            }
        }
        clashes
    }

    fn other_owner(&self, owned: bool) -> Option<Arc<Route>> {
        match (&self.owned, owned) {
            (Some(owner), false) => Some(owner.clone()),
            (None, true) => self.routes().next().cloned(),
            _ => None,
        }
    }

    /// Whether a contract owns the path.
    pub(super) fn is_owned(&self) -> bool {
        self.owned.is_some()
    }

    /// Whether a route names the method itself.
    pub(super) fn names(&self, method: &Method) -> bool {
        self.named.iter().any(|own| own.method == *method)
    }

    /// Every route of the pattern.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.named.iter().flat_map(Named::routes).chain(&self.any)
    }

    pub(super) fn pick(&self, method: &Method, query: Option<&str>) -> Step<'_> {
        let named = |wanted: &Method| self.named.iter().find(|own| own.method == *wanted);
        let found = named(method)
            .or_else(|| if *method == Method::HEAD { named(&Method::GET) } else { None })
            .map(|own| own.hit(query))
            .or(self.any.as_ref().map(|route| Hit { route, joined: &[] }));
        match found {
            Some(hit) => Step::Hit(hit),
            None if self.owned.is_some() => Step::Stop,
            None => Step::Miss,
        }
    }

    pub(super) fn list(&self, found: &mut Vec<Method>) {
        let mut add = |method: &Method| {
            if !found.contains(method) {
                found.push(method.clone());
            }
        };
        for Named { method, .. } in &self.named {
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

impl Named {
    fn new(method: &Method, overlap: Overlap, route: &Arc<Route>) -> Self {
        let (method, route) = (method.clone(), route.clone());
        Self { method, route, overlap, chosen: None, joined: Vec::new() }
    }

    fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        let chosen = self.chosen.as_ref().map(|(_, route)| route);
        [&self.route].into_iter().chain(chosen).chain(&self.joined)
    }

    /// Takes a second route in, as far as both declare that they may stand side by side; else tells the first.
    fn share(&mut self, overlap: Overlap, route: &Arc<Route>) -> Option<Arc<Route>> {
        if self.routes().any(|own| Arc::ptr_eq(own, route)) {
            return None;
        }
        match (self.overlap, overlap) {
            (Overlap::Union, Overlap::Union) => self.joined.push(route.clone()),
            (Overlap::None, Overlap::WhenQuery(parameter)) if self.chosen.is_none() => {
                self.chosen = Some((parameter, route.clone()));
            }
            (Overlap::WhenQuery(parameter), Overlap::None) => {
                let chosen = std::mem::replace(&mut self.route, route.clone());
                self.chosen = Some((parameter, chosen));
                self.overlap = Overlap::None;
            }
            _ => return Some(self.route.clone()),
        }
        None
    }

    fn hit(&self, query: Option<&str>) -> Hit<'_> {
        match &self.chosen {
            Some((parameter, route)) if has(query, parameter) => Hit { route, joined: &[] },
            _ => Hit { route: &self.route, joined: &self.joined },
        }
    }
}

/// Whether a query has a parameter, decoded as the handler will decode it.
fn has(query: Option<&str>, parameter: &str) -> bool {
    let query = query.unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).any(|(name, _)| name == parameter)
}
