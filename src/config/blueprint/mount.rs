//! `[[mount]]`: one contract in one realm, at its places. Everything not written is what the contract fixes.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use toml::{Table as Record, Value as Toml};

use super::{Context, Declared, each, policy, process::secret};
use crate::{
    config::{
        problem::Place as Written,
        section::Section,
        shape::{Fault, Shape},
    },
    dialects::{self, Registered},
    identity::settings::TokenSettings,
    model::{MountName, RealmName, secret::ExposeSecret},
    pipeline::{Policy, RateHeaders, cors::Cors, route::Place},
};

/// Name that plain routes use for their mount in logs and metrics.
pub const PLAIN: &str = "plain";
/// Shortest HS256 secret (RFC 7518 section 3.2).
const SECRET_BYTES: usize = 32;

/// One mount.
#[derive(Clone, Debug)]
pub struct MountConfig {
    /// Name.
    pub name: MountName,
    /// Its contract.
    pub dialect: &'static Registered,
    /// Its realm.
    pub realm: RealmName,
    /// Where it is reachable.
    pub places: Vec<Place>,
    /// Whether it renders what no mount claims at its places.
    pub default: bool,
    /// Tokens.
    pub tokens: TokenSettings,
    /// Prefix of its API keys.
    pub api_key_prefix: Option<Arc<str>>,
    /// Who may do what.
    pub policy: Policy,
    /// Cross-origin rules.
    pub cors: Cors,
    /// Rate-limit headers.
    pub rate_headers: RateHeaders,
    /// Limits of routes that name none.
    pub limits: Vec<Arc<str>>,
}

pub(super) fn read(top: &mut Section<'_>, context: &Context<'_>) -> Vec<Declared<MountConfig>> {
    let mut defaults_at: Vec<(Place, String)> = Vec::new();
    let mut secrets: Vec<(crate::model::SecretString, String, Written)> = Vec::new();
    each(top, "mount", |name, section| {
        if name == PLAIN {
            let why = "routes without a mount go by this name in logs and metrics";
            let fault = Fault::new(format!("the name \"{PLAIN}\" is taken"), why, "choose another");
            section.fault("name", fault);
        }
        let mount = one(name, section, context)?;
        if mount.default {
            for place in &mount.places {
                match defaults_at.iter().find(|(known, _)| overlaps(known, place)) {
                    Some((_, other)) => {
                        let what =
                            format!("a second default mount on listener \"{}\"", place.listener);
                        let why = format!("\"{other}\" is the default there already");
                        section.fault("default", Fault::new(what, why, "keep one default = true"));
                    }
                    None => defaults_at.push((place.clone(), name.to_owned())),
                }
            }
        }
        if let Some(secret) = &mount.tokens.secret {
            match secrets.iter().find(|(known, ..)| crate::config::secret::same(known, secret)) {
                Some((_, other, place)) => {
                    let what =
                        format!("the same secret as mount \"{other}\" ({})", place.in_words());
                    let why = "a token of one mount would verify on the other";
                    section
                        .fault("secret", Fault::new(what, why, "give each mount its own secret"));
                }
                None => {
                    secrets.push((secret.clone(), name.to_owned(), section.place_of("secret")));
                }
            }
        }
        Some(mount)
    })
}

fn overlaps(a: &Place, b: &Place) -> bool {
    a.listener == b.listener
        && a.prefix == b.prefix
        && (a.hosts == b.hosts || a.hosts.iter().any(|host| b.hosts.contains(host)))
}

