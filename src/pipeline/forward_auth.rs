//! Forward-auth: the request that a proxy in front (nginx, Traefik, Caddy, Envoy) asks about, rebuilt from its question.
//!
//! Each style reads fields of its own and no others, so that what a client sends under the names of another style is only a
//! header of its request. Every fact must be told exactly once: a front that forgets to tell one would let clients tell it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::{
    CanonicalPath,
    deny::Malformed,
    mutate::{IdentityHeaders, is_stripped},
    view::check_target,
};

/// How a front asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `auth_request` of nginx: a GET with everything in fields. Understands 2xx, 401 and 403 only.
    Nginx,
    /// `forwardAuth` of Traefik: the same in `X-Forwarded-*`, beside some that Traefik writes on its own.
    Traefik,
    /// `forward_auth` of Caddy: the same without those.
    Caddy,
    /// `ext_authz` of Envoy over HTTP: method, path and host are the question's own.
    Envoy,
}

/// Which path a front forwards once it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwards {
    /// Its own bytes, whatever it is told: then only a path that stands in its canonical form can be judged.
    AsSent,
    /// What the answer names, and an upgrade only where the answer says so: the request that the gateway itself would send.
    AsTold,
}

/// Where a style finds each fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactNames {
    /// Method; `None`: the question's own.
    pub method: Option<HeaderName>,
    /// Path and query; `None`: the question's own.
    pub uri: Option<HeaderName>,
    /// Host, as the client named it.
    pub host: HeaderName,
    /// `http` or `https`.
    pub proto: HeaderName,
    /// Address of the client, read as a proxy's `X-Forwarded-For`.
    pub client: HeaderName,
    /// `Connection`, as the client sent it; the one fact that may be absent.
    pub connection: HeaderName,
}

impl Style {
    /// Its usual names.
    pub fn names(self) -> FactNames {
        let name = HeaderName::from_static;
        match self {
            Style::Nginx => FactNames {
                method: Some(name("x-original-method")),
                uri: Some(name("x-original-uri")),
                host: name("x-original-host"),
                proto: name("x-original-proto"),
                client: name("x-original-for"),
                connection: name("x-original-connection"),
            },
            Style::Traefik | Style::Caddy => FactNames {
                method: Some(name("x-forwarded-method")),
                uri: Some(name("x-forwarded-uri")),
                host: name("x-forwarded-host"),
                proto: name("x-forwarded-proto"),
                client: name("x-forwarded-for"),
                connection: name("x-forwarded-connection"),
            },
            Style::Envoy => FactNames {
                method: None,
                uri: None,
                host: header::HOST,
                proto: name("x-forwarded-proto"),
                client: name("x-forwarded-for"),
                connection: name("x-forwarded-connection"),
            },
        }
    }

    /// Whether the answer can have fields of the client's request removed. Where it cannot, none may be there that the
    /// gateway would strip: the front would pass it on.
    pub fn removes_fields(self) -> bool {
        self == Style::Envoy
    }

    /// Whether a field that a client told twice may come as one, with a comma between. Nobody could see any more that there
    /// were two.
    fn joins_fields(self) -> bool {
        self == Style::Envoy
    }

    /// Fields that the front writes on its own, beside the facts. They tell nothing here.
    fn writes(self, name: &HeaderName) -> bool {
        self == Style::Traefik
            && matches!(name.as_str(), "x-real-ip" | "x-forwarded-port" | "x-forwarded-server")
    }
}

/// The request that is asked about.
#[derive(Clone, Debug)]
pub struct Original {
    /// Its method.
    pub method: Method,
    /// Its target, as the front tells it.
    pub target: Vec<u8>,
    /// Its fields, `Host` among them, without those that frame a message: whether it has a body is not known.
    pub headers: HeaderMap,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Who asked the front, and whom that one asked for: the nearest hop is the last one. `None`: what is no address.
    pub hops: Vec<Option<IpAddr>>,
}

