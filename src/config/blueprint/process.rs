//! `[server] [data] [internal] [secrets] [log] [hashing] [limiter] [cache] [identity_headers] [trust]`: what is about the process
//! rather than about requests.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use http::HeaderName;
use ipnet::IpNet;
use toml::Value as Toml;

use super::{Context, client_limits, tls::word, trust};
use crate::{
    config::{
        document::Value,
        secret::{SecretRef, made_up},
        section::Section,
        shape::{Fault, Shape, Size},
    },
    edge::{CacheSizes, ClientLimits},
    identity::settings::HashSettings,
    limit,
    model::{Plane, SecretString, secret::ExposeSecret},
    pipeline::{CredentialSizes, Window, mutate::IdentityHeaders},
    telemetry::logging,
};

/// Longest path a Unix socket can have, with its final zero byte (`sockaddr_un`).
const SOCKET_PATH: usize = 107;
/// Fewest bytes of a master key and of the operator token.
const SHORTEST_SECRET: usize = 16;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A year and what it takes to notice that it is over.
const AUDIT_RETENTION: Duration = DAY.saturating_mul(400);
const SHORTEST_RETENTION: Duration = DAY;
/// The sockets in the data folder.
pub const OPERATOR_SOCKET: &str = "operator.sock";
/// Between edge and identity.
pub const IDENTITY_SOCKET: &str = "identity.sock";

/// Settings of the process.
#[derive(Debug)]
pub struct Process {
    /// Worker threads of the data plane.
    pub threads: usize,
    /// How long running requests may finish at stop.
    pub grace_period: Duration,
    /// Whether a changed file is reloaded by itself.
    pub watch: bool,
    /// Idle upstream connections kept per pool.
    pub upstream_keepalive_pool: usize,
    /// What one client may take.
    pub client_limits: Arc<ClientLimits>,
    /// Longest credentials.
    pub credential_sizes: CredentialSizes,
    /// Body limit of routes that name none.
    pub body_limit: u64,
    /// Absolute.
    pub data_dir: PathBuf,
    /// How long audit events are kept; `None`: for ever.
    pub audit_retention: Option<Duration>,
    /// Internal listener.
    pub internal: Internal,
    /// Master keys, newest first; empty: one is made in the data folder.
    pub master_keys: Vec<SecretString>,
    /// Log.
    pub log: logging::Settings,
    /// Password hashing.
    pub hashing: HashSettings,
    /// Limiter.
    pub limiter: limit::Settings,
    /// How many proven credentials are kept at hand.
    pub caches: CacheSizes,
    /// Names of the identity headers.
    pub identity_headers: IdentityHeaders,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How many of them a request passes; 0: their addresses tell.
    pub trusted_hops: usize,
    /// In which field they tell the certificate that a client showed to them.
    pub client_certificate: Option<HeaderName>,
    /// How many failed authentications one address may have; empty: any number.
    pub failure_windows: Vec<Window>,
}

/// The internal listener.
#[derive(Debug)]
pub struct Internal {
    /// `None`: only the socket.
    pub address: Option<SocketAddr>,
    /// The operator's token; `None`: one is made in the data folder.
    pub token: Option<SecretString>,
    /// Whether probes answer without the token.
    pub probes: bool,
}

pub(super) fn read(top: &mut Section<'_>, context: &Context<'_>) -> Process {
    let mut data = top.inner("data");
    let data_dir = data_dir(&mut data, context);
    let audit_retention = audit_retention(&mut data);
    top.note("data", Toml::Table(data.finish()));

    let mut server = top.inner("server");
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = server.checked("threads", cores, |threads| in_range(*threads, 1, 1024));
    let grace_period = server.or("grace_period", Duration::from_secs(30));
    let watch = server.or("watch", false);
    let upstream_keepalive_pool = server.or("upstream_keepalive_pool", 128);
    let limits = client_limits::read(&mut server, upstream_keepalive_pool);
    top.note("server", Toml::Table(server.finish()));

    let internal = internal(top, context);

    let mut secrets = top.inner("secrets");
    let master_keys = master_keys(&mut secrets, context);
    top.note("secrets", Toml::Table(secrets.finish()));

    let defaults = logging::Settings::default();
    let mut log = top.inner("log");
    let level = log.or("level", defaults.level);
    let access_log = log.or("access", defaults.access_log);
    let log_settings = logging::Settings { level, access_log };
    if let Err(error) = log_settings.check() {
        let why = "a filter is a level, or TARGET=LEVEL parts with commas between";
        let fix =
            "write error, warn, info, debug, trace, or a filter such as \"info,portcullis=debug\"";
        log.fault("level", Fault::new(error.to_string(), why, fix));
    }
    top.note("log", Toml::Table(log.finish()));

    let hashing = hashing(top);

    let mut limiter = top.inner("limiter");
    let max_keys = limiter.checked("max_keys", limit::Settings::default().max_keys, |keys| {
        in_range(*keys, 1_000, 100_000_000)
    });
    let failure_windows = trust::failure_windows(&mut limiter);
    top.note("limiter", Toml::Table(limiter.finish()));

    let caches = caches(top);
    let identity_headers = identity_headers(top);

    let trust = trust::proxies(top, &identity_headers);

    Process {
        threads,
        grace_period,
        watch,
        upstream_keepalive_pool,
        client_limits: limits.client,
        credential_sizes: limits.credentials,
        body_limit: limits.body,
        data_dir,
        audit_retention,
        internal,
        master_keys,
        log: log_settings,
        hashing,
        limiter: limit::Settings { max_keys },
        caches,
        identity_headers,
        trusted_proxies: trust.proxies,
        trusted_hops: trust.hops,
        client_certificate: trust.client_certificate,
        failure_windows,
    }
}

