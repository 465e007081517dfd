//! `[[route]]`: what it matches, who may, where it goes. A route says everything in one place.

use std::{sync::Arc, time::Duration};

use http::Method;
use toml::Value as Toml;

use super::{
    Context, Declared, each, issuer,
    mount::{
        MountConfig, known_limits,
        places::{hosts, listener, odd_path},
        stream_grace,
    },
    process::Process,
    realm::RealmConfig,
};
use crate::{
    config::{
        document::Value,
        section::Section,
        shape::{Fault, Shape, Size},
    },
    model::AuthMethod,
    pipeline::{
        Authn, Authz, CredentialKind, Limit, Per, ProofRule,
        authz::RouteRule,
        route::{
            Assertion, HeaderRules, Overlap, PathAllowances, Place, RouteMatch, Timeouts,
            TrailingSlash,
        },
    },
};

mod access;
mod headers;
mod kinds;
mod login;

/// Where a route hangs.
#[derive(Clone, Debug)]
pub enum At {
    /// In a mount, by name; paths are relative to its prefixes.
    Mount(Arc<str>),
    /// At a place of its own, speaking no contract.
    Plain(Place),
}

/// One route.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// Name.
    pub name: Arc<str>,
    /// Where it hangs.
    pub at: At,
    /// What it matches.
    pub matches: RouteMatch,
    /// Credentials.
    pub authn: Authn,
    /// Issuers outside whose callers it takes.
    pub issuers: Arc<[Arc<str>]>,
    /// What the caller must be allowed.
    pub authz: Authz,
    /// Kinds that are judged beside and refuse nothing.
    pub shadow_authn: Option<Authn>,
    /// A rule that is judged beside and refuses nothing.
    pub shadow_authz: Option<RouteRule>,
    /// Names of its limits.
    pub limits: Vec<Arc<str>>,
    /// Name of its upstream.
    pub upstream: Arc<str>,
    /// Header rules.
    pub headers: HeaderRules,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Largest body.
    pub body_limit: u64,
    /// Trailing slash.
    pub trailing_slash: TrailingSlash,
    /// Whether credentials go on.
    pub forward_credential: bool,
    /// Path forms.
    pub allows: PathAllowances,
    /// The signed statement that its upstream gets.
    pub assertion: Option<Assertion>,
    /// Streaming.
    pub streaming: bool,
    /// Which proof it asks for beside a token.
    pub proof: ProofRule,
    /// Whether its proofs must carry a nonce of ours.
    pub proof_nonce: bool,
    /// How long a stream may outlive the end of its credential.
    pub stream_grace: Duration,
    /// Where browsers without a session are sent.
    pub login: Option<Arc<str>>,
}

/// What a route may refer to.
struct Around<'a> {
    context: &'a Context<'a>,
    process: &'a Process,
    realms: &'a [Declared<RealmConfig>],
    limits: &'a [Limit],
}

pub(super) fn read(
    top: &mut Section<'_>,
    context: &Context<'_>,
    process: &Process,
    realms: &[Declared<RealmConfig>],
    mounts: &[Declared<MountConfig>],
    limits: &[Limit],
) -> Vec<Declared<RouteConfig>> {
    let around = Around { context, process, realms, limits };
    each(top, "route", |name, section| one(name, section, &around, mounts))
}

