//! The borrowed view of a request that every decision works on.

use http::{HeaderMap, Method, Uri};

use super::{deny::Malformed, path::CanonicalPath};
use crate::model::ClientFacts;

/// Method, host, canonical path, query, headers and client of one request. Making one is the first check.
#[derive(Debug)]
pub struct RequestView<'a> {
    /// Method as sent. `TRACE` and `CONNECT` never get this far.
    pub method: &'a Method,
    /// Host in lower case without port and trailing dot.
    pub host: std::borrow::Cow<'a, str>,
    /// The canonical path, mount prefix included.
    pub path: CanonicalPath<'a>,
    /// Query as sent, without `?`.
    pub query: Option<&'a str>,
    /// Header fields as sent.
    pub headers: &'a HeaderMap,
    /// Client facts.
    pub client: &'a ClientFacts,
}

impl<'a> RequestView<'a> {
    /// Reads a request head. Refuses what could be read in two ways: see [`Malformed`].
    pub fn new(
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a HeaderMap,
        client: &'a ClientFacts,
    ) -> Result<Self, Malformed> {
        let _ = (method, uri, headers, client);
        unimplemented!()
    }
}
