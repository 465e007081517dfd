//! Signed statements about callers, kept until shortly before they end: a request does not cost a signature each time.

use std::sync::Arc;

use http::HeaderValue;
use quick_cache::sync::Cache;

use crate::{
    identity::Lookup,
    model::{Principal, Timestamp},
    pipeline::{Deny, Mount, route::Assertion},
};

/// Statements held at most.
const MAX_ENTRIES: usize = 4_096;

/// Belongs to one configuration, whose routes say for whom they are.
pub(super) struct Assertions {
    /// By the addresses of the caller, which the entry keeps in place, and of the rule, which the configuration does.
    entries: Cache<(usize, usize), Arc<Kept>>,
}

struct Kept {
    who: Arc<Principal>,
    value: HeaderValue,
    /// An upstream needs some time to look at it.
    until: Timestamp,
}

impl Assertions {
    pub(super) fn new() -> Self {
        Self { entries: Cache::new(MAX_ENTRIES) }
    }

    /// The statement about a caller for the upstream of a route. Without one nothing goes there.
    pub(super) async fn of(
        &self,
        lookup: &dyn Lookup,
        mount: &Mount,
        rule: &Assertion,
        who: &Arc<Principal>,
        now: Timestamp,
    ) -> Result<HeaderValue, Deny> {
        let key = (Arc::as_ptr(who).addr(), std::ptr::from_ref(rule).addr());
        if let Some(kept) = self.entries.get(&key)
            && Arc::ptr_eq(&kept.who, who)
            && now < kept.until
        {
            return Ok(kept.value.clone());
        }
        let signed = lookup.assertion(&mount.name, who, &rule.audience, rule.lifetime, now).await;
        let (text, end) = signed.map_err(|error| {
            tracing::warn!(event = "assertion_not_signed", mount = %mount.name, %error);
            Deny::Unavailable { dependency: "identity" }
        })?;
        let mut value = HeaderValue::try_from(text).map_err(|_| Deny::Internal)?;
        value.set_sensitive(true);
        let until = now + end.since(now) * 3 / 4;
        let kept = Kept { who: Arc::clone(who), value: value.clone(), until };
        self.entries.insert(key, Arc::new(kept));
        Ok(value)
    }
}