fn one(
    name: &str,
    section: &mut Section<'_>,
    around: &Around<'_>,
    mounts: &[Declared<MountConfig>],
) -> Option<RouteConfig> {
    let at = at(section, around.context);
    let mount = match &at {
        Some(At::Mount(name)) => {
            mounts.iter().map(|found| &found.is).find(|m| *m.name.as_str() == **name)
        }
        _ => None,
    };
    let plain = matches!(at, Some(At::Plain(_)));
    let matches = matches(section);
    let upstream = upstream(section, around.context);
    let (authn, shadow_authn) = access::authn(section, mount, plain).unzip();
    let public = matches!(authn, Some(Authn::Public));
    let believed = mount.map(|mount| mount.issuers.as_slice()).unwrap_or_default();
    let takes_tokens = authn.as_ref().is_some_and(|authn| authn.takes(AuthMethod::Jwt));
    let issuers = issuer::of_route(section, believed, takes_tokens);
    let (authz, shadow_authz) = access::authz(section, mount, authn.as_ref(), around);
    let limits = limits(section, mount, public, around);
    let headers = headers::read(
        section,
        &around.process.identity_headers,
        around.process.client_certificate.as_ref(),
    );
    let streaming = section.or("streaming", false);
    let proof = access::proof(section, mount, authn.as_ref());
    let proof_nonce = access::proof_nonce(section, mount, proof);
    let inherited = mount.map_or(Duration::ZERO, |mount| mount.stream_grace);
    let stream_grace = stream_grace(section, inherited);
    let timeouts = timeouts(section);
    let body_limit = section.or("body_limit", Size(around.process.body_limit)).0;
    let trailing_slash = trailing_slash(section);
    let forward_credential = section.or("forward_credential", false);
    let allows = allows(section);
    let assertion = access::assertion(section, mount, public);
    let login = login::read(section, mount, authn.as_ref());
    Some(RouteConfig {
        name: name.into(),
        at: at?,
        matches: matches?,
        authn: authn?,
        issuers,
        authz,
        shadow_authn: shadow_authn.flatten(),
        shadow_authz,
        limits,
        upstream: upstream?,
        headers,
        timeouts,
        body_limit,
        trailing_slash,
        forward_credential,
        allows,
        assertion,
        streaming,
        proof,
        proof_nonce,
        stream_grace,
        login,
    })
}

fn at(section: &mut Section<'_>, context: &Context<'_>) -> Option<At> {
    if section.has("mount") {
        for key in ["listener", "hosts"] {
            if section.has(key) {
                let why = "the mount says where the route is reachable";
                let fix = format!("remove {key}, or remove mount");
                section.fault(key, Fault::new(format!("{key} beside mount"), why, fix));
            }
        }
        let name = section.need::<String>("mount")?;
        section.raw("listener");
        section.raw("hosts");
        if context.names.has("mount", &name) {
            return Some(At::Mount(name.into()));
        }
        section.problems.unknown(
            &section.place_of("mount"),
            section.key("mount"),
            "mount",
            &name,
            context.names.of("mount"),
            "add a [[mount]] of this name",
        );
        return None;
    }
    section.raw("mount");
    // The only mount is meant when a route names neither a mount nor a place of its own.
    let is_placed = section.has("listener") || section.has("hosts");
    if !is_placed && let Some(only) = context.names.only("mount") {
        section.raw("listener");
        section.raw("hosts");
        section.note("mount", Toml::String(only.to_owned()));
        return Some(At::Mount(only.into()));
    }
    let listener = listener(section, context);
    let hosts = hosts(section);
    Some(At::Plain(Place { listener: listener?.into(), hosts, prefix: "".into() }))
}

fn matches(section: &mut Section<'_>) -> Option<RouteMatch> {
    if !section.has("match") {
        section.raw("match");
        section.missing("match", "{ path = \"/api/**\" }");
        return None;
    }
    let mut inner = section.inner("match");
    let path = inner.need::<String>("path");
    let methods: Vec<Method> = inner.or("methods", Vec::new());
    if let Some(path) = &path
        && let Some(why) = odd_path(path).or_else(|| odd_pattern(path))
    {
        let what = format!("bad path \"{path}\"");
        let fix = "write a path such as \"/a/b\", \"/a/{id}\" or \"/a/**\"";
        inner.fault("path", Fault::new(what, why, fix));
        inner.finish();
        return None;
    }
    section.note("match", Toml::Table(inner.finish()));
    Some(RouteMatch { path: path?, methods, owned: false, overlap: Overlap::None })
}

fn odd_pattern(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        if part.contains('*') && (*part != "**" || !last) {
            return Some("* stands only as a last segment of two: /**");
        }
        let braces = part.contains(['{', '}']);
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        let plain = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if braces && !name.is_some_and(plain) {
            return Some("a parameter is a whole segment with a name: {id}");
        }
    }
    None
}

fn upstream(section: &mut Section<'_>, context: &Context<'_>) -> Option<Arc<str>> {
    let name = match context.names.only("upstream") {
        Some(only) => section.or("upstream", only.to_owned()),
        None => section.need::<String>("upstream")?,
    };
    if context.names.has("upstream", &name) {
        return Some(name.into());
    }
    section.problems.unknown(
        &section.place_of("upstream"),
        section.key("upstream"),
        "upstream",
        &name,
        context.names.of("upstream"),
        "add an [[upstream]] of this name",
    );
    None
}

