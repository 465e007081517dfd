//! `[store]` and `[fleet]`: a database on a PostgreSQL server in place of the file, and this node's name among others.

use std::{net::IpAddr, path::Path, time::Duration};

use toml::Value as Toml;
use url::Url;

use super::{Context, plane, process};
use crate::{
    config::{problem::Place, section::Section, shape::Fault},
    identity::STALE_FOR,
    model::Plane,
    store::Postgres,
};

/// Parameters of the connection that may stand in the address.
const PARAMETERS: [&str; 8] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "user", "dbname"];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longest name of a node.
const NAME: usize = 63;
const EXAMPLE: &str = "\"postgres://portcullis@db.internal/portcullis\"";

/// A database, and how it is used.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where it is.
    pub at: Postgres,
    /// Connections for reading.
    pub connections: u32,
    /// Longest that a call may take.
    pub call_timeout: Duration,
    /// How long the start waits for it.
    pub wait: Duration,
    /// How old what is held in memory may grow while it cannot be asked.
    pub stale_for: Duration,
}

impl StoreConfig {
    /// What the connections may do without a proof of the server, where others could be in between.
    pub fn weak_encryption(&self) -> Option<String> {
        let mode = self.at.url.query_pairs().find(|(key, _)| key == "sslmode")?.1.into_owned();
        (!self.at.is_local() && mode != "verify-full").then_some(mode)
    }
}

/// What both sections say.
pub(super) struct Read {
    /// `None`: it is the file in the data folder, or this is an edge node.
    pub(super) store: Option<StoreConfig>,
    /// This node's name.
    pub(super) node: String,
    /// Where the plane is written, if it is.
    pub(super) plane_written: Option<Place>,
}

/// Reads both.
pub(super) fn read(top: &mut Section<'_>, context: &Context<'_>) -> Read {
    let (node, plane_written) = fleet(top, context);
    let store = store(top, context, &node);
    Read { store, node, plane_written }
}

fn store(top: &mut Section<'_>, context: &Context<'_>, node: &str) -> Option<StoreConfig> {
    if !top.has("store") {
        return None;
    }
    let mut section = top.inner("store");
    let url = url(&mut section);
    let password = process::secret_of_identity(&mut section, "password", context);
    let connections = section.checked("connections", 8, |n| process::in_range(*n, 1, 200));
    let call_timeout = span(&mut section, "call_timeout", 800, (100, 30_000));
    let hold = span(&mut section, "hold", 5_000, (1_000, 60_000));
    let wait = span(&mut section, "wait", 30_000, (0, 3_600_000));
    let stale_for = stale_for(&mut section);
    let record = section.finish();
    if context.plane == Plane::Edge {
        // Read for its faults; an edge node has no store.
        return None;
    }
    top.note("store", Toml::Table(record));
    let at = Postgres { url: url?, password, node: node.to_owned(), hold };
    let connections = u32::try_from(connections).unwrap_or(8);
    Some(StoreConfig { at, connections, call_timeout, wait, stale_for })
}

/// The name that this node has among others (its host's, unless it says otherwise), and where its plane is written.
fn fleet(top: &mut Section<'_>, context: &Context<'_>) -> (String, Option<Place>) {
    let mut fleet = top.inner("fleet");
    let written = fleet.maybe::<String>("node");
    if let Some(Err(fault)) = written.as_deref().map(name) {
        fleet.fault("node", fault);
    }
    let plane_written = plane::of_fleet(&mut fleet);
    if top.has("fleet") {
        top.note("fleet", Toml::Table(fleet.finish()));
    }
    let node = written.unwrap_or_else(|| {
        let host = context.from.read(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
        let plain = |c: char| if is_plain(c) { c } else { '-' };
        let host: String = host.trim().chars().map(plain).take(NAME).collect();
        if host.is_empty() { "node".to_owned() } else { host }
    });
    (node, plane_written)
}

fn name(name: &str) -> Result<(), Fault> {
    if (1..=NAME).contains(&name.len()) && name.chars().all(is_plain) {
        return Ok(());
    }
    let why = "it stands in logs, in the audit log and at the database";
    let fix = "write up to 63 letters, digits, '-', '_' and '.'";
    Err(Fault::new(format!("{name:?} is no name of a node"), why, fix))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn url(section: &mut Section<'_>) -> Option<Url> {
    let text = section.maybe::<String>("url");
    let Some(text) = text else {
        section.missing("url", EXAMPLE);
        return None;
    };
    match judged(&text) {
        Ok(url) => Some(url),
        Err(fault) => {
            // It may hold a password by mistake, which nothing repeats.
            section.note("url", Toml::String("?".to_owned()));
            section.fault("url", fault);
            None
        }
    }
}

/// The address of a database as it is typed at a command, or what is wrong with it.
pub fn database_url(text: &str) -> Result<Url, String> {
    judged(text).map_err(|fault| format!("{}: {}", fault.what, fault.fix))
}

fn judged(text: &str) -> Result<Url, Fault> {
    let example = format!("write {EXAMPLE}");
    let why = "it says which database the nodes share";
    let url: Url = text.parse().map_err(|_| Fault::new("no address", why, example.clone()))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        let what = format!("unknown kind of database: {}", url.scheme());
        let why = "a file needs no [store]; a server is one of PostgreSQL";
        return Err(Fault::new(what, why, example));
    }
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        let why = "a secret in the configuration ends up in backups, logs and version control";
        let fix = "take it out, and write password = \"file:PATH\"";
        return Err(Fault::new("a password stands in the address itself", why, fix));
    }
    for (key, value) in url.query_pairs() {
        if !PARAMETERS.contains(&&*key) {
            let what = format!("unknown parameter {key:?}");
            return Err(Fault::new(what, "it would be ignored", one_of(&PARAMETERS)));
        }
        if key == "sslmode" && !SSL_MODES.contains(&&*value) {
            let what = format!("unknown sslmode {value:?}");
            return Err(Fault::new(what, "it says how the server is proven", one_of(&SSL_MODES)));
        }
    }
    let named = url.query_pairs().any(|(key, _)| key == "dbname");
    if url.path().trim_start_matches('/').is_empty() && !named {
        return Err(Fault::new("no database is named", why, example));
    }
    if url.host_str().is_some_and(|host| host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()))
    {
        return Err(Fault::new("no address of a server", why, example));
    }
    Ok(url)
}

/// How long what this node knows is good without the database.
fn stale_for(section: &mut Section<'_>) -> Duration {
    section.checked("stale_for", STALE_FOR, |span| {
        if (Duration::from_secs(1)..=DAY).contains(span) {
            return Ok(());
        }
        let why = "a node that is cut off takes for so long what was ended elsewhere, and refuses nobody who is known";
        Err(Fault::new("out of range", why, "write 1s to 24h"))
    })
}

fn one_of(names: &[&str]) -> String {
    format!("write one of {}", names.join(", "))
}

fn span(
    section: &mut Section<'_>,
    key: &'static str,
    default: u64,
    (from, to): (u64, u64),
) -> Duration {
    section.checked(key, Duration::from_millis(default), |span| {
        if (u128::from(from)..=u128::from(to)).contains(&span.as_millis()) {
            return Ok(());
        }
        let fix = format!("write {from}ms to {to}ms");
        Err(Fault::new("out of range", "calls wait for the database no longer than useful", fix))
    })
}
