//! `at` of a mount: listeners, hosts and prefixes; also what plain routes say about theirs.

use std::{net::Ipv6Addr, sync::Arc};

use toml::{Table as Record, Value as Toml};

use crate::{
    config::{
        blueprint::Context,
        section::Section,
        shape::{Fault, Shape},
    },
    pipeline::route::Place,
};

pub(super) fn read(section: &mut Section<'_>, context: &Context<'_>) -> Vec<Place> {
    let only = context.names.only("listener").map(str::to_owned);
    let mut places = Vec::new();
    let mut records = Vec::new();
    if !section.has("at") {
        section.raw("at");
        let Some(listener) = only else {
            section.missing("at", "[{ listener = \"…\" }], since there are several listeners");
            return places;
        };
        records.push(place_record(&listener, &[], &["/".to_owned()]));
        places.push(Place { listener: listener.into(), hosts: Vec::new(), prefix: "".into() });
        section.note("at", Toml::Array(records));
        return places;
    }
    for mut at in section.list("at", "listener") {
        let listener = listener(&mut at, context);
        let hosts = hosts(&mut at);
        let prefixes = prefixes(&mut at);
        at.finish();
        let Some(listener) = listener else { continue };
        records.push(place_record(&listener, &hosts, &prefixes));
        for prefix in prefixes {
            let prefix = prefix.trim_end_matches('/').into();
            places.push(Place { listener: listener.as_str().into(), hosts: hosts.clone(), prefix });
        }
    }
    section.note("at", Toml::Array(records));
    places
}

fn place_record(listener: &str, hosts: &[Arc<str>], prefixes: &[String]) -> Toml {
    Toml::Table(Record::from_iter([
        ("listener".to_owned(), Toml::String(listener.to_owned())),
        ("hosts".to_owned(), hosts.to_vec().write()),
        ("prefixes".to_owned(), prefixes.to_vec().write()),
    ]))
}

/// Reads `listener`, which may be left out when there is only one.
pub(in crate::config::blueprint) fn listener(
    section: &mut Section<'_>,
    context: &Context<'_>,
) -> Option<String> {
    let name = match context.names.only("listener") {
        Some(only) => section.or("listener", only.to_owned()),
        None => section.need::<String>("listener")?,
    };
    if context.names.has("listener", &name) {
        return Some(name);
    }
    section.problems.unknown(
        &section.place_of("listener"),
        section.key("listener"),
        "listener",
        &name,
        context.names.of("listener"),
        "add a [[listener]] of this name",
    );
    None
}

/// Reads `hosts`: exact names, without port; in the form in which requests are compared: lower case, IPv6 in brackets.
pub(in crate::config::blueprint) fn hosts(section: &mut Section<'_>) -> Vec<Arc<str>> {
    let hosts: Vec<String> = section.or("hosts", Vec::new());
    for host in &hosts {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if as_ipv6(host).is_none() && (host.is_empty() || !host.chars().all(name)) {
            let what = format!("bad host \"{host}\"");
            let why = "hosts are compared exactly, without port; there are no wildcards";
            let fix = "write a name such as \"api.example.org\", or leave hosts out for any";
            section.fault("hosts", Fault::new(what, why, fix));
        }
    }
    let hosts: Vec<Arc<str>> = hosts
        .iter()
        .map(|host| match as_ipv6(host) {
            Some(address) => format!("[{address}]").into(),
            None => host.to_ascii_lowercase().trim_end_matches('.').into(),
        })
        .collect();
    section.note("hosts", hosts.clone().write());
    hosts
}

/// An IPv6 address, with the brackets that it has in a URL or without.
fn as_ipv6(host: &str) -> Option<Ipv6Addr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn prefixes(at: &mut Section<'_>) -> Vec<String> {
    let prefixes: Vec<String> = at.or("prefixes", vec!["/".to_owned()]);
    if prefixes.is_empty() {
        let why = "the mount would be reachable nowhere";
        at.fault("prefixes", Fault::new("an empty list", why, "write [\"/\"], or leave it out"));
    }
    for prefix in &prefixes {
        if let Some(why) = odd_path(prefix) {
            let what = format!("bad path \"{prefix}\"");
            at.fault("prefixes", Fault::new(what, why, "write a prefix such as \"/v2\", or \"/\""));
        }
    }
    prefixes
}

/// Why a written path is not in the canonical form, if so.
pub(in crate::config::blueprint) fn odd_path(path: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\%;".contains(&byte);
    if !path.starts_with('/') {
        return Some("a path begins with /");
    }
    if !path.bytes().all(plain) {
        return Some("it has blanks, escapes or one of ? # \\ % ;");
    }
    if path.contains("//") || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Some("it has an empty or a dot segment, which no request has");
    }
    None
}
