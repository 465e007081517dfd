//! Which fields of a client's request never reach an upstream, whatever the route.

use std::borrow::Cow;

use http::HeaderName;

use super::IdentityHeaders;
use crate::pipeline::route::HeaderRules;

/// What one route strips.
pub(super) struct Rule<'a> {
    pub(super) names: &'a IdentityHeaders,
    pub(super) headers: &'a HeaderRules,
    /// Whether credentials go on.
    pub(super) keep: bool,
}

impl Rule<'_> {
    /// Whether this field of the request goes. Names are compared folded: upstreams that turn names into variables
    /// read `X-Auth_Subject` and `X.Auth.Subject` as ours (CVE-2025-64484 and kin).
    pub(super) fn strips(&self, name: &HeaderName) -> bool {
        if name.as_str().contains('_') {
            return true;
        }
        let folded = fold(name.as_str());
        is_reserved(&folded)
            || (!self.keep && matches!(&*folded, "authorization" | "x-api-key"))
            || self.headers.request_remove.contains(name)
            || self.names.all().iter().any(|own| {
                let own = own.as_str();
                own.len() == folded.len() && fold(own) == folded
            })
    }
}

impl IdentityHeaders {
    fn all(&self) -> [&HeaderName; 8] {
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

/// Fields by which upstreams learn who asked, from where and for what: only the gateway may say that.
fn is_reserved(name: &str) -> bool {
    const FAMILIES: [&str; 3] = ["x-auth-", "x-forwarded-", "x-portcullis-"];
    FAMILIES.iter().any(|family| name.starts_with(family))
        || matches!(
            name,
            "forwarded"
                | "proxy-authorization"
                | "x-real-ip"
                | "x-request-id"
                | "x-original-url"
                | "x-rewrite-url"
                | "x-original-method"
                | "x-http-method-override"
                | "x-http-method"
                | "x-method-override"
        )
}

/// Every character that is neither letter nor digit as `-`. Header names are in lower case already.
fn fold(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.bytes().all(plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace(|char: char| !char.is_ascii_alphanumeric(), "-"))
}
