//! Keys that are fetched from the issuer: where from, how often, and how long they are kept.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use toml::Value as Toml;
use url::Url;

use crate::{
    config::{
        blueprint::{Context, process::absolute},
        document::Value,
        section::Section,
        shape::{Fault, Shape},
    },
    edge::tls::check_authorities,
    issuer::{Fetching, KeysAt, is_safe},
};

/// Behind the `iss` (OpenID Connect Discovery 1.0, section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
const REFRESH: Duration = Duration::from_secs(15 * 60);
const FLOOR: Duration = Duration::from_secs(5);
const KEEP: Duration = Duration::from_secs(24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn read(
    section: &mut Section<'_>,
    context: &Context<'_>,
    issuer: Option<&Arc<str>>,
    algorithms: &[Algorithm],
) -> Option<Fetching> {
    let set = section.maybe::<String>("jwks_url").and_then(|text| url(section, "jwks_url", &text));
    let metadata = metadata(section, issuer);
    let is_fetched = section.has("jwks_url") || metadata.is_some();
    if !is_fetched {
        // Asked for, so that they are known keys; what cannot be used is said.
        for key in ["origins", "ca", "refresh", "floor", "keep"] {
            section.raw(key);
            if section.has(key) {
                let why = "only keys that are fetched are fetched from somewhere, again, and kept";
                section.fault(key, Fault::new("no keys are fetched", why, "remove it"));
            }
        }
        return None;
    }
    let origins = origins(section);
    let authorities = authorities(section, context);
    let refresh = section.checked("refresh", REFRESH, |span| between(*span, SECOND, DAY));
    let floor =
        section.checked("floor", FLOOR, |span| between(*span, SECOND, Duration::from_secs(3600)));
    let keep = section.checked("keep", KEEP, |span| between(*span, SECOND, 30 * DAY));
    if keep < refresh {
        let why = "keys would be too old before they are fetched again";
        let fix = "write keep longer than refresh";
        section.fault("keep", Fault::new("keep is shorter than refresh", why, fix));
    }
    let at = match (set, metadata) {
        (Some(url), _) => KeysAt::Set(url),
        (None, Some(url)) => KeysAt::Metadata { url, origins },
        _ => return None,
    };
    let (issuer, algorithms) = (issuer?.clone(), algorithms.to_vec());
    Some(Fetching { issuer, at, algorithms, refresh, floor, keep, authorities })
}

/// Keys of a provider through which people log in, where its metadata says; `origins` and `ca` as for any issuer.
pub(super) fn of_login(
    section: &mut Section<'_>,
    context: &Context<'_>,
    issuer: Option<&Arc<str>>,
    algorithms: &[Algorithm],
) -> Option<Fetching> {
    let origins = origins(section);
    let authorities = authorities(section, context);
    let (issuer, algorithms) = (issuer?.clone(), algorithms.to_vec());
    let address = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
    let at = KeysAt::Metadata { url: url(section, "issuer", &address)?, origins };
    let (refresh, floor, keep) = (REFRESH, FLOOR, KEEP);
    Some(Fetching { issuer, at, algorithms, refresh, floor, keep, authorities })
}

/// `discovery`: `true`, or the address of the metadata where it is not the usual one.
fn metadata(section: &mut Section<'_>, issuer: Option<&Arc<str>>) -> Option<Url> {
    let text = match section.raw("discovery").map(|node| &node.value) {
        None | Some(Value::Bool(false)) => return None,
        Some(Value::Bool(true)) => {
            section.note("discovery", Toml::Boolean(true));
            format!("{}{WELL_KNOWN}", issuer?.trim_end_matches('/'))
        }
        Some(_) => section.maybe::<String>("discovery")?,
    };
    url(section, "discovery", &text)
}

pub(super) fn url(section: &Section<'_>, key: &'static str, text: &str) -> Option<Url> {
    let found = Url::parse(text)
        .ok()
        .filter(|url| is_safe(url) && url.username().is_empty() && url.password().is_none());
    if found.is_none() {
        let what = format!("\"{text}\" cannot be asked");
        let why = "whoever can change the answer on its way can say who calls";
        let fix = "write an https address without a user (http only on this machine)";
        section.fault(key, Fault::new(what, why, fix));
    }
    found
}

fn origins(section: &mut Section<'_>) -> Vec<String> {
    let written: Vec<String> = section.or("origins", Vec::new());
    let mut out = Vec::new();
    for text in written {
        match Url::parse(&text).ok().filter(|url| is_safe(url) && url.path() == "/") {
            Some(url) => out.push(url.origin().ascii_serialization()),
            None => {
                let what = format!("bad origin \"{text}\"");
                let why = "keys are fetched from there";
                let fix = "write \"https://keys.example.org\", without a path";
                section.fault("origins", Fault::new(what, why, fix));
            }
        }
    }
    out
}

pub(super) fn authorities(section: &mut Section<'_>, context: &Context<'_>) -> Option<Arc<str>> {
    let path = absolute(&context.base.join(section.maybe::<PathBuf>("ca")?));
    section.note("ca", path.write());
    let read = context.from.public(&path)?.map_err(|error| error.to_string());
    let checked = read.and_then(|pem| check_authorities(pem.as_bytes()).map(|()| pem));
    match checked {
        Ok(pem) => Some(pem.into()),
        Err(error) => {
            let what = format!("{}: {error}", path.display());
            let why = "the issuer's servers are proven with it";
            let fix = "write the certificates of those who sign, as PEM";
            section.fault("ca", Fault::new(what, why, fix));
            None
        }
    }
}

pub(super) fn between(span: Duration, least: Duration, most: Duration) -> Result<(), Fault> {
    if (least..=most).contains(&span) {
        return Ok(());
    }
    let why = format!("it must be between {} and {}", least.write(), most.write());
    Err(Fault::new("out of range", why, "write a duration in range"))
}