impl Original {
    /// Rebuilds it. `method`, `target` and `headers` are the question's own; `identity` are the names that tell upstreams
    /// who asks.
    pub fn of(
        (style, forwards): (Style, Forwards),
        names: &FactNames,
        identity: &IdentityHeaders,
        (method, target, headers): (&Method, &[u8], &HeaderMap),
    ) -> Result<Self, Malformed> {
        let method = match &names.method {
            None => method.clone(),
            Some(name) => Method::from_bytes(told(headers, name)?.as_bytes())
                .map_err(|_| Malformed::Question)?,
        };
        let target = match &names.uri {
            None => target,
            Some(name) => told(headers, name)?.as_bytes(),
        };
        check_form(target)?;
        if forwards == Forwards::AsSent {
            check_spelling(target)?;
        }
        let host = told(headers, &names.host)?.clone();
        let scheme = match told(headers, &names.proto)?.as_bytes() {
            b"https" => "https",
            b"http" => "http",
            _ => return Err(Malformed::Question),
        };
        if style.joins_fields() && SINGLE.iter().any(|name| may_be_two(headers.get(name))) {
            return Err(Malformed::Header);
        }
        let hops = hops(told(headers, &names.client)?);
        let mut own = HeaderMap::with_capacity(headers.keys_len());
        for (name, value) in headers {
            if names.tell(name) || is_of_the_message(name) || style.writes(name) {
                continue;
            }
            if !style.removes_fields() && is_stripped(name, identity) {
                return Err(Malformed::Reserved);
            }
            own.append(name, value.clone());
        }
        for value in headers.get_all(&names.connection) {
            own.append(header::CONNECTION, value.clone());
        }
        own.insert(header::HOST, host);
        Ok(Self { method, target: target.to_owned(), headers: own, scheme, hops })
    }

    /// Its head in HTTP/1.1, to be judged as one that came from a client.
    pub fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        for piece in [self.method.as_str().as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"] {
            out.extend_from_slice(piece);
        }
        for (name, value) in &self.headers {
            for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

impl FactNames {
    fn tell(&self, name: &HeaderName) -> bool {
        let own = [&self.host, &self.proto, &self.client, &self.connection];
        own.contains(&name) || self.method.as_ref() == Some(name) || self.uri.as_ref() == Some(name)
    }
}

/// The value of a field that stands exactly once.
fn told<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h HeaderValue, Malformed> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(only), None) if !only.is_empty() => Ok(only),
        _ => Err(Malformed::Question),
    }
}

/// Fields that stand once, in whose values a comma has no place.
const SINGLE: [HeaderName; 3] =
    [header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("x-api-key")];

/// Whether a value may be two that were joined: it has a comma outside of quotes.
fn may_be_two(value: Option<&HeaderValue>) -> bool {
    let mut quoted = false;
    value.into_iter().flat_map(HeaderValue::as_bytes).any(|byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    })
}

/// A front forwards requests for a path, however they name it; nothing else is its to ask about.
fn check_form(target: &[u8]) -> Result<(), Malformed> {
    check_target(target)?;
    let names_path = [&b"/"[..], b"http://", b"https://"].iter().any(|way| target.starts_with(way));
    if names_path { Ok(()) } else { Err(Malformed::Target) }
}

/// Whether the path is already what it is judged as. A front that forwards its own bytes, not ours, would have any other
/// spelling judged as one path and served as another.
fn check_spelling(target: &[u8]) -> Result<(), Malformed> {
    if !target.starts_with(b"/") {
        return Err(Malformed::Target);
    }
    let uri = Uri::try_from(target).map_err(|_| Malformed::Target)?;
    let canonical = CanonicalPath::parse(uri.path())?;
    let same = uri.path_and_query().is_some_and(|own| own.as_str().as_bytes() == target);
    if !same || canonical.as_str() != uri.path() {
        return Err(Malformed::PathSpelling);
    }
    Ok(())
}

/// Fields of the question's own message and connection. `Upgrade` stays: a front that tells it would let it through.
fn is_of_the_message(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 8] = [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        HeaderName::from_static("keep-alive"),
    ];
    NAMES.contains(name) || name.as_str() == "proxy-connection"
}

fn hops(chain: &HeaderValue) -> Vec<Option<IpAddr>> {
    let hop = |hop: &[u8]| {
        let text = std::str::from_utf8(hop).ok()?.trim();
        text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    };
    chain.as_bytes().split(|byte| *byte == b',').map(hop).collect()
}

#[cfg(test)]
mod tests;
