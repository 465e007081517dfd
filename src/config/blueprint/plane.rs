//! `[fleet] plane` and `[link]`: what of a gateway runs in this process, and how its halves speak with each other where they
//! are apart.
//!
//! One file may be for all nodes of a fleet: then the plane is said on the command line, and what is the other plane's
//! business is read and not used. A file that says itself for which plane it is must not hold what that plane never reads.

use std::{net::SocketAddr, time::Duration};

use toml::Value as Toml;

use super::{Context, process::in_range, tls};
use crate::{
    config::{
        document::{Node, Table, Value},
        problem::Place,
        section::Section,
        shape::{Fault, Shape},
    },
    edge::tls::is_server_name,
    identity::STALE_FOR,
    link::{Address, Files, Settings},
    model::Plane,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Kinds of names that a certificate may be known by.
const KINDS: [&str; 5] = ["DNS:", "CN:", "URI:", "email:", "SHA256:"];

/// Which plane the file and the command line name, before anything else is read: what is a secret of the other one is left
/// alone. What is none is told when the key is read.
pub(super) fn scan(root: &Table) -> Plane {
    let Some(Value::Table(fleet)) = root.get("fleet").map(|entry| &entry.node.value) else {
        return Plane::default();
    };
    match fleet.get("plane").map(|entry| &entry.node.value) {
        Some(Value::Text(word)) => Plane::parse(word).unwrap_or_default(),
        _ => Plane::default(),
    }
}

/// Reads `plane` of `[fleet]`; gives where it is written, if anywhere.
pub(super) fn of_fleet(fleet: &mut Section<'_>) -> Option<Place> {
    let written = fleet.has("plane").then(|| fleet.place_of("plane"));
    let word = fleet.or("plane", Plane::default().as_str().to_owned());
    if Plane::parse(&word).is_none() {
        let place = fleet.place_of("plane");
        let words = Plane::ALL.map(Plane::as_str);
        fleet.problems.unknown(&place, fleet.key("plane"), "plane", &word, words, "remove the key");
    }
    written
}

/// Reads `[link]`, and holds the planes against what is written for them.
pub(super) fn read(
    top: &mut Section<'_>,
    context: &Context<'_>,
    written: Option<&Place>,
) -> Option<Settings> {
    refuse_other_planes_business(top, context.plane, written);
    let settings = if top.has("link") {
        link(top, context, written)
    } else {
        if context.plane != Plane::All {
            let (key, example) = needed(context.plane);
            top.missing("link", &format!("{{ {key} = {example}, cert = …, key = …, ca = … }}"));
        }
        None
    };
    if context.plane == Plane::Identity && !top.has("store") {
        let why =
            "edge nodes hear of changes through the database, and other identity nodes share it";
        let fix = "add [store] url = \"postgres://…\", or run plane = \"all\" on this one node";
        top.fault("fleet", Fault::new("an identity node without a database", why, fix));
    }
    settings
}

/// The key that a plane cannot do without.
fn needed(plane: Plane) -> (&'static str, &'static str) {
    match plane {
        Plane::Edge => ("identity", "[\"identity-1.internal:9902\"]"),
        Plane::All | Plane::Identity => ("listen", "\"0.0.0.0:9902\""),
    }
}

/// Whether two keys were written at the same place: both in the file, or both on the command line.
fn beside(one: &Place, other: &Place) -> bool {
    matches!(
        (one, other),
        (Place::File { .. }, Place::File { .. }) | (Place::Set(_), Place::Set(_))
    )
}

fn refuse_other_planes_business(top: &mut Section<'_>, plane: Plane, written: Option<&Place>) {
    let Some(place) = written.filter(|_| plane == Plane::Edge) else { return };
    if top.has("store") && beside(place, &top.place_of("store")) {
        let why =
            "an edge node asks identity nodes, and must not have the password of the database";
        let fix =
            "remove [store]; in a file for all planes leave plane out, and start with --plane edge";
        top.fault("store", Fault::new("a database on an edge node", why, fix));
    }
    let mut secrets = top.inner("secrets");
    let named = secrets
        .raw("master_keys")
        .is_some_and(|node| !matches!(&node.value, Value::List(keys) if keys.is_empty()));
    if named && beside(place, &secrets.place_of("master_keys")) {
        let why = "an edge node signs nothing and stores nothing: the keys are no business of it";
        let fix = "remove master_keys; in a file for all planes leave plane out, and start with --plane edge";
        secrets.fault("master_keys", Fault::new("master keys on an edge node", why, fix));
    }
}

fn link(top: &mut Section<'_>, context: &Context<'_>, written: Option<&Place>) -> Option<Settings> {
    let mut section = top.inner("link");
    let listen = section.maybe::<SocketAddr>("listen");
    let nodes = section.or("identity", Vec::<Address>::new());
    let files = tls::Files::new(context);
    let pair = tls::pair(&mut section, files);
    let ca = tls::authorities(&mut section, "ca", files);
    if !section.has("ca") {
        section.missing("ca", "\"FILE\", the certificates of those who sign for the nodes");
    }
    let names = section.checked("names", Vec::<String>::new(), |names| {
        let known = |name: &String| KINDS.iter().any(|kind| name.starts_with(kind));
        match names.iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let why = "it says which name of a certificate is meant";
                let fix = "write \"DNS:edge-1.internal\"; CN:, URI:, email: and SHA256: are known as well";
                Err(Fault::new(format!("{name:?} has no kind"), why, fix))
            }
        }
    });
    let server_name = section.maybe::<String>("server_name");
    if let Some(name) = server_name.as_ref().filter(|name| !is_server_name(name)) {
        let fix = "write the name that the certificates of all identity nodes have";
        let what = format!("bad server name \"{name}\"");
        section.fault("server_name", Fault::new(what, "it is no name of a server", fix));
    }
    let why = "requests wait for it";
    let timeout = span(&mut section, "timeout", 800, (50, 10_000), why);
    let wait = span(&mut section, "wait", 30_000, (0, 3_600_000), "the start waits for it");
    let at_once = section.checked("max_requests", 256, |count| in_range(*count, 8, 4096));
    let stale_for = section.checked("stale_for", STALE_FOR, |span| {
        if (Duration::from_secs(1)..=DAY).contains(span) {
            return Ok(());
        }
        let why = "an edge node that is cut off takes for so long what was ended elsewhere";
        Err(Fault::new("out of range", why, "write 1s to 24h"))
    });
    match context.plane {
        Plane::Edge if nodes.is_empty() => {
            section.missing("identity", "[\"identity-1.internal:9902\"]");
        }
        Plane::Identity if listen.is_none() => section.missing("listen", "\"0.0.0.0:9902\""),
        _ => {}
    }
    let others = match context.plane {
        Plane::Edge if listen.is_some() => {
            Some(("listen", "nobody asks an edge node over the link"))
        }
        Plane::Identity if !nodes.is_empty() => Some(("identity", "identity nodes ask no others")),
        _ => None,
    };
    if let (Some(place), Some((key, why))) = (written, others)
        && beside(place, &section.place_of(key))
    {
        let what = format!("{key} in a file for plane = \"{}\"", context.plane.as_str());
        let fix = format!(
            "remove {key}; in a file for all planes leave plane out, and start with --plane"
        );
        section.fault(key, Fault::new(what, why, fix));
    }
    let mut record = section.finish();
    // What is not this plane's business is not in force.
    match context.plane {
        Plane::Edge => record.remove("listen"),
        Plane::Identity => record.remove("identity"),
        Plane::All => None,
    };
    top.note("link", Toml::Table(record));
    let pair = pair?;
    let files = Files { certificate: pair.certificate, key: pair.key, authorities: ca? };
    Some(Settings { listen, nodes, files, names, server_name, timeout, wait, stale_for, at_once })
}

