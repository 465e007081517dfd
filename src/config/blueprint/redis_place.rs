//! `[redis]`: what the nodes of a fleet share for speed. Without it a node keeps its own counts.

use std::{sync::Arc, time::Duration};

use toml::Value as Toml;

use super::{Context, process};
use crate::{
    config::{document::Value, section::Section, shape::Fault},
    fleet::{Address, Login, Settings, Tls, Topology},
    model::secret::ExposeSecret,
};

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;
const TIMEOUT: Duration = Duration::from_millis(5);

/// Reads the section; `None`: there is none, or it has faults.
pub(super) fn read(top: &mut Section<'_>, context: &Context<'_>) -> Option<Settings> {
    if !top.has("redis") {
        return None;
    }
    let mut section = top.inner("redis");
    let place = place(&mut section);
    let tls = tls(&mut section, context, place.as_ref().is_some_and(|place| place.tls));
    let user = place.as_ref().and_then(|place| place.username.clone());
    let login = login(&mut section, context, ("username", "password"), user);
    let sentinel = ("sentinel_username", "sentinel_password");
    let sentinel_login = self::login(&mut section, context, sentinel, None);
    let usual = place.as_ref().and_then(|place| place.database).unwrap_or(0);
    let database = section.checked("database", usual, |number| {
        let fits = if is_cluster(place.as_ref()) { *number == 0 } else { *number <= 1024 };
        let why = "a cluster has only 0, a server few more";
        if fits { Ok(()) } else { Err(Fault::new("no such database", why, "write 0")) }
    });
    let prefix = section.checked("prefix", "portcullis:".to_owned(), |prefix| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '/');
        if !prefix.is_empty() && prefix.len() <= 64 && prefix.chars().all(plain) {
            return Ok(());
        }
        let why = "keys of others may lie beside ours, and braces mean something in a cluster";
        Err(Fault::new("bad prefix", why, "write letters, digits and : - _ . / up to 64"))
    });
    let timeout = section.checked("timeout", TIMEOUT, |span| {
        if (Duration::from_millis(1)..=Duration::from_secs(1)).contains(span) {
            return Ok(());
        }
        let why = "a request waits for it";
        Err(Fault::new("out of range", why, "write \"1ms\" to \"1s\"; \"5ms\" is usual"))
    });
    let nodes = section.checked("nodes", 1_u32, |nodes| {
        if (1..=1000).contains(nodes) {
            return Ok(());
        }
        let why = "limits are divided by it while nobody can be counted";
        Err(Fault::new("out of range", why, "write how many nodes run at least"))
    });
    top.note("redis", Toml::Table(section.finish()));
    let (tls, login, sentinel_login) = (tls.ok()?, login.ok()?, sentinel_login.ok()?);
    let (topology, prefix) = (place?.topology, prefix.into());
    Some(Settings { topology, tls, login, sentinel_login, database, prefix, timeout, nodes })
}

struct Place {
    topology: Topology,
    tls: bool,
    username: Option<String>,
    database: Option<u32>,
}

fn is_cluster(place: Option<&Place>) -> bool {
    place.is_some_and(|place| matches!(place.topology, Topology::Cluster(_)))
}

/// Something the section got wrong, and has told.
struct Told;

fn place(section: &mut Section<'_>) -> Option<Place> {
    // Known, whichever of them is written.
    for key in ["url", "sentinels", "master", "cluster"] {
        let _ = section.raw(key);
    }
    let of = |topology| Place { topology, tls: false, username: None, database: None };
    let written = ["url", "sentinels", "cluster"].map(|key| section.has(key));
    if written.iter().filter(|is| **is).count() > 1 {
        let key = if written == [true, true, false] { "sentinels" } else { "cluster" };
        let why = "Redis is one server, or watched by sentinels, or a cluster";
        section.fault(key, Fault::new("more than one place", why, "keep one of them"));
    }
    if section.has("sentinels") {
        let sentinels = addresses(section, "sentinels", SENTINEL_PORT);
        let master = section.need::<String>("master");
        return Some(of(Topology::Sentinels { sentinels: sentinels?, master: master? }));
    }
    if section.has("master") {
        let _: Option<String> = section.maybe("master");
        let why = "only sentinels know names of masters";
        let fix = "write sentinels = [\"HOST:26379\", …], or remove it";
        section.fault("master", Fault::new("no sentinels", why, fix));
    }
    if section.has("cluster") {
        return addresses(section, "cluster", PORT).map(|nodes| of(Topology::Cluster(nodes)));
    }
    if !section.has("url") {
        section.missing("url", "\"redis://HOST:6379\", or sentinels, or cluster");
        return None;
    }
    url(section)
}

