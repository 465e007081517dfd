//! Blueprint to what the rooms run on: the boot settings, the pure snapshot, the upstreams, identity's settings.
//!
//! Reason for length: one value after the other is carried over, and nothing is decided.

use std::{path::PathBuf, sync::Arc, time::Duration};

use self::limits::{find_limit, split};
use super::{
    Config, Report,
    blueprint::{At, Blueprint, Declared, MountConfig, RouteConfig, StoreConfig},
    problem::Problems,
};
use crate::{
    dialects::{
        Endpoint, Exposure, Limits, Overlap, Served, oauth, problem::Problem as ProblemFace,
    },
    edge::{self, UpstreamSettings},
    identity::{
        self, issuer_keys,
        settings::{MountSettings, RealmSettings},
    },
    issuer, limit,
    model::{MountName, Plane, SecretString},
    pipeline::{
        Authn, Authz, CredentialSizes, Limit, Mount, Policy, ProofRule, RateHeaders, Route,
        Snapshot, Target,
        cors::Cors,
        jwt::{TokenProfile, VerificationKey},
        route::{
            HeaderRules, PathAllowances, Place, RouteMatch, RouteTableBuilder, Timeouts,
            TrailingSlash,
        },
        shadow::Shadow,
    },
    telemetry::logging,
};

mod conflicts;
mod issuers;
mod limits;

/// Where the verification keys of a mount come from; `check` gives none.
pub type KeySource<'a> = dyn Fn(&MountName) -> Vec<VerificationKey> + 'a;

/// What is fixed until a restart.
#[derive(Debug)]
pub struct Boot {
    /// Data plane.
    pub edge: edge::Settings,
    /// Folder of store, sockets and generated secrets; absolute.
    pub data_dir: PathBuf,
    /// Which planes run in this process.
    pub plane: Plane,
    /// How they speak with each other where they are apart.
    pub link: Option<crate::link::Settings>,
    /// The database in place of the file.
    pub database: Option<StoreConfig>,
    /// The operator's socket.
    pub operator_socket: PathBuf,
    /// Address of the operator API; `None`: only the socket.
    pub internal_address: Option<std::net::SocketAddr>,
    /// Operator token; `None`: made in the data folder.
    pub internal_token: Option<SecretString>,
    /// Whether probes answer without the token.
    pub open_probes: bool,
    /// Master keys, newest first; empty: one is made in the data folder.
    pub master_keys: Vec<SecretString>,
    /// Limiter.
    pub limiter: limit::Settings,
    /// What the nodes of a fleet share.
    pub redis: Option<crate::fleet::Settings>,
    /// Whether the file is watched.
    pub watch: bool,
}

/// What a reload replaces, all of it at once.
#[derive(Debug)]
pub struct Compiled {
    /// The deciding whole.
    pub snapshot: Snapshot,
    /// Upstreams for the edge's pools.
    pub upstreams: Vec<UpstreamSettings>,
    /// Issuers that are asked for keys.
    pub issuers: Vec<issuer::Settings>,
    /// Log level and access log.
    pub log: logging::Settings,
}

impl Config {
    /// The boot settings.
    pub fn boot(&self) -> Boot {
        let process = &self.blueprint.process;
        Boot {
            edge: edge::Settings {
                listeners: self.blueprint.listeners.clone(),
                forward_auth: self.blueprint.forward_auth.iter().cloned().map(Arc::new).collect(),
                threads: process.threads,
                identity_socket: process.data_dir.join(super::blueprint::IDENTITY_SOCKET),
                grace_period: process.grace_period,
                upstream_keepalive_pool: process.upstream_keepalive_pool,
                limits: process.client_limits.clone(),
                http2: self.blueprint.http2,
                caches: process.caches,
            },
            data_dir: process.data_dir.clone(),
            plane: self.blueprint.plane,
            link: self.blueprint.link.clone(),
            database: self.blueprint.store.clone(),
            operator_socket: process.data_dir.join(super::blueprint::OPERATOR_SOCKET),
            internal_address: process.internal.address,
            internal_token: process.internal.token.clone(),
            open_probes: process.internal.probes,
            master_keys: process.master_keys.clone(),
            limiter: process.limiter.clone(),
            redis: self.blueprint.redis.clone(),
            watch: process.watch,
        }
    }

