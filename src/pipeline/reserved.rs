//! Names of request fields that only the gateway may set: one list, for what is stripped from every request and for what a
//! client may not name in `Connection`.

use std::borrow::Cow;

use super::scan;

/// Fields by which upstreams learn who asked, from where and for what. `folded` comes from [`fold`].
pub(super) fn is_reserved(folded: &str) -> bool {
    const FAMILIES: [&str; 3] = ["x-auth-", "x-forwarded-", "x-portcullis-"];
    // Asked for every field of every request, most of which begin with another letter.
    if !matches!(folded.as_bytes().first(), Some(b'x' | b'f' | b'p' | b't' | b'c')) {
        return false;
    }
    FAMILIES.iter().any(|family| folded.starts_with(family))
        || matches!(
            folded,
            "forwarded"
                | "x-forwarded"
                | "proxy-authorization"
                | "x-real-ip"
                // RFC 9440: a gateway that writes none lets none pass.
                | "client-cert"
                | "client-cert-chain"
                | "true-client-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                | "cf-connecting-ip"
                | "x-request-id"
                | "x-host"
                | "x-original-host"
                | "x-original-uri"
                | "x-original-url"
                | "x-rewrite-url"
                | "x-original-method"
                | "x-http-method-override"
                | "x-http-method"
                | "x-method-override"
        )
}

/// Every character that is neither letter nor digit as `-`, because some upstreams turn names into variables and read
/// `X-Auth_Subject` and `X.Auth.Subject` as ours (CVE-2025-64484 and kin). Names are in lower case already.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    if scan::all(name.as_bytes(), |byte| byte.is_ascii_alphanumeric() | (byte == b'-')) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace(|char: char| !char.is_ascii_alphanumeric(), "-"))
}