fn one(name: &str, section: &mut Section<'_>, context: &Context<'_>) -> Option<MountConfig> {
    let dialect = dialect(section);
    let realm = realm(section, context);
    let places = places(section, context);
    let default = section.or("default", false);
    // Without a contract nothing below has a default. The keys are read all the same, to find their faults.
    let defaults = dialect.or_else(|| dialects::ALL.first())?.dialect.defaults();

    let tokens = tokens(section, context, defaults.tokens);
    let api_key_prefix: Option<Arc<str>> = match section.maybe::<String>("api_key_prefix") {
        Some(prefix) => Some(prefix.into()),
        None => defaults.api_key_prefix.map(Arc::from),
    };
    if let Some(prefix) = &api_key_prefix {
        section.note("api_key_prefix", prefix.write());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if prefix.is_empty() || prefix.len() > 32 || !prefix.chars().all(plain) {
            let why = "the prefix tells people and scanners what the key is";
            let fix = "use 1 to 32 letters, digits, _ and -, such as \"tmws_key_\"";
            section.fault("api_key_prefix", Fault::new("bad prefix", why, fix));
        }
    }
    let policy = policy::read(section, defaults.policy);
    let cors = cors(section);
    let rate_headers = rate_headers(section, defaults.rate_headers);
    let brought = defaults.limits.iter().map(|limit| limit.name.clone()).collect();
    let limits: Vec<Arc<str>> = section.or("limits", brought);
    known_limits(section, &limits, context);

    Some(MountConfig {
        name: MountName::from(name),
        dialect: dialect?,
        realm: realm?,
        places,
        default,
        tokens,
        api_key_prefix,
        policy,
        cors,
        rate_headers,
        limits,
    })
}

/// Reports limits that are not declared.
pub(super) fn known_limits(section: &Section<'_>, limits: &[Arc<str>], context: &Context<'_>) {
    let mut known: Vec<String> = context.names.of("limit").map(str::to_owned).collect();
    for dialect in context.names.dialects() {
        for limit in dialect.dialect.defaults().limits {
            if known.iter().all(|name| **name != *limit.name) {
                known.push(limit.name.to_string());
            }
        }
    }
    for name in limits {
        if !known.iter().any(|known| **known == **name) {
            section.problems.unknown(
                &section.place_of("limits"),
                section.key("limits"),
                "limit",
                name,
                known.iter().map(String::as_str),
                "add a [[limit]] of this name",
            );
        }
    }
}

fn dialect(section: &mut Section<'_>) -> Option<&'static Registered> {
    let name = section.need::<String>("dialect")?;
    let found = dialects::find(&name);
    if found.is_none() {
        section.problems.unknown(
            &section.place_of("dialect"),
            section.key("dialect"),
            "dialect",
            &name,
            dialects::ALL.iter().map(|entry| entry.dialect.name()),
            "name a contract this program speaks",
        );
    }
    found
}

fn realm(section: &mut Section<'_>, context: &Context<'_>) -> Option<RealmName> {
    let name = match context.names.only("realm") {
        Some(only) => section.or("realm", only.to_owned()),
        None => section.need::<String>("realm")?,
    };
    if context.names.has("realm", &name) {
        return Some(RealmName::from(name));
    }
    section.problems.unknown(
        &section.place_of("realm"),
        section.key("realm"),
        "realm",
        &name,
        context.names.of("realm"),
        "add a [[realm]] of this name",
    );
    None
}

fn places(section: &mut Section<'_>, context: &Context<'_>) -> Vec<Place> {
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
pub(super) fn listener(section: &mut Section<'_>, context: &Context<'_>) -> Option<String> {
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

/// Reads `hosts`: exact names, without port; folded to lower case.
pub(super) fn hosts(section: &mut Section<'_>) -> Vec<Arc<str>> {
    let hosts: Vec<String> = section.or("hosts", Vec::new());
    for host in &hosts {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        if !is_address && (host.is_empty() || !host.chars().all(name)) {
            let what = format!("bad host \"{host}\"");
            let why = "hosts are compared exactly, without port; there are no wildcards";
            let fix = "write a name such as \"api.example.org\", or leave hosts out for any";
            section.fault("hosts", Fault::new(what, why, fix));
        }
    }
    hosts.iter().map(|host| host.to_ascii_lowercase().trim_end_matches('.').into()).collect()
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
pub(super) fn odd_path(path: &str) -> Option<&'static str> {
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

fn tokens(section: &mut Section<'_>, context: &Context<'_>, start: TokenSettings) -> TokenSettings {
    let issuer = section.or("issuer", start.issuer);
    let audience = match section.maybe::<String>("audience") {
        Some(text) => Some(text.into()),
        None => start.audience,
    };
    if let Some(audience) = &audience {
        section.note("audience", audience.write());
    }
    let algorithm = algorithm(section, start.algorithm);
    let secret = secret(section, "secret", context);
    if let Some(secret) = &secret {
        if algorithm != Algorithm::HS256 {
            let what = format!("a secret for {}", algorithm_name(algorithm));
            let why = "only HS256 signs with a shared secret; other keys are made and kept by the gateway";
            section.fault(
                "secret",
                Fault::new(what, why, "remove secret, or write algorithm = \"HS256\""),
            );
        }
        if secret.expose_secret().len() < SECRET_BYTES {
            let what = format!("the secret has fewer than {SECRET_BYTES} bytes");
            let why = "HS256 needs a key at least as long as its hash (RFC 7518 section 3.2)";
            section.fault("secret", Fault::new(what, why, "make one: openssl rand -hex 32"));
        }
    }
    let above_zero = |span: &Duration| {
        if *span >= Duration::from_secs(1) {
            return Ok(());
        }
        let why = "a token must live at least a second";
        Err(Fault::new("shorter than 1s", why, "write a longer duration"))
    };
    let access_lifetime =
        section.checked("access_token_lifetime", start.access_lifetime, above_zero);
    let refresh_lifetime =
        section.checked("refresh_token_lifetime", start.refresh_lifetime, above_zero);
    let refresh_rotates = section.or("refresh_rotates", start.refresh_rotates);
    let refresh_grace = section.checked("refresh_grace", start.refresh_grace, |grace| {
        if *grace <= Duration::from_secs(300) {
            return Ok(());
        }
        let why = "a spent refresh token would be good for longer than a lost reply explains";
        Err(Fault::new("longer than 5m", why, "write \"10s\", or \"0s\" for strict"))
    });
    TokenSettings {
        issuer,
        audience,
        algorithm,
        key_id_in_header: start.key_id_in_header,
        secret,
        access_lifetime,
        refresh_lifetime,
        refresh_rotates,
        refresh_grace,
    }
}

const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("HS256", Algorithm::HS256),
    ("RS256", Algorithm::RS256),
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
];

fn algorithm_name(algorithm: Algorithm) -> &'static str {
    ALGORITHMS.iter().find(|(_, known)| *known == algorithm).map_or("?", |(name, _)| name)
}

fn algorithm(section: &mut Section<'_>, start: Algorithm) -> Algorithm {
    let name = section.or("algorithm", algorithm_name(start).to_owned());
    let found = ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, found)| *found);
    found.unwrap_or_else(|| {
        section.problems.unknown(
            &section.place_of("algorithm"),
            section.key("algorithm"),
            "algorithm",
            &name,
            ALGORITHMS.iter().map(|(name, _)| *name),
            "name one of these",
        );
        start
    })
}

