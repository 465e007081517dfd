//! Cross-origin rules of a mount (Fetch standard, "CORS protocol").

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

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
        let _ = origin;
        unimplemented!()
    }

    /// Headers of the answer to a preflight; `allow` lists the methods of the path.
    pub fn preflight_headers(
        &self,
        origin: Option<&HeaderValue>,
        allow: &str,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let _ = (origin, allow);
        unimplemented!()
    }
}
