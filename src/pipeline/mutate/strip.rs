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
        always(name, &folded, self.names)
            || (!self.keep && matches!(&*folded, "authorization" | "x-api-key"))
            || (!self.keep && self.session == Some(name))
            || self.headers.request_remove.contains(name)
    }
}

/// Whether a field of this name never reaches an upstream, whatever the route says.
pub fn is_stripped(name: &HeaderName, names: &IdentityHeaders) -> bool {
    always(name, &fold(name.as_str()), names)
}

fn always(name: &HeaderName, folded: &Cow<'_, str>, names: &IdentityHeaders) -> bool {
    // What had to be folded may have been an underscore, which no field of an honest client has.
    matches!(folded, Cow::Owned(_) if name.as_str().contains('_'))
        || is_reserved(folded)
        || names.covers(folded)
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
    pub fn all(&self) -> [&HeaderName; 8] {
        [
            &self.subject,
            &self.username,
            &self.roles,
            &self.scopes,
            &self.method,
            &self.key_id,
            &self.realm,
            &self.tenant,
        ]
    }
}