    /// Identity's settings.
    pub fn identity(&self) -> identity::Settings {
        let realms = self.blueprint.realms.iter().map(|realm| RealmSettings {
            name: realm.is.name.clone(),
            rules: realm.is.rules.clone(),
        });
        let mounts = self.blueprint.mounts.iter().map(|mount| mount_settings(&mount.is));
        identity::Settings {
            realms: realms.collect(),
            mounts: mounts.collect(),
            hashing: self.blueprint.process.hashing,
        }
    }

    /// Everything a reload replaces, with the keys that are in force now.
    pub fn compile(&self, keys: &KeySource<'_>) -> Result<Compiled, Report> {
        let problems = Problems::default();
        match snapshot(&self.blueprint, &self.hash, keys, &problems) {
            Some(snapshot) => Ok(Compiled {
                snapshot,
                upstreams: self.blueprint.upstreams.clone(),
                issuers: self.issuers(),
                log: self.blueprint.process.log.clone(),
            }),
            // A `Config` has been compiled once before, without keys; keys change no route.
            None => Err(Report { file: self.file.clone(), problems: problems.into_sorted() }),
        }
    }
}

fn mount_settings(mount: &MountConfig) -> MountSettings {
    let mut scopes: Vec<Arc<str>> = Vec::new();
    for rule in &mount.policy.scopes {
        if !scopes.contains(&rule.scope) {
            scopes.push(rule.scope.clone());
        }
    }
    MountSettings {
        name: mount.name.clone(),
        dialect: mount.dialect.dialect.name(),
        realm: mount.realm.clone(),
        tokens: mount.tokens.clone(),
        api_key_format: mount.api_key_format.clone(),
        oauth: mount.oauth.as_ref().map(|oauth| oauth.settings.clone()),
        oidc: mount.oidc_login.as_ref().map(|login| login.settings.clone()),
        administrator: mount.oauth.as_ref().and_then(|oauth| oauth.administrator.clone()),
        static_keys: mount.static_keys.iter().map(|found| found.key.clone()).collect(),
        scopes,
        role_scopes: mount.policy.role_scopes.clone(),
        agents: mount.agents.clone(),
        webhooks: mount.webhooks.clone(),
        authorization_server: mount.authorization_server.clone(),
        codes: mount.codes.clone(),
    }
}

/// Compiles the snapshot, or reports what only shows when all routes stand together.
pub(super) fn snapshot(
    blueprint: &Blueprint,
    hash: &str,
    keys: &KeySource<'_>,
    problems: &Problems,
) -> Option<Snapshot> {
    let (limits, sizes) = (&blueprint.limits, blueprint.process.credential_sizes);
    let compiled =
        |mount: &Declared<MountConfig>| Arc::new(compile_mount(&mount.is, limits, keys, sizes));
    let mounts: Vec<Arc<Mount>> = blueprint.mounts.iter().map(compiled).collect();
    let plain = Arc::new(plain_mount());
    let mut builder = RouteTableBuilder::default();

    let declared = || blueprint.mounts.iter().zip(&mounts);
    for (config, mount) in declared().filter(|(config, _)| config.is.default) {
        add_defaults(&mut builder, &config.is, mount);
        // Where one answers for all, it is the default.
        add_endpoints(&mut builder, &config.is, mount, &blueprint.limits, |overlap| {
            overlap == Overlap::Union
        });
    }
    for (config, mount) in declared() {
        add_defaults(&mut builder, &config.is, mount);
        add_endpoints(&mut builder, &config.is, mount, &blueprint.limits, |overlap| {
            overlap != Overlap::Union || !config.is.default
        });
    }
    for config in &blueprint.routes {
        let (mount, places) = match &config.is.at {
            At::Plain(place) => {
                builder.default_mount(place.clone(), plain.clone());
                (&plain, std::slice::from_ref(place))
            }
            At::Mount(name) => {
                let Some((found, mount)) = declared().find(|(m, _)| *m.is.name.as_str() == **name)
                else {
                    continue;
                };
                (mount, found.is.places.as_slice())
            }
        };
        let route = Arc::new(route(&config.is, mount, &blueprint.limits));
        for place in places {
            builder.route(place.clone(), config.is.matches.clone(), route.clone());
        }
    }

    let routes = match builder.build() {
        Ok(routes) => routes,
        Err(errors) => {
            conflicts::explain(errors, blueprint, problems);
            return None;
        }
    };
    Some(Snapshot {
        hash: hash.into(),
        routes,
        mounts,
        identity_headers: blueprint.process.identity_headers.clone(),
        trusted_proxies: blueprint.process.trusted_proxies.clone(),
        trusted_hops: blueprint.process.trusted_hops,
        client_certificate: blueprint.process.client_certificate.clone(),
        failure_windows: blueprint.process.failure_windows.clone(),
        stranger: plain,
    })
}

