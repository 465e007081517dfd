//! Which fields of a client's request never reach an upstream, whatever the route.

use std::borrow::Cow;

use http::HeaderName;

use super::IdentityHeaders;
use crate::pipeline::{
    reserved::{fold, is_reserved},
    route::HeaderRules,
};

/// What one route strips.
pub(super) struct Rule<'a> {
    pub(super) names: &'a IdentityHeaders,
    pub(super) headers: &'a HeaderRules,
    /// Whether credentials go on.
    pub(super) keep: bool,
    /// Where this mount's sessions sit.
    pub(super) session: Option<&'a HeaderName>,
}

impl Rule<'_> {
    /// Whether this field of the request goes. Names are compared folded.
    pub(super) fn strips(&self, name: &HeaderName) -> bool {
        let folded = fold(name.as_str());
        matches!(&folded, Cow::Owned(odd) if is_odd(name, odd))
            || is_ours(&folded, self.names)
            || (!self.keep && matches!(&*folded, "authorization" | "dpop" | "x-api-key"))
            || (!self.keep && self.session == Some(name))
            || self.headers.request_remove.contains(name)
    }
}

/// Whether a field of this name never reaches an upstream, whatever the route says.
pub fn is_stripped(name: &HeaderName, names: &IdentityHeaders) -> bool {
    let folded = fold(name.as_str());
    is_odd(name, &folded) || is_ours(&folded, names)
}

/// What had to be folded may have been an underscore, which no field of an honest client has.
fn is_odd(name: &HeaderName, folded: &str) -> bool {
    folded != name.as_str() && name.as_str().contains('_')
}

fn is_ours(folded: &str, names: &IdentityHeaders) -> bool {
    is_reserved(folded) || names.covers(folded)
}

impl IdentityHeaders {
    /// Whether one of the names is this one, folded.
    pub(in crate::pipeline) fn covers(&self, folded: &str) -> bool {
        self.all().iter().any(|own| {
            let own = own.as_str();
            own.len() == folded.len() && fold(own) == folded
        })
    }

    /// Every one of them.
    pub fn all(&self) -> [&HeaderName; 10] {
        [
            &self.subject,
            &self.username,
            &self.roles,
            &self.scopes,
            &self.method,
            &self.key_id,
            &self.realm,
            &self.tenant,
            &self.assertion,
            &self.issuer,
        ]
    }
}
