//! What changes on a request toward the upstream: spoofable headers off, identity on.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

pub use self::{
    fields::{Fields, Written},
    identity::IdentityFields,
    strip::is_stripped,
};
use super::{SessionCarrier, Target, authz::Permit, route::TrailingSlash, view::RequestView};
use crate::model::Principal;

mod fields;
mod forward;
mod identity;
mod strip;

/// Names of the headers that carry identity to the upstream. Settable; the family is stripped in every spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// Account id.
    pub subject: HeaderName,
    /// Login name.
    pub username: HeaderName,
    /// Role names, comma separated.
    pub roles: HeaderName,
    /// Scope names, blank separated.
    pub scopes: HeaderName,
    /// `jwt`, `api_key`.
    pub method: HeaderName,
    /// API key id.
    pub key_id: HeaderName,
    /// Realm.
    pub realm: HeaderName,
    /// Organisation or namespace.
    pub tenant: HeaderName,
    /// The signed statement, on routes that ask for one.
    pub assertion: HeaderName,
    /// The issuer outside that vouches, as its `iss`; not set for accounts and keys of ours.
    pub issuer: HeaderName,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            subject: HeaderName::from_static("x-auth-subject"),
            username: HeaderName::from_static("x-auth-username"),
            roles: HeaderName::from_static("x-auth-roles"),
            scopes: HeaderName::from_static("x-auth-scopes"),
            method: HeaderName::from_static("x-auth-method"),
            key_id: HeaderName::from_static("x-auth-key-id"),
            realm: HeaderName::from_static("x-auth-realm"),
            tenant: HeaderName::from_static("x-auth-tenant"),
            assertion: HeaderName::from_static("x-portcullis-assertion"),
            issuer: HeaderName::from_static("x-auth-issuer"),
        }
    }
}

/// What to do to the request before it goes upstream. Applied once, by the edge, after hop-by-hop stripping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderPatch {
    /// Names to remove, as they stand in the request (lower case).
    pub remove: Vec<HeaderName>,
    /// Fields of the operator to set, replacing any of the name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Fields that tell of the hop, likewise.
    pub hop: Written,
    /// Fields that tell of the proven caller, likewise.
    pub identity: Option<IdentityFields>,
    /// Path and query to send.
    pub path_and_query: String,
}

impl HeaderPatch {
    /// Hands everything to set to `take`, in order: what the gateway says of the hop and the caller has the last word.
    pub fn each(&self, mut take: impl FnMut(&HeaderName, HeaderValue)) {
        self.set.iter().for_each(|(name, value)| take(name, value.clone()));
        self.hop.each(&mut take);
        let identity = self.identity.iter().flat_map(|fields| fields.iter());
        identity.for_each(|(name, value)| take(name, value.clone()));
    }

    /// How many fields there are to set.
    pub fn count(&self) -> usize {
        self.set.len() + self.hop.count() + self.identity.as_ref().map_or(0, |fields| fields.len())
    }
}

/// What the edge knows of the outer hop.
#[derive(Clone, Copy, Debug)]
pub struct HopFacts<'a> {
    /// `http` or `https`, as the client used it.
    pub scheme: &'a str,
    /// The `Host` the client used, port included.
    pub host: &'a str,
}

/// Computes the patch. Needs a [`Permit`]: there is no way to set identity without one. `tell` writes the fields of a
/// caller, or has them from an earlier request of the same one.
pub fn patch(
    permit: &Permit,
    view: &RequestView<'_>,
    prefix_len: usize,
    names: &IdentityHeaders,
    hop: &HopFacts<'_>,
    tell: impl FnOnce(&Arc<Principal>) -> IdentityFields,
) -> HeaderPatch {
    let route = permit.route();
    let keep = route.forward_credential;
    let carrier = route.mount.session_carrier.as_ref();
    let session = carrier.map(SessionCarrier::header);
    let rule = strip::Rule { names, headers: &route.headers, keep, session };
    let remove = view.headers.keys().filter(|name| rule.strips(name)).cloned().collect();
    let mut set = Vec::new();
    // The other cookies of the request stay, unless the operator says something else about them.
    let cookies = carrier.filter(|_| !keep).and_then(|own| own.other_cookies(view.headers));
    let cookies = cookies.filter(|_| !route.headers.request_remove.contains(&header::COOKIE));
    set.extend(cookies.map(|rest| (header::COOKIE, rest)));
    set.extend(route.headers.request_set.iter().cloned());
    let mut fields = Fields::with_capacity(256);
    forward::set(&mut fields, view.client, hop);
    HeaderPatch {
        remove,
        set,
        hop: fields.written(),
        identity: match route.target {
            Target::Upstream(_) => permit.principal().map(tell),
            Target::Identity => None,
        },
        path_and_query: path_and_query(route.trailing_slash, view, prefix_len),
    }
}

/// The path behind the prefix in the form the upstream wants, with the query as sent.
fn path_and_query(form: TrailingSlash, view: &RequestView<'_>, prefix_len: usize) -> String {
    let path = view.path.behind(prefix_len);
    let mut out = String::with_capacity(path.len() + view.query.map_or(0, str::len) + 2);
    match form {
        // An empty last segment is no trailing slash: without it this would be another path than the one judged.
        TrailingSlash::Strip if path.len() > 1 && !path.ends_with("//") => {
            out.push_str(path.strip_suffix('/').unwrap_or(path));
        }
        TrailingSlash::Keep | TrailingSlash::Strip => out.push_str(path),
        TrailingSlash::Add => {
            out.push_str(path);
            if !out.ends_with('/') {
                out.push('/');
            }
        }
    }
    if let Some(query) = view.query {
        out.push('?');
        out.push_str(query);
    }
    out
}

#[cfg(test)]
mod tests;