fn add_defaults(builder: &mut RouteTableBuilder, config: &MountConfig, mount: &Arc<Mount>) {
    for place in &config.places {
        builder.default_mount(place.clone(), mount.clone());
    }
}

fn add_endpoints(
    builder: &mut RouteTableBuilder,
    config: &MountConfig,
    mount: &Arc<Mount>,
    limits: &[Limit],
    which: impl Fn(Overlap) -> bool,
) {
    let endpoints = config.endpoints();
    for endpoint in endpoints.filter(|endpoint| which(endpoint.overlap)) {
        let route = Arc::new(endpoint_route(config, mount, endpoint, limits));
        for place in &config.places {
            builder.route(place.clone(), endpoint_match(endpoint), route.clone());
        }
    }
    for (path, endpoint) in config.well_known() {
        if !which(endpoint.overlap) {
            continue;
        }
        let route = Arc::new(endpoint_route(config, mount, endpoint, limits));
        let mut known = Vec::new();
        for place in &config.places {
            // RFC 8414 section 3: between the host and the path of what is described.
            let root = Place { prefix: "".into(), ..place.clone() };
            if !known.contains(&root) {
                let matches = RouteMatch { path: path.clone(), ..endpoint_match(endpoint) };
                builder.route(root.clone(), matches, route.clone());
                known.push(root);
            }
        }
    }
}

fn compile_mount(
    config: &MountConfig,
    limits: &[Limit],
    keys: &KeySource<'_>,
    sizes: CredentialSizes,
) -> Mount {
    let tokens = TokenProfile {
        issuer: config.tokens.issuer.clone(),
        audience: config.tokens.audience.clone(),
        token_type: config.tokens.access_type().map(Arc::from),
        standard: false,
        agent_audience: config.agents.as_ref().map(|agents| agents.audience.clone()),
        tenant_claim: config.tokens.tenant_claim().map(Arc::from),
        keys: keys(&config.name),
        leeway: LEEWAY,
        mount: config.name.clone(),
        realm: config.realm.clone(),
    };
    Mount {
        name: config.name.clone(),
        realm: Some(config.realm.clone()),
        dialect: config.dialect.dialect.name(),
        face: config.dialect.dialect,
        tokens: Some(tokens),
        issued: config.authorization_server.as_ref().map(|own| {
            let keys = keys(&issuer_keys(&config.name));
            own.profile_of(&config.name, &config.realm, keys)
        }),
        resource_metadata: config
            .protected_resource
            .as_ref()
            .map(|own| oauth::resource_metadata(&own.resource).into()),
        issuers: config.issuers.iter().map(|issuer| issuers::profile(issuer, config)).collect(),
        api_key_format: config.api_key_format.clone(),
        session_carrier: config.session_carrier(),
        credential_sizes: sizes,
        client_certs: config.client_certs.clone().into(),
        static_keys: config
            .static_keys
            .iter()
            .map(|found| (found.key.digest, found.key.id.clone()))
            .collect(),
        policy: Arc::new(config.policy.clone()),
        cors: config.cors.clone(),
        limits: config
            .limits
            .iter()
            .filter_map(|name| find_limit(limits, name))
            .filter(|limit| limit.counts_anybody() && !limit.shadow)
            .collect(),
        shadow_limits: config
            .limits
            .iter()
            .filter_map(|name| find_limit(limits, name))
            .filter(|limit| limit.counts_anybody() && limit.shadow)
            .collect(),
        rate_headers: config.rate_headers,
        public_figures: config
            .dialect
            .dialect
            .endpoints()
            .iter()
            .any(|endpoint| endpoint.served == Served::Metrics),
    }
}

/// Our own clock makes and checks these tokens, so there is no difference to forgive.
const LEEWAY: std::time::Duration = std::time::Duration::ZERO;

fn plain_mount() -> Mount {
    Mount {
        name: super::blueprint::PLAIN.into(),
        realm: None,
        dialect: "problem",
        face: &ProblemFace,
        tokens: None,
        issued: None,
        resource_metadata: None,
        issuers: Vec::new(),
        api_key_format: None,
        session_carrier: None,
        credential_sizes: CredentialSizes::default(),
        static_keys: Arc::default(),
        client_certs: Arc::default(),
        policy: Arc::new(Policy::default()),
        cors: Cors::default(),
        limits: Vec::new(),
        shadow_limits: Vec::new(),
        rate_headers: RateHeaders { legacy_always: false, policy: false, ietf: false },
        public_figures: false,
    }
}

