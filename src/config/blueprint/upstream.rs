//! `[[upstream]]`: backends behind one name.

use std::{path::PathBuf, time::Duration};

use toml::Value as Toml;

use super::{Context, each, tls};
use crate::{
    config::{
        document::{Node, Value},
        section::Section,
        shape::{Fault, Shape},
    },
    edge::{
        UpstreamSettings,
        settings::{Backend, DEFAULT_MAX_REQUESTS, Ejection, HealthCheck, HostHeader},
        tls::is_server_name,
    },
};

pub(super) fn read(top: &mut Section<'_>, context: &Context<'_>) -> Vec<UpstreamSettings> {
    let found = each(top, "upstream", |name, section| {
        let backends = section.need::<Vec<Backend>>("backends");
        if backends.as_ref().is_some_and(Vec::is_empty) {
            let why = "an upstream without backends can serve nothing";
            let fix = "write backends = [\"http://127.0.0.1:9000\"]";
            section.fault("backends", Fault::new("an empty list", why, fix));
        }
        let health = health(section);
        let ejection = ejection(section);
        let retries = section.or("retries", 1_usize);
        let max_requests =
            section.checked("max_requests", DEFAULT_MAX_REQUESTS, |most: &usize| match most {
                0 => Err(Fault::new("0 requests", "it could serve nothing", "write 1 or more")),
                _ => Ok(()),
            });
        let host = match section.or("host", "preserve".to_owned()) {
            text if text == "preserve" => HostHeader::Preserve,
            text => HostHeader::Fixed(text),
        };
        if let HostHeader::Fixed(text) = &host
            && !is_host(text)
        {
            let what = format!("bad host \"{text}\"");
            let fix = "write \"preserve\", or a host such as \"api.example.org\"";
            section.fault("host", Fault::new(what, "it is no host name", fix));
        }
        let http2 = http2(section);
        let tls = tls::of_upstream(section, context);
        let backends = backends?;
        if http2 && backends.iter().any(|backend| matches!(backend, Backend::Unix(_))) {
            let why = "HTTP/2 is spoken over TCP only";
            let fix = "write http:// or https://, or protocol = \"http1\"";
            section.fault("protocol", Fault::new("h2 with a Unix socket", why, fix));
        }
        for backend in &backends {
            let Backend::Http { host, tls: true, .. } = backend else { continue };
            if tls.server_name.is_none() && !is_server_name(host) {
                let what = format!("no name to verify for \"{host}\"");
                let why = "a certificate is only good for a name";
                section
                    .fault("backends", Fault::new(what, why, "add tls = { server_name = \"…\" }"));
            }
        }
        let name = name.into();
        Some(UpstreamSettings {
            name,
            backends,
            health,
            ejection,
            retries,
            host,
            max_requests,
            http2,
            tls,
        })
    });
    found.into_iter().map(|upstream| upstream.is).collect()
}

/// `protocol`.
fn http2(section: &mut Section<'_>) -> bool {
    let word = section.or("protocol", "http1".to_owned());
    if word != "http1" && word != "h2" {
        let (place, key) = (section.place_of("protocol"), section.key("protocol"));
        let known = ["http1", "h2"];
        section.problems.unknown(&place, key, "protocol", &word, known, "remove the key");
    }
    word == "h2"
}

fn health(section: &mut Section<'_>) -> Option<HealthCheck> {
    let mut inner = section.inner_or_off("health", false)?;
    let path = inner.checked("path", "/health".to_owned(), |path: &String| {
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
        if path.starts_with('/') && plain {
            return Ok(());
        }
        let what = format!("bad path \"{path}\"");
        Err(Fault::new(what, "it is asked for as it stands", "begin it with /"))
    });
    let second = |span: &Duration| {
        if *span >= Duration::from_millis(100) {
            return Ok(());
        }
        Err(Fault::new(
            "too short",
            "checks would be a load of their own",
            "write \"100ms\" or more",
        ))
    };
    let check = HealthCheck {
        path,
        interval: inner.checked("interval", Duration::from_secs(5), second),
        timeout: inner.checked("timeout", Duration::from_secs(2), second),
        unhealthy_after: inner.or("unhealthy_after", 2),
        healthy_after: inner.or("healthy_after", 1),
    };
    section.note("health", Toml::Table(inner.finish()));
    Some(check)
}

fn ejection(section: &mut Section<'_>) -> Ejection {
    let default = Ejection::default();
    let Some(mut inner) = section.inner_or_off("ejection", true) else {
        return Ejection { failures: 0, ..default };
    };
    let ejection = Ejection {
        failures: inner.or("failures", default.failures),
        duration: inner.or("duration", default.duration),
    };
    section.note("ejection", Toml::Table(inner.finish()));
    ejection
}

impl Shape for Backend {
    const EXPECTED: &'static str = "a backend such as \"http://127.0.0.1:9000\", \"https://api.internal\" or \"unix:/run/app.sock\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        let Value::Text(text) = &node.value else {
            let what = format!("expected a backend, found {}", node.value.kind());
            return Err(Fault::new(what, "the value has the wrong type", Self::EXPECTED));
        };
        let bad = |why: &str| {
            let fix = format!("write {}", Self::EXPECTED);
            Fault::new(format!("bad backend \"{text}\""), why, fix)
        };
        if let Some(path) = text.strip_prefix("unix:") {
            if path.starts_with('/') && path.len() < 108 {
                return Ok(Backend::Unix(PathBuf::from(path)));
            }
            return Err(bad("a socket is an absolute path of at most 107 bytes"));
        }
        let (tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(bad("a backend begins with http://, https:// or unix:")),
        };
        let authority: http::uri::Authority = rest
            .strip_suffix('/')
            .unwrap_or(rest)
            .parse()
            .map_err(|_| bad("behind the scheme stand a host and a port, and no path"))?;
        if authority.as_str().contains('@') {
            return Err(bad("credentials do not belong into the address"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(bad("the host is missing"));
        }
        let port = match authority.port() {
            Some(_) => authority.port_u16().filter(|port| *port != 0),
            None => Some(if tls { 443 } else { 80 }),
        };
        let port = port.ok_or_else(|| bad("the port must be between 1 and 65535"))?;
        Ok(Backend::Http { host, port, tls })
    }

    fn write(&self) -> Toml {
        Toml::String(match self {
            Backend::Http { host, port, tls } => {
                let scheme = if *tls { "https" } else { "http" };
                if host.contains(':') {
                    format!("{scheme}://[{host}]:{port}")
                } else {
                    format!("{scheme}://{host}:{port}")
                }
            }
            Backend::Unix(path) => format!("unix:{}", path.display()),
        })
    }
}

/// A host name or address, perhaps with a port.
fn is_host(text: &str) -> bool {
    text.parse::<http::uri::Authority>().is_ok() && !text.contains('@')
}