fn cors(section: &mut Section<'_>) -> Cors {
    let mut inner = section.inner("cors");
    let origins: Vec<Arc<str>> = inner.or("origins", Vec::new());
    let credentials = inner.or("credentials", false);
    let max_age = inner.or("max_age", Duration::from_secs(600));
    for origin in &origins {
        if !is_origin(origin) {
            let what = format!("bad origin \"{origin}\"");
            let why = "an origin is a scheme and a host, compared exactly, without a path";
            let fix = "write \"https://app.example.org\", or \"*\" for any";
            inner.fault("origins", Fault::new(what, why, fix));
        }
    }
    if credentials && origins.iter().any(|origin| &**origin == "*") {
        let why = "any web site could act with the visitor's cookies (Fetch standard)";
        let fix = "list the origins, or write credentials = false";
        inner.fault("credentials", Fault::new("credentials for any origin", why, fix));
    }
    section.note("cors", Toml::Table(inner.finish()));
    Cors { origins, credentials, max_age: u32::try_from(max_age.as_secs()).unwrap_or(u32::MAX) }
}

fn is_origin(text: &str) -> bool {
    let bare = |text: &str| {
        text.parse::<http::uri::Authority>().is_ok_and(|found| !found.as_str().contains('@'))
    };
    text == "*" || text.strip_prefix("https://").or(text.strip_prefix("http://")).is_some_and(bare)
}

fn rate_headers(section: &mut Section<'_>, start: RateHeaders) -> RateHeaders {
    let mut inner = section.inner("rate_headers");
    let legacy_always = inner.or("always", start.legacy_always);
    let ietf = inner.or("ietf", start.ietf);
    section.note("rate_headers", Toml::Table(inner.finish()));
    RateHeaders { legacy_always, ietf }
}
