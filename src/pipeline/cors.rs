//! Cross-origin rules of a mount (Fetch standard, "CORS protocol").

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

/// Which web origins may call, and what they may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Exact origins (`https://app.example.org`); `*` allows any, without credentials. Empty: no cross-origin caller.
    pub origins: Vec<Arc<str>>,
    /// Whether cookies may be sent (`Access-Control-Allow-Credentials`); refused at load together with `*`.
    pub credentials: bool,
    /// Seconds a preflight may be cached.
    pub max_age: u32,
}

impl Cors {
    /// Headers of an ordinary reply to a request with this `Origin`.
    pub fn reply_headers(&self, origin: Option<&HeaderValue>) -> Vec<(HeaderName, HeaderValue)> {
        let mut out = self.vary();
        if let Some(allowed) = self.allowed(origin) {
            out.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed));
            out.extend(self.credentials_header());
            out.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED));
        }
        out
    }

    /// Headers of the answer to a preflight; `allow` lists the methods of the path.
    pub fn preflight_headers(
        &self,
        origin: Option<&HeaderValue>,
        allow: &str,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut out = self.vary();
        let Some(allowed) = self.allowed(origin) else { return out };
        // Method names are tokens (RFC 9110 section 9.1): they always make a header value.
        let Ok(methods) = HeaderValue::from_str(allow) else { return out };
        out.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed));
        out.extend(self.credentials_header());
        out.push((header::ACCESS_CONTROL_ALLOW_METHODS, methods));
        out.push((header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED));
        out.push((header::ACCESS_CONTROL_MAX_AGE, self.max_age.into()));
        out
    }

    /// Whether this origin stands in the list itself. Any origin at all is not meant here.
    pub(super) fn names(&self, origin: Option<&HeaderValue>) -> bool {
        !self.any() && self.allowed(origin).is_some()
    }

    fn any(&self) -> bool {
        self.origins.iter().any(|own| &**own == "*")
    }

    /// The `Access-Control-Allow-Origin` value. Origins are compared byte for byte, as the Fetch standard does.
    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        if self.any() {
            return Some(HeaderValue::from_static("*"));
        }
        let fits = |own: &Arc<str>| own.as_bytes() == origin.as_bytes();
        self.origins.iter().any(fits).then(|| origin.clone())
    }

    fn credentials_header(&self) -> Option<(HeaderName, HeaderValue)> {
        let name = header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
        (self.credentials && !self.any()).then(|| (name, HeaderValue::from_static("true")))
    }

    /// Replies that depend on `Origin` say so, also to callers without one, or a cache would mix them up.
    fn vary(&self) -> Vec<(HeaderName, HeaderValue)> {
        if self.origins.is_empty() || self.any() {
            return Vec::new();
        }
        vec![(header::VARY, HeaderValue::from_static("Origin"))]
    }
}

/// Request headers a browser may send.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, DPoP, X-API-Key, X-Request-ID");

/// Response headers a script may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Request-ID, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, \
     X-RateLimit-Policy, RateLimit, RateLimit-Policy, DPoP-Nonce, WWW-Authenticate",
);

#[cfg(test)]
mod tests;
