//! The borrowed view of a request that every decision works on.

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri};

use super::{deny::Malformed, mutate::IdentityHeaders, path::CanonicalPath, scan};
use crate::model::{ClientCertificate, ClientFacts};

mod framing;
mod host;
mod known;

pub(super) use host::authority;
pub use known::{Field, Known};

/// `X-API-Key` in the form header maps use.
pub const API_KEY: http::HeaderName = http::HeaderName::from_static("x-api-key");

/// Method, host, canonical path, query, headers and client of one request. Making one is the first check.
#[derive(Debug)]
pub struct RequestView<'a> {
    /// Method as sent, `TRACE` too: the edge refuses it before a route is looked for.
    pub method: &'a Method,
    /// Host in lower case without port and trailing dot.
    pub host: Cow<'a, str>,
    /// The canonical path, mount prefix included.
    pub path: CanonicalPath<'a>,
    /// Query as sent, without `?`.
    pub query: Option<&'a str>,
    /// Header fields as sent.
    pub headers: &'a HeaderMap,
    /// Those that every request is judged by.
    pub known: Known<'a>,
    /// Client facts.
    pub client: &'a ClientFacts,
    /// What the handshake of its connection has proven of the client; `None`: nothing.
    pub certificate: Option<&'a ClientCertificate>,
}

impl<'a> RequestView<'a> {
    /// Reads a request head. Refuses what could be read in two ways: see [`Malformed`].
    ///
    /// [`Uri`] drops a fragment without a word: an edge that has the raw target must call [`check_target`] as well.
    pub fn new(
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a HeaderMap,
        client: &'a ClientFacts,
    ) -> Result<Self, Malformed> {
        Self::with(Known::of(headers), method, uri, headers, client)
    }

    /// The same, where the fields that every request is judged by were found before.
    pub fn with(
        known: Known<'a>,
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a HeaderMap,
        client: &'a ClientFacts,
    ) -> Result<Self, Malformed> {
        let path = CanonicalPath::parse(uri.path())?;
        let query = uri.query();
        if query.is_some_and(|query| !scan::all(query.as_bytes(), is_query_byte)) {
            return Err(Malformed::Target);
        }
        let host = host::read(uri, known.host)?;
        for field in [known.authorization, known.api_key, known.content_type] {
            at_most_once(field)?;
        }
        framing::check_length(&known)?;
        let certificate = None;
        let view = Self { method, host, path, query, headers, known, client, certificate };
        framing::check_connection(&view)?;
        Ok(view)
    }

    /// Refuses a request whose `Connection` names a field that carries identity. Beside [`RequestView::new`] because these
    /// names are the configuration's.
    pub fn check_connection(&self, names: &IdentityHeaders) -> Result<(), Malformed> {
        framing::check_identity(self, names)
    }
}

/// Checks the bytes of a request target before a parser cleans them up: no control bytes, blanks, non-ASCII or `#`, and
/// the origin or the absolute form (RFC 9112 section 3.2). A parser may read `a/b` as the path `/`.
pub fn check_target(raw: &[u8]) -> Result<(), Malformed> {
    let absolute = || raw.windows(3).any(|part| part == b"://");
    let is_formed = raw.starts_with(b"/") || raw == b"*" || absolute();
    if is_formed && scan::all(raw, is_query_byte) {
        return Ok(());
    }
    Err(Malformed::Target)
}

fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() & (byte != b'#')
}

/// RFC 9110 section 5.3: a field that is no list may stand once, and we only read text.
fn at_most_once(field: Field<'_>) -> Result<(), Malformed> {
    // Blank to tilde, and the tab: what `HeaderValue::to_str` takes, which looks at one byte at a time.
    let is_text = |byte: u8| ((b' '..=b'~').contains(&byte)) | (byte == b'\t');
    match field {
        Field::Absent => Ok(()),
        Field::Once(value) if scan::all(value.as_bytes(), is_text) => Ok(()),
        Field::Once(_) | Field::Repeated => Err(Malformed::Header),
    }
}

#[cfg(test)]
mod tests;
