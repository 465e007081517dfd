//! Where a session id sits on protected routes, as the operator says: one cookie or one header.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    carrier::Credential,
    cookie,
    cors::Cors,
    deny::{Deny, Lack, SessionFault},
    landing::is_from_own_page,
    view::{Field, RequestView},
};
use crate::model::opaque;

/// The carrier of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCarrier {
    /// A cookie of this name.
    Cookie(Arc<str>),
    /// A header field of this name.
    Header(HeaderName),
    /// The cookie of a login of our own, for pages of our own.
    Own {
        /// Its name.
        cookie: Arc<str>,
        /// Where those pages are.
        origin: Arc<str>,
    },
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl SessionCarrier {
    /// The session id of a request, unproven; `None`: there is none.
    ///
    /// A browser sends cookies along whoever wrote the page, so a request that changes something and says itself that
    /// another site began it is refused, unless the mount's cross-origin rules name that site.
    pub fn extract<'a>(
        &self,
        view: &RequestView<'a>,
        cors: &Cors,
    ) -> Option<Result<Credential<'a>, Deny>> {
        let found = match self {
            SessionCarrier::Cookie(name) => {
                let found = cookie::value(view.headers, name)?;
                if crosses_sites(view, cors) {
                    let refused = Deny::forbidden("same-site").because(Lack::of("same-site"));
                    return Some(Err(refused));
                }
                found
            }
            SessionCarrier::Own { cookie, origin } => {
                let found = cookie::value(view.headers, cookie)?;
                // A page elsewhere can open a WebSocket with the visitor's cookies as well, and read it.
                let careful =
                    !view.method.is_safe() || !matches!(view.known.upgrade, Field::Absent);
                let ours = || is_from_own_page(view.headers, origin);
                if careful && !ours() && !cors.names(view.known.origin.value()) {
                    let refused = Deny::forbidden("same-site").because(Lack::of("same-site"));
                    return Some(Err(refused));
                }
                found
            }
            SessionCarrier::Header(name) => {
                cookie::only(view.headers.get_all(name).iter().map(HeaderValue::as_bytes))?
            }
        };
        // Form first: what cannot be a session id costs no look-up. Two different ones are none.
        let text = found.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let digest = text.and_then(|text| opaque::digest(text.trim_ascii()));
        Some(digest.map(Credential::Session).ok_or(Deny::Session(SessionFault::Invalid)))
    }

    /// The header it sits in.
    pub(super) fn header(&self) -> &HeaderName {
        match self {
            SessionCarrier::Cookie(_) | SessionCarrier::Own { .. } => const { &header::COOKIE },
            SessionCarrier::Header(name) => name,
        }
    }

    /// The request's cookies without the session's, as one field; `None`: nothing is left.
    pub(super) fn other_cookies(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        match self {
            SessionCarrier::Cookie(own) | SessionCarrier::Own { cookie: own, .. } => {
                cookie::without(headers, own)
            }
            SessionCarrier::Header(_) => None,
        }
    }
}