fn data_dir(data: &mut Section<'_>, context: &Context<'_>) -> PathBuf {
    let written = data.or("dir", PathBuf::from("data"));
    let dir = absolute(&context.base.join(written));
    data.note("dir", dir.write());
    let longest = dir.join(IDENTITY_SOCKET).as_os_str().len();
    if longest > SOCKET_PATH {
        let what = format!("the path {} is too long", dir.display());
        let why =
            format!("a Unix socket in it would have {longest} bytes, {SOCKET_PATH} are possible");
        data.fault("dir", Fault::new(what, why, "choose a folder with a shorter path"));
    }
    dir
}

fn audit_retention(data: &mut Section<'_>) -> Option<Duration> {
    if let Some(Value::Bool(false)) = data.raw("audit_retention").map(|node| &node.value) {
        data.note("audit_retention", Toml::Boolean(false));
        return None;
    }
    let kept = data.checked("audit_retention", AUDIT_RETENTION, |span| {
        if *span >= SHORTEST_RETENTION {
            return Ok(());
        }
        let why = "what happened yesterday must still be there today";
        Err(Fault::new("shorter than 1d", why, "write \"400d\", or false to keep everything"))
    });
    Some(kept)
}

/// Absolute without touching the disk; the working folder is where a relative path starts.
pub(super) fn absolute(path: &std::path::Path) -> PathBuf {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // `conf/../data` and `./data` in the plain form, so that sockets are bound and dialled under one spelling.
    let mut plain = PathBuf::new();
    for part in full.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            std::path::Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

fn internal(top: &mut Section<'_>, context: &Context<'_>) -> Internal {
    let mut internal = top.inner("internal");
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 9901));
    let address = match internal.raw("address").map(|node| &node.value) {
        Some(Value::Bool(false)) => {
            internal.note("address", Toml::Boolean(false));
            None
        }
        _ => Some(internal.or("address", default)),
    };
    let token = secret(&mut internal, "token", context);
    if token.as_ref().is_some_and(too_short) {
        internal.fault("token", short("the operator token", "it opens every account and key"));
    }
    let probes = internal.or("probes", false);
    top.note("internal", Toml::Table(internal.finish()));
    Internal { address, token, probes }
}

/// Reads a secret reference, fetches the secret, and reports what does not work.
pub(super) fn secret(
    section: &mut Section<'_>,
    key: &'static str,
    context: &Context<'_>,
) -> Option<SecretString> {
    let found = section.maybe::<SecretRef>(key)?.based_on(context.base);
    section.note(key, found.write());
    match found.resolve(context.from) {
        Ok(secret) => Some(secret),
        Err(fault) => {
            section.fault(key, fault);
            None
        }
    }
}

/// The same for a secret that only identity needs: an edge node keeps the reference, and reads nothing. What stands in its
/// place there is used by nobody.
pub(super) fn secret_of_identity(
    section: &mut Section<'_>,
    key: &'static str,
    context: &Context<'_>,
) -> Option<SecretString> {
    if context.plane != Plane::Edge {
        return secret(section, key, context);
    }
    let found = section.maybe::<SecretRef>(key)?.based_on(context.base);
    section.note(key, found.write());
    Some(made_up(&found.to_string()).into())
}

fn master_keys(secrets: &mut Section<'_>, context: &Context<'_>) -> Vec<SecretString> {
    if context.plane == Plane::Edge {
        // Whoever names them here is told in `plane.rs`.
        let _ = secrets.raw("master_keys");
        return Vec::new();
    }
    let found = secrets.or("master_keys", Vec::<SecretRef>::new());
    let found: Vec<SecretRef> = found.into_iter().map(|key| key.based_on(context.base)).collect();
    secrets.note("master_keys", found.write());
    let mut keys = Vec::new();
    for reference in found {
        match reference.resolve(context.from) {
            Ok(key) => {
                if too_short(&key) {
                    let what = format!("the master key {reference}");
                    secrets.fault("master_keys", short(&what, "it protects every signing key"));
                }
                keys.push(key);
            }
            Err(fault) => secrets.fault("master_keys", fault),
        }
    }
    keys
}

fn too_short(secret: &SecretString) -> bool {
    secret.expose_secret().len() < SHORTEST_SECRET
}

