//! `[[listener]]` and `[[limit]]`: the two lists without references.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use toml::{Table as Record, Value as Toml};

use super::{Context, Process, each, names::LISTENER, tls};
use crate::{
    config::{
        section::Section,
        shape::{Fault, Shape},
    },
    edge::{ListenerSettings, ProxyProtocol},
    pipeline::{
        Limit, Per, Window,
        quota::{Across, Mode, OnError},
    },
};

pub(super) fn read(
    top: &mut Section<'_>,
    context: &Context<'_>,
    process: &Process,
) -> Vec<ListenerSettings> {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
    if !top.has("listener") {
        let record = Record::from_iter([
            ("name".to_owned(), Toml::String(LISTENER.into())),
            ("address".to_owned(), default.write()),
            ("proxy_protocol".to_owned(), Toml::String("off".into())),
            ("http2".to_owned(), Toml::Boolean(false)),
            ("tls".to_owned(), Toml::Boolean(false)),
        ]);
        // Asked for, so that it is a known key; the implied one is what is in force.
        top.list("listener", "name");
        top.note("listener", Toml::Array(vec![Toml::Table(record)]));
        let (name, proxy_protocol) = (LISTENER.into(), ProxyProtocol::Off);
        return vec![ListenerSettings {
            name,
            address: default,
            proxy_protocol,
            tls: None,
            http2: false,
        }];
    }
    let only = context.names.only("listener").is_some();
    let mut taken: Vec<(SocketAddr, String)> = Vec::new();
    let found = each(top, "listener", |name, section| {
        let address = if only {
            section.or("address", default)
        } else {
            section.need::<SocketAddr>("address")?
        };
        if let Some((_, other)) = taken.iter().find(|(known, _)| *known == address) {
            let what = format!("address {address} is taken");
            let why = format!("listener \"{other}\" has it; two sockets cannot share one");
            section.fault("address", Fault::new(what, why, "choose another port"));
        }
        if address.port() == 0 {
            let why = "clients could not know the port the system chooses";
            section.fault("address", Fault::new("port 0", why, "write a port from 1 to 65535"));
        }
        taken.push((address, name.to_owned()));
        let proxy_protocol = proxy_protocol(section, process);
        let tls = tls::of_listener(section, context);
        // Without TLS nothing is agreed on: only clients that know ahead would use it.
        let http2 = section.or("http2", tls.is_some());
        Some(ListenerSettings { name: name.into(), address, proxy_protocol, tls, http2 })
    });
    found.into_iter().map(|listener| listener.is).collect()
}

fn proxy_protocol(section: &mut Section<'_>, process: &Process) -> ProxyProtocol {
    const KEY: &str = "proxy_protocol";
    match section.or(KEY, "off".to_owned()).as_str() {
        "off" => ProxyProtocol::Off,
        "required" => {
            if process.trusted_proxies.is_empty() {
                let why = "only a listed proxy may send the header, so nobody could connect";
                let fix = "write [trust] proxies = [...] with the addresses of your proxies";
                section.fault(KEY, Fault::new("no proxy is listed", why, fix));
            }
            ProxyProtocol::Required
        }
        other => {
            let what = format!("bad proxy_protocol \"{other}\"");
            let why = "a header that may be left out could be left out by anybody";
            section.fault(KEY, Fault::new(what, why, "write \"off\" or \"required\""));
            ProxyProtocol::Off
        }
    }
}

/// The limits of the file, and those that the contracts in use bring along. One of the same name replaces what it says.
pub(super) fn read_limits(top: &mut Section<'_>, context: &Context<'_>) -> Vec<Limit> {
    let brought: Vec<Limit> =
        context.names.dialects().iter().flat_map(|found| found.dialect.defaults().limits).collect();
    let shared = top.has("redis");
    let mut records = Vec::new();
    let mut limits: Vec<Limit> = each(top, "limit", |name, section| {
        let known = brought.iter().find(|limit| &*limit.name == name);
        let limit = one(name, section, known, shared);
        limit.inspect(|limit| records.push(record(limit, shared)))
    })
    .into_iter()
    .map(|limit| limit.is)
    .collect();
    for limit in brought {
        if limits.iter().all(|known| known.name != limit.name) {
            records.push(record(&limit, shared));
            limits.push(limit);
        }
    }
    top.note("limit", Toml::Array(records));
    limits
}