/// The password in an address would be in the file: it is refused, and not repeated.
fn url(section: &mut Section<'_>) -> Option<Place> {
    let fault = |what: &str, why: &str| {
        Fault::new(what, why, "write url = \"redis://USER@HOST:6379/0\", or rediss:// for TLS")
    };
    let Some(Value::Text(text)) = section.raw("url").map(|node| &node.value) else {
        section.fault("url", fault("expected an address", "the value has the wrong type"));
        return None;
    };
    let bad = |why: &str| section.fault("url", fault("bad address of Redis", why));
    let Ok(url) = url::Url::parse(text) else {
        bad("it cannot be read");
        return None;
    };
    if url.password().is_some() {
        section.fault(
            "url",
            Fault::new(
                "a password stands in the configuration itself",
                "a secret in the configuration ends up in backups, logs and version control",
                "take it out, and write password = \"file:PATH\"",
            ),
        );
        return None;
    }
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => {
            bad("it begins with redis:// or rediss://");
            return None;
        }
    };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().unwrap_or(PORT);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let path = url.path().trim_matches('/');
    let database: Option<u32> = (!path.is_empty()).then(|| path.parse().ok()).flatten();
    let odd = url.query().is_some() || url.fragment().is_some();
    if host.is_empty() || odd || (database.is_none() && !path.is_empty()) {
        bad("it consists of a user, a host, a port and the number of a database");
        return None;
    }
    let topology = Topology::Single(Address { host: host.to_owned(), port });
    let username = (!url.username().is_empty()).then(|| url.username().to_owned());
    section.note("url", Toml::String(text.clone()));
    Some(Place { topology, tls, username, database })
}

fn addresses(section: &mut Section<'_>, key: &'static str, port: u16) -> Option<Vec<Address>> {
    let written = section.maybe::<Vec<String>>(key)?;
    let read: Option<Vec<_>> = written.iter().map(|text| Address::parse(text, port)).collect();
    match read {
        Some(addresses) if !addresses.is_empty() => Some(addresses),
        _ => {
            let why = "each is a host, with or without a port";
            let fix = format!("write {key} = [\"HOST:{port}\", …]");
            section.fault(key, Fault::new("bad addresses", why, fix));
            None
        }
    }
}

/// `tls = true`, or a table with the authorities.
fn tls(section: &mut Section<'_>, context: &Context<'_>, asked: bool) -> Result<Option<Tls>, Told> {
    if let Some(Value::Bool(on)) = section_value(section, "tls") {
        let on = *on;
        let _ = section.raw("tls");
        section.note("tls", Toml::Boolean(on));
        if asked && !on {
            let why = "rediss:// asks for TLS";
            section.fault("tls", Fault::new("switched off", why, "write redis://, or remove it"));
        }
        return Ok(on.then_some(Tls { authorities: None }));
    }
    if !section.has("tls") {
        section.note("tls", Toml::Boolean(asked));
        return Ok(asked.then_some(Tls { authorities: None }));
    }
    let mut inner = section.inner("tls");
    let authorities = process::secret(&mut inner, "authorities", context);
    let told = inner.has("authorities") && authorities.is_none();
    section.note("tls", Toml::Table(inner.finish()));
    if told {
        return Err(Told);
    }
    let pem: Option<Arc<str>> = authorities.map(|pem| pem.expose_secret().into());
    if pem.as_ref().is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
        let why = "nobody could vouch for Redis";
        let fix = "name a file with certificates in PEM";
        section.fault("tls", Fault::new("no certificate in authorities", why, fix));
        return Err(Told);
    }
    Ok(Some(Tls { authorities: pem }))
}

fn section_value<'a>(section: &mut Section<'a>, key: &'static str) -> Option<&'a Value> {
    if !section.has(key) {
        return None;
    }
    section.raw(key).map(|node| &node.value)
}

fn login(
    section: &mut Section<'_>,
    context: &Context<'_>,
    (name, word): (&'static str, &'static str),
    from_url: Option<String>,
) -> Result<Option<Login>, Told> {
    let username = section.maybe::<String>(name).or(from_url);
    let password = process::secret(section, word, context);
    if section.has(word) && password.is_none() {
        return Err(Told);
    }
    match (username, password) {
        (username, Some(password)) => Ok(Some(Login { username, password })),
        (None, None) => Ok(None),
        (Some(_), None) => {
            let fix = format!("write {word} = \"file:PATH\", or name no user");
            section.fault(name, Fault::new("half a login", "a user has a password", fix));
            Err(Told)
        }
    }
}
