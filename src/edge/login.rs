//! Where a person comes without a session, the login is a better answer than a refusal.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pingora::http::RequestHeader;

use super::ctx::Ctx;
use crate::pipeline::Deny;

/// Where a browser is sent in place of a refusal, where its route says so. A proxy that asks, a program, or a page that loads
/// something gets the refusal.
pub(super) fn instead(head: &RequestHeader, ctx: &Ctx, deny: &Deny) -> Option<HeaderValue> {
    if !matches!(deny, Deny::MissingCredential | Deny::Session(_)) || ctx.front().is_some() {
        return None;
    }
    let login = ctx.trail.route.as_ref()?.route.login.as_deref()?;
    if head.method != Method::GET || !is_navigation(&head.headers) {
        return None;
    }
    let here = head.uri.path_and_query().map_or("/", |both| both.as_str());
    let here = utf8_percent_encode(here, NON_ALPHANUMERIC);
    HeaderValue::try_from(format!("{login}?return_to={here}")).ok()
}

/// Whether a person goes to a page (Fetch metadata, where the browser sends them).
fn is_navigation(headers: &HeaderMap) -> bool {
    let said = |name: &'static str, wanted: &str| {
        let mut all = headers.get_all(HeaderName::from_static(name)).iter();
        all.all(|value| value.as_bytes() == wanted.as_bytes())
    };
    let accept = headers.get(header::ACCEPT).and_then(|field| field.to_str().ok());
    accept.is_some_and(|field| field.to_ascii_lowercase().contains("text/html"))
        && said("sec-fetch-mode", "navigate")
        && said("sec-fetch-dest", "document")
        && !headers.contains_key(header::UPGRADE)
}
