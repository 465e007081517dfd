//! Asking an issuer over HTTP: bounded in time and size, no redirects, no proxy that the environment names.

use std::{net::IpAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderValue, StatusCode,
    header::{self, InvalidHeaderValue},
};
use reqwest::{Certificate, redirect};
use url::{Host, Url};

use crate::{
    model::{SecretString, secret::ExposeSecret},
    pipeline::jwt::{KeySetFault, MAX_SET_BYTES},
};

/// From the first packet to the last byte.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(2);
/// Told to issuers.
const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// Why nothing usable came. Says nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchFault {
    /// No connection.
    #[error("no connection")]
    Unreachable,
    /// A connection that broke.
    #[error("the connection broke")]
    Broken,
    /// Not in time.
    #[error("no whole answer in 3 s")]
    Timeout,
    /// Another status than 200; redirects are not followed.
    #[error("answered with status {0}")]
    Status(u16),
    /// Longer than is read.
    #[error("the answer is longer than 256 KiB")]
    TooLong,
    /// Said to be something else than JSON.
    #[error("the answer is no JSON")]
    WrongType,
    /// Metadata that cannot be used.
    #[error("{0}")]
    Metadata(&'static str),
    /// A set that cannot be used.
    #[error("{0}")]
    Keys(#[from] KeySetFault),
}

impl FetchFault {
    /// Label for figures and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            FetchFault::Unreachable => "unreachable",
            FetchFault::Broken => "broken",
            FetchFault::Timeout => "timeout",
            FetchFault::Status(_) => "status",
            FetchFault::TooLong => "too_long",
            FetchFault::WrongType => "wrong_type",
            FetchFault::Metadata(_) => "metadata",
            FetchFault::Keys(fault) => fault.reason(),
        }
    }

    /// Whether it says that the issuer as a whole answers nobody now, whatever it was asked.
    pub(super) const fn is_about_all(self) -> bool {
        match self {
            FetchFault::Unreachable | FetchFault::Broken | FetchFault::Timeout => true,
            // We are not known there, have asked too often, or somebody before it does not reach it.
            FetchFault::Status(status) => matches!(status, 401 | 429 | 502 | 503 | 504),
            FetchFault::TooLong
            | FetchFault::WrongType
            | FetchFault::Metadata(_)
            | FetchFault::Keys(_) => false,
        }
    }
}

/// A whole answer.
pub(super) struct Fetched {
    pub(super) body: Vec<u8>,
    /// For how long it may be taken as fresh, where it says so (RFC 9111 section 5.2.2.1).
    pub(super) max_age: Option<Duration>,
}

/// Asks one issuer.
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new(authorities: Option<&str>) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(DEADLINE)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8);
        if let Some(pem) = authorities {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes())?);
        }
        builder.build().map(Self)
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Fetched, FetchFault> {
        self.send(self.0.get(url.clone())).await
    }

    /// Sends a form, as the client that `authorization` proves; without it the form itself does.
    pub(super) async fn post(
        &self,
        url: &Url,
        authorization: Option<&HeaderValue>,
        form: String,
    ) -> Result<Fetched, FetchFault> {
        let mut request = self
            .0
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(form)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Fetched, FetchFault> {
        let asked = request.header(header::ACCEPT, "application/json, */*;q=0.1").send();
        let mut reply = asked.await.map_err(kind)?;
        if reply.status() != StatusCode::OK {
            return Err(FetchFault::Status(reply.status().as_u16()));
        }
        if !is_json(reply.headers()) {
            return Err(FetchFault::WrongType);
        }
        let max_age = max_age(reply.headers());
        let most = u64::try_from(MAX_SET_BYTES).unwrap_or(u64::MAX);
        if reply.content_length().is_some_and(|length| length > most) {
            return Err(FetchFault::TooLong);
        }
        let mut body = Vec::new();
        while let Some(piece) = reply.chunk().await.map_err(kind)? {
            if body.len() + piece.len() > MAX_SET_BYTES {
                return Err(FetchFault::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Fetched { body, max_age })
    }
}

/// `client_secret_basic` (RFC 6749 section 2.3.1): both halves in the form of a form first.
pub(super) fn basic(
    client_id: &str,
    secret: &SecretString,
) -> Result<HeaderValue, InvalidHeaderValue> {
    let coded =
        |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = format!("{}:{}", coded(client_id), coded(secret.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether nobody on the way can change or read what is sent there.
pub fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4).is_loopback(),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6).is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        },
        _ => false,
    }
}

/// Pages are not read as keys, whatever stands in them. Servers of plain files say all kinds of harmless things.
fn is_json(headers: &http::HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.ends_with("json")
        || matches!(kind.as_str(), "" | "text/plain" | "application/octet-stream")
}

fn max_age(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get(header::CACHE_CONTROL)?.to_str().ok()?.to_ascii_lowercase();
    let mut words = text.split(',').map(str::trim);
    if words.clone().any(|word| matches!(word, "no-store" | "no-cache")) {
        return Some(Duration::ZERO);
    }
    let seconds = words.find_map(|word| word.strip_prefix("max-age="))?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}

fn kind(error: reqwest::Error) -> FetchFault {
    match error {
        slow if slow.is_timeout() => FetchFault::Timeout,
        none if none.is_connect() => FetchFault::Unreachable,
        _ => FetchFault::Broken,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn an_age_is_what_the_cache_control_says() {
        for (text, age) in [
            ("max-age=60", Some(60)),
            ("public, Max-Age=600, must-revalidate", Some(600)),
            ("no-store", Some(0)),
            ("max-age=60, no-cache", Some(0)),
            ("max-age=sixty", None),
            ("public", None),
        ] {
            let found = max_age(&headers(header::CACHE_CONTROL, text));
            assert_eq!(found, age.map(Duration::from_secs), "{text}");
        }
        assert_eq!(max_age(&HeaderMap::new()), None);
    }

    #[test]
    fn pages_are_no_keys() {
        for (kind, json) in [
            ("application/json", true),
            ("application/jwk-set+json; charset=utf-8", true),
            ("text/plain", true),
            ("text/html", false),
            ("text/html; x=json", false),
            ("image/png", false),
        ] {
            assert_eq!(is_json(&headers(header::CONTENT_TYPE, kind)), json, "{kind}");
        }
        assert!(is_json(&HeaderMap::new()));
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for (url, safe) in [
            ("https://a.example/jwks", true),
            ("http://127.0.0.1:9/jwks", true),
            ("http://[::1]:9/jwks", true),
            ("http://localhost:9/jwks", true),
            ("http://a.example/jwks", false),
            ("http://10.0.0.1/jwks", false),
            ("http://localhost.example/", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_safe(&Url::parse(url).unwrap()), safe, "{url}");
        }
    }

    #[test]
    fn a_client_proves_itself_as_forms_write_it() {
        let value = basic("a:b c", &"p+\u{e9}".into()).unwrap();
        let coded = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        assert_eq!(STANDARD.decode(coded).unwrap(), b"a%3Ab+c:p%2B%C3%A9");
        assert!(value.is_sensitive());
    }
}
