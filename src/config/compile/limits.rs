//! The limits of a route by their names: early, late, and those that refuse nothing.

use std::sync::Arc;

use crate::pipeline::{Limit, shadow::Shadow};

type Found = Vec<Arc<Limit>>;

/// Early and late ones, and those that refuse nothing.
pub(super) fn split(named: impl Iterator<Item = Arc<Limit>>) -> (Found, Found, Shadow) {
    let (shadowed, enforced): (Found, Found) = named.partition(|limit| limit.shadow);
    let halves = |all: Found| all.into_iter().partition(|limit| limit.is_early());
    let (early, late) = halves(enforced);
    let (early_limits, late_limits) = halves(shadowed);
    (early, late, Shadow { early_limits, late_limits, ..Shadow::default() })
}

pub(super) fn find_limit(limits: &[Limit], name: &str) -> Option<Arc<Limit>> {
    limits.iter().find(|limit| *limit.name == *name).map(|limit| Arc::new(limit.clone()))
}