fn short(what: &str, why: &str) -> Fault {
    let what = format!("{what} has fewer than {SHORTEST_SECRET} bytes");
    Fault::new(
        what,
        format!("{why}, and a short one can be guessed"),
        "make one: openssl rand -hex 32",
    )
}

fn hashing(top: &mut Section<'_>) -> HashSettings {
    let defaults = HashSettings::default();
    let mut hashing = top.inner("hashing");
    let memory = Size(u64::from(defaults.memory_kib) * 1024);
    let memory = hashing.checked("memory", memory, |size| {
        let kib = size.0 / 1024;
        if (19_456..=4 * 1024 * 1024).contains(&kib) {
            return Ok(());
        }
        let what = "out of range";
        Err(Fault::new(what, "Argon2id needs 19MiB to 4GiB per hash", "write at least \"19MiB\""))
    });
    let iterations =
        hashing.checked("iterations", defaults.iterations, |n| in_range(*n as usize, 2, 100));
    let permits = hashing.checked("permits", defaults.permits, |n| in_range(*n, 1, 1024));
    let queue = hashing.checked("queue", permits.saturating_mul(4), |n| in_range(*n, 0, 100_000));
    let priority = word(&mut hashing, "priority", ["idle", "low"]);
    top.note("hashing", Toml::Table(hashing.finish()));
    let memory_kib = u32::try_from(memory.0 / 1024).unwrap_or(defaults.memory_kib);
    HashSettings { memory_kib, iterations, permits, queue, only_when_idle: priority == 0 }
}

fn caches(top: &mut Section<'_>) -> CacheSizes {
    let d = CacheSizes::default();
    let mut section = top.inner("cache");
    let mut size = |key, default| section.checked(key, default, |n| in_range(*n, 100, 10_000_000));
    let caches = CacheSizes {
        tokens: size("tokens", d.tokens),
        keys: size("keys", d.keys),
        sessions: size("sessions", d.sessions),
    };
    top.note("cache", Toml::Table(section.finish()));
    caches
}

fn identity_headers(top: &mut Section<'_>) -> IdentityHeaders {
    let d = IdentityHeaders::default();
    let mut section = top.inner("identity_headers");
    let headers = IdentityHeaders {
        subject: section.or("subject", d.subject),
        username: section.or("username", d.username),
        roles: section.or("roles", d.roles),
        scopes: section.or("scopes", d.scopes),
        method: section.or("method", d.method),
        key_id: section.or("key_id", d.key_id),
        realm: section.or("realm", d.realm),
        tenant: section.or("tenant", d.tenant),
        assertion: section.or("assertion", d.assertion),
        issuer: section.or("issuer", d.issuer),
    };
    let all = [
        ("subject", &headers.subject),
        ("username", &headers.username),
        ("roles", &headers.roles),
        ("scopes", &headers.scopes),
        ("method", &headers.method),
        ("key_id", &headers.key_id),
        ("realm", &headers.realm),
        ("tenant", &headers.tenant),
        ("assertion", &headers.assertion),
        ("issuer", &headers.issuer),
    ];
    for (at, (key, name)) in all.iter().enumerate() {
        if let Some((other, _)) = all.iter().take(at).find(|(_, known)| known == name) {
            let what = format!("header name \"{name}\" is used twice");
            let why = format!("\"{other}\" has it already; one would overwrite the other");
            section.fault(key, Fault::new(what, why, "give each a name of its own"));
        }
        // Its usual name is of the family that only the gateway sets.
        let usual = *key == "assertion" && **name == IdentityHeaders::default().assertion;
        if !usual && !is_ours_to_set(name) {
            let what = format!("header name \"{name}\" cannot carry identity");
            let why = "it has a meaning of its own in HTTP or for the gateway";
            section.fault(key, Fault::new(what, why, "choose a name such as \"x-auth-subject\""));
        }
    }
    top.note("identity_headers", Toml::Table(section.finish()));
    headers
}

/// Whether an operator's rule may touch this header at all. HTTP's own framing and routing headers, credentials and what
/// the gateway rebuilds itself are not.
pub(super) fn is_ours_to_set(name: &HeaderName) -> bool {
    const NO: [&str; 21] = [
        "host",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "trailer",
        "upgrade",
        "authorization",
        "x-api-key",
        "cookie",
        "x-request-id",
        "forwarded",
        "date",
        "retry-after",
        "ratelimit",
        "ratelimit-policy",
    ];
    let text = name.as_str();
    let family = ["x-forwarded-", "x-ratelimit-", "x-portcullis-", "x-real-ip", "content-type"];
    !NO.contains(&text) && !family.iter().any(|start| text.starts_with(start))
}

pub(super) fn in_range(number: usize, from: usize, to: usize) -> Result<(), Fault> {
    if (from..=to).contains(&number) {
        return Ok(());
    }
    let why = format!("it must be between {from} and {to}");
    Err(Fault::new(format!("{number} is out of range"), why, "write a number in range"))
}