fn span(
    section: &mut Section<'_>,
    key: &'static str,
    default: u64,
    (from, to): (u64, u64),
    why: &str,
) -> Duration {
    section.checked(key, Duration::from_millis(default), |span| {
        if (u128::from(from)..=u128::from(to)).contains(&span.as_millis()) {
            return Ok(());
        }
        Err(Fault::new("out of range", why, format!("write {from}ms to {to}ms")))
    })
}

impl Shape for Address {
    const EXPECTED: &'static str = "an address such as \"identity-1.internal:9902\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        let Value::Text(text) = &node.value else {
            let what = format!("expected an address, found {}", node.value.kind());
            return Err(Fault::new(what, "the value has the wrong type", Self::EXPECTED));
        };
        let bad = |why: &str| {
            let fix = format!("write {}", Self::EXPECTED);
            Fault::new(format!("bad address \"{text}\""), why, fix)
        };
        let why = "a host and a port, and nothing else";
        let found: http::uri::Authority = text.parse().map_err(|_| bad(why))?;
        let host = found.host().trim_matches(['[', ']']).to_owned();
        if found.as_str().contains('@') || host.is_empty() {
            return Err(bad(why));
        }
        let port = found.port_u16().filter(|port| *port != 0);
        let port = port.ok_or_else(|| bad("the port is missing: there is no usual one"))?;
        Ok(Self { host, port })
    }

    fn write(&self) -> Toml {
        Toml::String(self.to_string())
    }
}
