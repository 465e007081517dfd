//! The compiled configuration together with what was built from it, swapped as one.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use super::{
    CacheSizes, UpstreamSettings,
    assertions::Assertions,
    opaque::Answers,
    resolve::{TokenCache, Told},
    slash::Spellings,
    upstream::Pool,
};
use crate::{
    issuer::Issuers,
    pipeline::{Limit, Mount, Route, Snapshot, Target},
    telemetry::{Metrics, PublicRoute, RouteMetrics},
};

/// One configuration in force: a request sees one from its first hook to its last.
pub struct Live {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) tokens: TokenCache,
    pub(super) told: Told,
    pub(super) assertions: Assertions,
    pub(super) answers: Answers,
    issuers: Arc<Issuers>,
    /// By the address of the route, which the snapshot above keeps in place.
    routes: HashMap<usize, Arc<RouteLive>, BuildHasherDefault<AddressHasher>>,
    pools: Vec<Arc<Pool>>,
    unrouted: Vec<(Arc<Mount>, RouteMetrics, Option<PublicRoute>)>,
}

/// What belongs to one route beside its rule: looked up once per request, by address.
pub(super) struct RouteLive {
    pub(super) route: Arc<Route>,
    /// `None` for the identity plane of this process, whose pool does not depend on the configuration.
    pub(super) pool: Option<Arc<Pool>>,
    pub(super) metrics: RouteMetrics,
    /// For mounts that show figures to everybody.
    pub(super) public: Option<PublicRoute>,
    /// Late limits that also count a caller whose credential was refused: those that fall back to the address.
    pub(super) anonymous_limits: Vec<Arc<Limit>>,
    pub(super) spellings: Spellings,
}

impl Live {
    /// Builds pools, caches and metric handles for a snapshot. Pools of `previous` whose settings and files did not change
    /// are taken over with their state. `issuers`: those that the snapshot names. `caches`: as the data plane was set up.
    pub fn build(
        snapshot: Arc<Snapshot>,
        upstreams: &[UpstreamSettings],
        issuers: Arc<Issuers>,
        previous: Option<&Live>,
        metrics: &Metrics,
        caches: CacheSizes,
    ) -> Self {
        let old: &[Arc<Pool>] = previous.map_or(&[], |live| &live.pools);
        let kept =
            |settings: &UpstreamSettings| old.iter().find(|pool| pool.is_of(settings)).cloned();
        let pools: Vec<_> = upstreams
            .iter()
            .map(|settings| {
                kept(settings).unwrap_or_else(|| Pool::new(settings.clone(), metrics.clone()))
            })
            .collect();
        for gone in old.iter().filter(|old| !pools.iter().any(|pool| Arc::ptr_eq(pool, old))) {
            gone.forget();
        }
        pools.iter().for_each(|pool| pool.publish());

        let routes = snapshot
            .routes
            .routes()
            .into_iter()
            .map(|route| (address(route), Arc::new(RouteLive::new(route, &pools, metrics))))
            .collect();
        let said = previous.map(|live| &live.answers);
        let answers = Answers::of(&snapshot.mounts, &issuers, said);
        let mounts = snapshot.mounts.iter().chain([&snapshot.stranger]);
        let unrouted = mounts
            .map(|mount| {
                let unrouted = metrics.unrouted(mount.name.as_str());
                (Arc::clone(mount), unrouted, public(mount, UNMATCHED, metrics))
            })
            .collect();
        Self {
            snapshot,
            tokens: TokenCache::new(caches.tokens),
            told: Told::new(),
            assertions: Assertions::new(),
            answers,
            issuers,
            routes,
            pools,
            unrouted,
        }
    }

    /// The configuration that decides.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Issuers that are asked for keys.
    pub fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    pub(super) fn pools(&self) -> &[Arc<Pool>] {
        &self.pools
    }

    /// The companion of a route of this snapshot.
    pub(super) fn route(&self, route: &Arc<Route>) -> Option<&Arc<RouteLive>> {
        self.routes.get(&address(route))
    }

    /// Where requests of a mount are counted that found no route.
    pub(super) fn unrouted(
        &self,
        mount: &Arc<Mount>,
    ) -> (Option<&RouteMetrics>, Option<&PublicRoute>) {
        let found = self.unrouted.iter().find(|(own, ..)| Arc::ptr_eq(own, mount));
        found.map_or((None, None), |(_, metrics, public)| (Some(metrics), public.as_ref()))
    }
}

impl RouteLive {
    fn new(route: &Arc<Route>, pools: &[Arc<Pool>], metrics: &Metrics) -> Self {
        let name = match &route.target {
            Target::Upstream(name) => name,
            Target::Identity => IDENTITY_NODES,
        };
        let pool = pools.iter().find(|pool| *pool.settings().name == *name);
        Self {
            route: Arc::clone(route),
            pool: pool.cloned(),
            metrics: metrics.route(route.mount.name.as_str(), &route.name),
            public: public(&route.mount, &route.template, metrics),
            anonymous_limits: route
                .late_limits
                .iter()
                .filter(|limit| limit.counts_anybody())
                .cloned()
                .collect(),
            spellings: Spellings::default(),
        }
    }
}

/// The upstream of what belongs to identity, where that is apart. No upstream of the configuration has a blank in its name.
pub const IDENTITY_NODES: &str = "identity nodes";

/// What stands in figures and counts for the route of requests that none has.
pub(super) const UNMATCHED: &str = "unmatched";

fn public(mount: &Mount, endpoint: &str, metrics: &Metrics) -> Option<PublicRoute> {
    mount.public_figures.then(|| metrics.public_route(mount.name.as_str(), endpoint)).flatten()
}

fn address(route: &Arc<Route>) -> usize {
    Arc::as_ptr(route).addr()
}

/// Spreads addresses over a table. They are ours, not a client's: no flooding to defend against.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, word: usize) {
        self.0 = (self.0 ^ word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}