fn endpoint_match(endpoint: &Endpoint) -> RouteMatch {
    RouteMatch {
        path: endpoint.path.to_owned(),
        methods: endpoint.method.parse().into_iter().collect(),
        owned: true,
        overlap: endpoint.overlap,
    }
}

fn endpoint_route(
    config: &MountConfig,
    mount: &Arc<Mount>,
    endpoint: &Endpoint,
    limits: &[Limit],
) -> Route {
    let defaults = config.dialect.dialect.defaults();
    let (authn, authz) = match &endpoint.exposure {
        Exposure::Public
        | Exposure::Client
        | Exposure::Browser
        | Exposure::Administrator { .. } => (Authn::Public, Authz::Authenticated),
        Exposure::Protected { authn, policy } => {
            let authz = if *policy { Authz::Policy } else { Authz::Authenticated };
            (Authn::Required(authn.to_vec()), authz)
        }
    };
    let gives = oauth::gives_tokens(endpoint);
    let server = config.authorization_server.as_ref();
    let certificates = server.is_some_and(|server| server.bind_certificates);
    let proof = if gives { ProofRule::Offered { certificates } } else { ProofRule::None };
    let public = matches!(authn, Authn::Public);
    let names: Vec<&str> = match endpoint.limits {
        Limits::General => config.limits.iter().map(|name| &**name).collect(),
        Limits::Own(names) => names.to_vec(),
    };
    let named = names.iter().filter_map(|name| find_limit(limits, name));
    let named = named.filter(|limit| !(public && super::blueprint::counts_callers(limit)));
    let (early_limits, late_limits, shadow) = split(named);
    Route {
        name: format!("{}:{} {}", config.name, endpoint.method, endpoint.path).into(),
        template: endpoint.path.into(),
        mount: mount.clone(),
        target: Target::Identity,
        authn,
        authz,
        early_limits,
        late_limits,
        shadow: shadow.or_none(),
        headers: HeaderRules::default(),
        timeouts: Timeouts { first_byte: defaults.timeout, ..Timeouts::default() },
        body_limit: defaults.body_limit,
        trailing_slash: TrailingSlash::Strip,
        // Identity sees the proven caller in the context header, and needs the credential itself only where it proves it.
        forward_credential: matches!(
            endpoint.exposure,
            Exposure::Administrator { .. } | Exposure::Client | Exposure::Browser
        ),
        secret_path: matches!(endpoint.exposure, Exposure::Administrator { secret_path: true }),
        hashes: endpoint.hashes,
        allows: PathAllowances::default(),
        assertion: None,
        streaming: false,
        proof,
        proof_nonce: gives && config.proof_nonce,
        stream_grace: Duration::ZERO,
        issuers: Arc::default(),
        login: None,
    }
}

fn route(config: &RouteConfig, mount: &Arc<Mount>, limits: &[Limit]) -> Route {
    let named = config.limits.iter().filter_map(|name| find_limit(limits, name));
    let (early_limits, late_limits, shadow) = split(named);
    let shadow =
        Shadow { authn: config.shadow_authn.clone(), authz: config.shadow_authz.clone(), ..shadow };
    Route {
        name: config.name.clone(),
        template: config.matches.path.as_str().into(),
        mount: mount.clone(),
        target: Target::Upstream(config.upstream.clone()),
        authn: config.authn.clone(),
        authz: config.authz.clone(),
        early_limits,
        late_limits,
        shadow: shadow.or_none(),
        headers: config.headers.clone(),
        timeouts: config.timeouts,
        body_limit: config.body_limit,
        trailing_slash: config.trailing_slash,
        forward_credential: config.forward_credential,
        secret_path: false,
        hashes: false,
        allows: config.allows,
        assertion: config.assertion.clone(),
        streaming: config.streaming,
        proof: config.proof,
        proof_nonce: config.proof_nonce,
        stream_grace: config.stream_grace,
        issuers: config.issuers.clone(),
        login: config.login.clone(),
    }
}

/// The places of a mount, for listings.
pub(super) fn describe(place: &Place) -> String {
    let hosts = if place.hosts.is_empty() { "any host".into() } else { place.hosts.join(", ") };
    format!("{} ({hosts}){}", place.listener, place.prefix)
}