/// The route's own limits, else its mount's. A limit that counts keys or accounts cannot hold on a public route: written
/// there it is an error, inherited it is left out.
fn limits(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    public: bool,
    around: &Around<'_>,
) -> Vec<Arc<str>> {
    let needs_caller = |name: &Arc<str>| {
        let limit = around.limits.iter().find(|limit| limit.name == *name);
        limit.is_some_and(counts_callers)
    };
    if !section.has("limits") {
        section.raw("limits");
        let inherited = mount.map(|mount| mount.limits.clone()).unwrap_or_default();
        let kept: Vec<Arc<str>> =
            inherited.into_iter().filter(|name| !(public && needs_caller(name))).collect();
        section.note("limits", kept.write());
        return kept;
    }
    let limits: Vec<Arc<str>> = section.or("limits", Vec::new());
    known_limits(section, &limits, around.context);
    for name in limits.iter().filter(|name| public && needs_caller(name)) {
        let what = format!("limit \"{name}\" on a public route");
        let why = "it counts keys, users or tenants, and a public route knows none";
        let fix = "use a limit with per = [\"client\"], or let the route take credentials";
        section.fault("limits", Fault::new(what, why, fix));
    }
    limits
}

/// Whether a limit counts something only an authenticated request has.
pub fn counts_callers(limit: &Limit) -> bool {
    limit.per.iter().any(|per| matches!(per, Per::Key | Per::User | Per::Tenant))
}

fn timeouts(section: &mut Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    let mut inner = section.inner("timeouts");
    let above_zero = |span: &Duration| {
        if !span.is_zero() {
            return Ok(());
        }
        let why = "a deadline of zero refuses everything, and none at all hangs";
        Err(Fault::new("zero", why, "write a duration such as \"30s\""))
    };
    let timeouts = Timeouts {
        connect: inner.checked("connect", default.connect, above_zero),
        first_byte: inner.checked("first_byte", default.first_byte, above_zero),
        between_bytes: inner.checked("between_bytes", default.between_bytes, above_zero),
    };
    section.note("timeouts", Toml::Table(inner.finish()));
    timeouts
}

fn trailing_slash(section: &mut Section<'_>) -> TrailingSlash {
    let known = [
        ("keep", TrailingSlash::Keep),
        ("add", TrailingSlash::Add),
        ("strip", TrailingSlash::Strip),
    ];
    one_of(section, "trailing_slash", "form", &known)
}

fn allows(section: &mut Section<'_>) -> PathAllowances {
    let names: Vec<String> = section.or("allow", Vec::new());
    let mut allows = PathAllowances::default();
    for name in &names {
        match name.as_str() {
            "encoded_slash" => allows.encoded_slash = true,
            "semicolon" => allows.semicolon = true,
            "empty_segment" => allows.empty_segment = true,
            other => section.problems.unknown(
                &section.place_of("allow"),
                section.key("allow"),
                "path form",
                other,
                ["encoded_slash", "semicolon", "empty_segment"],
                "remove it",
            ),
        }
    }
    allows
}

/// A word out of a closed set; the first one is the default.
fn one_of<T: Copy + Default>(
    section: &mut Section<'_>,
    key: &'static str,
    kind: &str,
    known: &[(&str, T)],
) -> T {
    let default = known.first().map_or("", |(name, _)| *name).to_owned();
    let name = section.or(key, default);
    if let Some((_, found)) = known.iter().find(|(known, _)| *known == name) {
        return *found;
    }
    let place = section.place_of(key);
    let names = known.iter().map(|(name, _)| *name);
    section.problems.unknown(&place, section.key(key), kind, &name, names, "remove the key");
    T::default()
}

/// How credential kinds are written.
const KINDS: [(&str, CredentialKind); 5] = [
    ("jwt", CredentialKind::Jwt),
    ("api_key", CredentialKind::ApiKey),
    ("agent", CredentialKind::Agent),
    ("session", CredentialKind::Session),
    ("client_cert", CredentialKind::ClientCert),
];