/// What the browser itself says about where an unsafe request comes from (Fetch metadata, "Sec-Fetch-Site").
fn crosses_sites(view: &RequestView<'_>, cors: &Cors) -> bool {
    let site = view.headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    !view.method.is_safe()
        && matches!(site, Some(b"cross-site" | b"same-site"))
        && !cors.names(view.known.origin.value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixture::Request;

    const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const OTHER: &str = "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn cookie() -> SessionCarrier {
        SessionCarrier::Cookie("sid".into())
    }

    fn found(carrier: &SessionCarrier, request: &Request) -> Option<Result<(), Deny>> {
        carrier.extract(&request.view(), &Cors::default()).map(|found| {
            found.map(|credential| match credential {
                Credential::Session(digest) => {
                    assert!(digest == crate::model::Digest::of(ID.as_bytes()));
                }
                other => panic!("{other:?}"),
            })
        })
    }

    const INVALID: Option<Result<(), Deny>> = Some(Err(Deny::Session(SessionFault::Invalid)));

    #[test]
    fn a_cookie_is_found_among_others_and_in_split_fields() {
        for fields in [
            vec![format!("sid={ID}")],
            vec![format!("a=1; sid={ID}; b=2")],
            vec!["a=1".to_owned(), format!("xsid=9;sid={ID}")],
            vec![format!("sid={ID}; sid={ID}")],
        ] {
            let request = fields.iter().fold(Request::get("/"), |r, f| r.header("cookie", f));
            assert_eq!(found(&cookie(), &request), Some(Ok(())), "{fields:?}");
        }
        assert_eq!(found(&cookie(), &Request::get("/").header("cookie", "a=1; xsid=2")), None);
        assert_eq!(found(&cookie(), &Request::get("/")), None);
    }

    #[test]
    fn what_cannot_be_one_or_is_two_is_refused_without_a_look_up() {
        for text in ["sid=".to_owned(), "sid=short".into(), format!("sid={ID}; sid={OTHER}")] {
            assert_eq!(found(&cookie(), &Request::get("/").header("cookie", &text)), INVALID);
        }
        let header = SessionCarrier::Header(HeaderName::from_static("x-session-id"));
        let request = Request::get("/").header("x-session-id", ID);
        assert_eq!(found(&header, &request), Some(Ok(())));
        let twice = Request::get("/").header("x-session-id", ID).header("x-session-id", OTHER);
        assert_eq!(found(&header, &twice), INVALID);
    }

    #[test]
    fn another_site_cannot_use_the_visitors_cookie_to_change_something() {
        let own = format!("sid={ID}");
        let refused = Some(Err(Deny::forbidden("same-site").because(Lack::of("same-site"))));
        let ask = |method: &str, site: &str| {
            let request = Request::new(method, "/").header("cookie", &own);
            found(&cookie(), &request.header("sec-fetch-site", site))
        };
        assert_eq!(ask("POST", "cross-site"), refused);
        assert_eq!(ask("DELETE", "same-site"), refused);
        assert_eq!(ask("GET", "cross-site"), Some(Ok(())));
        assert_eq!(ask("POST", "same-origin"), Some(Ok(())));
        assert_eq!(ask("POST", "none"), Some(Ok(())));
        let cors = Cors { origins: vec!["https://app.example".into()], ..Cors::default() };
        let request = Request::new("POST", "/")
            .header("cookie", &own)
            .header("sec-fetch-site", "cross-site")
            .header("origin", "https://app.example");
        assert!(matches!(cookie().extract(&request.view(), &cors), Some(Ok(_))));
    }

    // requirement: 30
    #[test]
    fn the_cookie_of_our_own_login_is_for_our_own_pages() {
        let own =
            SessionCarrier::Own { cookie: "sid".into(), origin: "https://app.example".into() };
        let ask = |method: &str, fields: &[(&str, &str)]| {
            let request = Request::new(method, "/").header("cookie", &format!("sid={ID}"));
            let request = fields.iter().fold(request, |r, (name, value)| r.header(name, value));
            found(&own, &request).map(|found| found.is_ok())
        };
        assert_eq!(ask("GET", &[]), Some(true));
        assert_eq!(ask("GET", &[("sec-fetch-site", "cross-site")]), Some(true));
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            assert_eq!(ask(method, &[]), Some(false), "{method}");
            assert_eq!(ask(method, &[("sec-fetch-site", "same-site")]), Some(false), "{method}");
            assert_eq!(ask(method, &[("sec-fetch-site", "same-origin")]), Some(true), "{method}");
            assert_eq!(ask(method, &[("origin", "https://app.example")]), Some(true), "{method}");
            assert_eq!(ask(method, &[("origin", "https://evil.example")]), Some(false), "{method}");
        }
        let socket = |fields: &[(&str, &str)]| {
            let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
            ask("GET", &[&upgrade[..], fields].concat())
        };
        assert_eq!(socket(&[]), Some(false));
        assert_eq!(socket(&[("origin", "https://evil.example")]), Some(false));
        assert_eq!(socket(&[("origin", "https://app.example")]), Some(true));
        let request = Request::get("/").header("cookie", &format!("a=1; sid={ID}"));
        assert_eq!(own.other_cookies(&request.headers).unwrap(), "a=1");
    }

    #[test]
    fn other_cookies_stay() {
        let request = Request::get("/").header("cookie", &format!("a=1; sid={ID}; b=\"2\""));
        let rest = cookie().other_cookies(&request.headers);
        assert_eq!(rest.unwrap(), "a=1; b=\"2\"");
        let request = Request::get("/").header("cookie", &format!("sid={ID}"));
        assert_eq!(cookie().other_cookies(&request.headers), None);
    }
}