fn one(
    name: &str,
    section: &mut Section<'_>,
    known: Option<&Limit>,
    shared: bool,
) -> Option<Limit> {
    let per = match known {
        Some(known) => Some(section.or("per", known.per.clone())),
        None => section.need::<Vec<Per>>("per"),
    };
    let windows = match known {
        Some(known) => Some(section.or("windows", known.windows.clone())),
        None => section.need::<Vec<Window>>("windows"),
    };
    if per.as_ref().is_some_and(Vec::is_empty) {
        let why = "a limit must say whom it counts";
        let fix = "write per = [\"client\"], [\"key\"], [\"user\"], …";
        section.fault("per", Fault::new("an empty list", why, fix));
    }
    if windows.as_ref().is_some_and(Vec::is_empty) {
        let fix = "write windows = [\"100/min\"], or limits = [] on the routes";
        section.fault("windows", Fault::new("an empty list", "a limit must allow something", fix));
    }
    let shadow = mode(section);
    let across = across(section, shared);
    Some(Limit { name: Arc::from(name), per: per?, windows: windows?, shadow, across })
}

const MODES: [(&str, Mode); 3] =
    [("local", Mode::Local), ("leased", Mode::Leased), ("exact", Mode::Exact)];
const RULES: [(&str, OnError); 3] =
    [("local", OnError::Local), ("closed", OnError::Closed), ("open", OnError::Open)];

/// What a limit is without a word about it.
const fn usual(shared: bool) -> Mode {
    if shared { Mode::Leased } else { Mode::Local }
}

fn across(section: &mut Section<'_>, shared: bool) -> Across {
    let mode = word_of(section, "across", MODES, usual(shared));
    if !shared && mode != Mode::Local {
        let why = "nodes count together in a Redis";
        let fix = "write [redis], or across = \"local\"";
        section.fault("across", Fault::new("there is no [redis]", why, fix));
    }
    let on_error = word_of(section, "on_error", RULES, OnError::default());
    Across { mode: Some(mode), on_error }
}

/// One of a few words, told with the others where it is none of them.
fn word_of<T: Copy + PartialEq>(
    section: &mut Section<'_>,
    key: &'static str,
    words: [(&'static str, T); 3],
    usual: T,
) -> T {
    let usual_word = text_of(words, usual);
    let written = section.or(key, usual_word.to_owned());
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == written) {
        return *found;
    }
    let (place, full) = (section.place_of(key), section.key(key));
    let known = words.map(|(word, _)| word);
    section.problems.unknown(&place, full, key, &written, known, "name one of these");
    usual
}

fn text_of<T: Copy + PartialEq>(words: [(&'static str, T); 3], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// Whether something is only counted.
pub(super) fn mode(section: &mut Section<'_>) -> bool {
    let written = section.or("mode", word(false).to_owned());
    let known = [word(false), word(true)];
    if !known.contains(&written.as_str()) {
        let (place, key) = (section.place_of("mode"), section.key("mode"));
        section.problems.unknown(&place, key, "mode", &written, known, "remove the key");
    }
    written == word(true)
}

const fn word(shadow: bool) -> &'static str {
    if shadow { "shadow" } else { "enforce" }
}

fn record(limit: &Limit, shared: bool) -> Toml {
    let mode = text_of(MODES, limit.across.mode.unwrap_or(usual(shared)));
    let rule = text_of(RULES, limit.across.on_error);
    Toml::Table(Record::from_iter([
        ("name".to_owned(), Toml::String(limit.name.to_string())),
        ("per".to_owned(), limit.per.write()),
        ("windows".to_owned(), limit.windows.write()),
        ("mode".to_owned(), Toml::String(word(limit.shadow).to_owned())),
        ("across".to_owned(), Toml::String(mode.to_owned())),
        ("on_error".to_owned(), Toml::String(rule.to_owned())),
    ]))
}
