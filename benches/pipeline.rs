//! Nanoseconds per stage of the decision, and of whole decisions. `cargo bench --bench pipeline`.
//!
//! The whole decisions are what the edge does for every request whose credential it has seen before: an access token
//! comes from the verified-token cache, a key's evidence from the evidence cache. `verify` is the price of a miss.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method, Uri};
use portcullis::{
    model::{
        AuthMethod, ClientFacts, Principal, ScopeSet, SessionId, SystemRandom, Timestamp, TokenId,
        api_key, secret::ExposeSecret,
    },
    pipeline::{
        Authn, Authz, CredentialKind, Deny, Face, KeyEvidence, Limit, Mount, Per, Policy,
        RateHeaders, Reply, ReplyFacts, RequestView, RevocationView, Route, RouteTable, Target,
        Window,
        authn::{establish_key, establish_token},
        authz::authorize,
        carrier::Credential,
        cors::Cors,
        jwt::{TokenProfile, VerificationKey},
        mutate::{HopFacts, IdentityFields, IdentityHeaders, patch},
        path::CanonicalPath,
        policy::{ActionRule, PathPattern, ResourceRule, ScopeRule},
        quota,
        route::{
            HeaderRules, Overlap, PathAllowances, Place, RouteMatch, RouteTableBuilder, Timeouts,
            TrailingSlash,
        },
    },
};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

#[derive(Debug)]
struct Plain;

impl Face for Plain {
    fn render(&self, deny: &Deny, _: &ReplyFacts<'_>) -> Reply {
        Reply { status: deny.status(), headers: Vec::new(), body: Default::default() }
    }
}

struct Nothing;

impl RevocationView for Nothing {
    fn is_revoked(&self, _: Option<&TokenId>, _: Option<&SessionId>) -> bool {
        false
    }
}

fn words(text: &str) -> Vec<Arc<str>> {
    text.split_whitespace().map(Arc::from).collect()
}

/// As many rules as a real contract has.
fn policy() -> Policy {
    let pattern = |text: &str| PathPattern::parse(text).unwrap();
    let action = |methods: &[Method], path: Option<&str>, action: &str| ActionRule {
        methods: methods.to_vec(),
        path: path.map(pattern),
        action: action.into(),
    };
    let resource = |name: &str| ResourceRule {
        resource: name.into(),
        paths: vec![pattern(&format!("/api/v1/{name}/**"))],
        grants: ["SUPER_ADMIN", "ADMIN", "USER"].map(|role| (role.into(), words("*"))).into(),
    };
    let scope = |name: &str, actions: &str, paths: &[&str]| ScopeRule {
        scope: name.into(),
        actions: words(actions),
        methods: Vec::new(),
        paths: paths.iter().map(|path| pattern(path)).collect(),
        except: vec![pattern("/api/v1/users/**")],
    };
    Policy {
        scopes: vec![
            scope("FULL", "", &[]),
            scope("MEMORY", "", &["/api/v1/memory/**", "/api/v1/memories/**"]),
            scope("TASKS", "", &["/api/v1/tasks/**"]),
            scope("WRITE", "read create update", &[]),
            scope("READ", "read", &[]),
        ],
        actions: vec![
            action(&[Method::POST], Some("**/search"), "read"),
            action(&[Method::POST], Some("**/execute"), "execute"),
            action(&[Method::GET], None, "read"),
            action(&[Method::POST], None, "create"),
            action(&[Method::PUT, Method::PATCH], None, "update"),
            action(&[Method::DELETE], None, "delete"),
        ],
        resources: ["users", "agents", "memory", "tasks", "workflows", "audit", "system"]
            .map(resource)
            .into(),
        ..Policy::default()
    }
}

fn profile() -> TokenProfile {
    TokenProfile {
        issuer: "tmws-auth-service".into(),
        audience: Some("tmws-api".into()),
        token_type: None,
        standard: false,
        agent_audience: None,
        tenant_claim: Some("agent_namespace".into()),
        keys: vec![VerificationKey {
            kid: "k".into(),
            algorithm: jsonwebtoken::Algorithm::HS256,
            key: jsonwebtoken::DecodingKey::from_secret(SECRET),
        }],
        leeway: Duration::ZERO,
        mount: "api".into(),
        realm: "main".into(),
    }
}

fn mount() -> Arc<Mount> {
    Arc::new(Mount {
        name: "api".into(),
        realm: Some("main".into()),
        dialect: "problem",
        face: &Plain,
        tokens: Some(profile()),
        issued: None,
        resource_metadata: None,
        issuers: Vec::new(),
        api_key_format: Some("tmws_key_".into()),
        session_carrier: None,
        credential_sizes: Default::default(),
        static_keys: Arc::default(),
        client_certs: Arc::default(),
        policy: Arc::new(policy()),
        cors: Cors::default(),
        limits: Vec::new(),
        rate_headers: RateHeaders { legacy_always: true, policy: false, ietf: false },
        public_figures: false,
        shadow_limits: Vec::new(),
    })
}

fn route(name: &str, mount: &Arc<Mount>, authn: Authn, authz: Authz) -> Arc<Route> {
    let limit = |name: &str, per: Per| {
        let windows = vec![Window { limit: 1_000_000, per: Duration::from_secs(60) }];
        Arc::new(Limit {
            name: name.into(),
            per: vec![per],
            windows,
            shadow: false,
            across: portcullis::pipeline::quota::Across::default(),
        })
    };
    Arc::new(Route {
        name: name.into(),
        template: "".into(),
        mount: mount.clone(),
        target: Target::Upstream("tasks".into()),
        authn,
        authz,
        early_limits: vec![limit("address", Per::Client)],
        late_limits: vec![limit("general", Per::Credential)],
        shadow: None,
        headers: HeaderRules::default(),
        timeouts: Timeouts::default(),
        body_limit: 10 << 20,
        trailing_slash: TrailingSlash::Keep,
        forward_credential: false,
        secret_path: false,
        hashes: false,
        allows: PathAllowances::default(),
        assertion: None,
        streaming: false,
        proof: Default::default(),
        proof_nonce: false,
        stream_grace: Default::default(),
        issuers: Arc::default(),
        login: None,
    })
}

/// Some 40 routes, as a mount of one contract with its endpoints has.
fn table(mount: &Arc<Mount>) -> RouteTable {
    let mut builder = RouteTableBuilder::default();
    let place = Place {
        listener: "public".into(),
        hosts: vec!["api.example.org".into()],
        prefix: "".into(),
    };
    let mut add = |methods: &[Method], path: &str, authn: Authn, authz: Authz| {
        let matches = RouteMatch {
            path: path.into(),
            methods: methods.to_vec(),
            owned: false,
            overlap: Overlap::None,
        };
        builder.route(place.clone(), matches, route(path, mount, authn, authz));
    };
    let both = || Authn::Required(vec![CredentialKind::Jwt, CredentialKind::ApiKey]);
    for noun in ["users", "agents", "memory", "tasks", "workflows", "audit", "system"] {
        add(&[], &format!("/api/v1/{noun}/**"), both(), Authz::Policy);
        add(&[Method::POST], &format!("/api/v1/{noun}/search"), both(), Authz::Policy);
        add(&[Method::GET, Method::PUT], &format!("/api/v1/{noun}/{{id}}"), both(), Authz::Policy);
        for verb in ["start", "stop"] {
            let path = format!("/api/v1/{noun}/{{id}}/{verb}");
            add(&[Method::POST], &path, both(), Authz::Policy);
        }
    }
    for verb in ["login", "refresh", "logout", "me"] {
        add(&[Method::POST], &format!("/api/v1/auth/{verb}"), Authn::Public, Authz::Authenticated);
    }
    add(&[Method::GET], "/public/**", Authn::Public, Authz::Authenticated);
    builder.build().unwrap()
}

fn token() -> String {
    let claims = serde_json::json!({
        "iss": "tmws-auth-service", "aud": "tmws-api", "sub": "0190aaaa-0000-7000-8000-000000000001",
        "username": "ada", "email": "ada@example.org", "roles": ["USER"], "agent_namespace": "lab",
        "iat": NOW.secs(), "exp": NOW.secs() + 3600, "jti": "0190aaaa-0000-7000-8000-000000000002",
        "sid": "0190aaaa-0000-7000-8000-000000000003",
    });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    client: ClientFacts,
}

impl Request {
    /// A request with the fields a program's HTTP library sends.
    fn new(path: &'static str, credential: Option<(&'static str, &str)>) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "api.example.org"),
            ("user-agent", "python-httpx/0.28.1"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip, deflate"),
            ("connection", "keep-alive"),
            ("content-type", "application/json"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some((name, value)) = credential {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let client = ClientFacts {
            address: "192.0.2.7".parse().unwrap(),
            request_id: "req_0190aaaa000070008000000000000004".into(),
            user_agent: None,
        };
        Self { method: Method::GET, uri: Uri::from_static(path), headers, client }
    }

    fn view(&self) -> RequestView<'_> {
        RequestView::new(&self.method, &self.uri, &self.headers, &self.client).unwrap()
    }
}

struct World {
    table: RouteTable,
    profile: TokenProfile,
    names: IdentityHeaders,
    told: IdentityFields,
    caller: Arc<Principal>,
    evidence: KeyEvidence,
    public: Request,
    by_token: Request,
    by_key: Request,
    token: String,
}

impl World {
    fn new() -> Self {
        let token = token();
        let profile = profile();
        let caller = profile.verify(&token, NOW).unwrap();
        let key = api_key::issue(&"tmws_key_".into(), &SystemRandom).unwrap();
        let owner = Principal {
            method: AuthMethod::ApiKey,
            scopes: Some(ScopeSet::new(["READ", "WRITE"])),
            key: Some(key.id.clone()),
            session: None,
            token: None,
            ..caller.clone()
        };
        let evidence = KeyEvidence {
            digest: key.digest,
            principal: Arc::new(owner),
            expires_at: None,
            revoked: false,
        };
        let bearer = format!("Bearer {token}");
        Self {
            table: table(&mount()),
            profile,
            told: IdentityFields::of(&IdentityHeaders::default(), &caller),
            names: IdentityHeaders::default(),
            caller: Arc::new(caller),
            evidence,
            public: Request::new("/public/a/b?page=2", None),
            by_token: Request::new("/api/v1/tasks/42?page=2", Some(("authorization", &bearer))),
            by_key: Request::new(
                "/api/v1/tasks/42?page=2",
                Some(("x-api-key", key.text.expose_secret())),
            ),
            token,
        }
    }

    /// From head to patch, with the charges both limiter calls would get.
    fn decide(&self, request: &Request) -> (usize, usize) {
        let view = request.view();
        let found = self.table.find("public", &view).unwrap();
        let early = quota::early_charges(found.route, &view);
        let who = match found.route.authn.extract(&view, &found.route.mount).unwrap() {
            None => None,
            Some(Credential::Jwt(..)) => {
                Some(establish_token(&self.caller, &Nothing, Duration::ZERO, NOW).unwrap())
            }
            Some(Credential::ApiKey(key)) => {
                let mount = &found.route.mount;
                let address = view.client.address;
                let evidence = Some(&self.evidence);
                Some(establish_key(&key.digest, evidence, mount, address, NOW).unwrap())
            }
            Some(Credential::Session(_) | Credential::Certificate(_)) => {
                unreachable!("no route here takes one")
            }
        };
        let path = view.path.behind(found.prefix_len);
        let permit = authorize(found.route, who, &view, path).unwrap();
        let own = quota::own_window(permit.principal().map(|who| &**who));
        let who = permit.principal().map(|who| &**who);
        let late = quota::late_charges(found.route, who, view.client.address, own.as_ref());
        let hop = HopFacts { scheme: "http", host: "api.example.org" };
        let tell = |_: &Arc<Principal>| self.told.clone();
        let patch = patch(&permit, &view, found.prefix_len, &self.names, &hop, tell);
        (early.len() + late.len(), patch.count())
    }
}

fn stages(c: &mut Criterion) {
    let world = World::new();
    let mut group = c.benchmark_group("stage");
    group.bench_function("path/plain", |b| {
        b.iter(|| CanonicalPath::parse(black_box("/api/v1/tasks/42")).unwrap().as_str().len());
    });
    group.bench_function("path/escaped", |b| {
        b.iter(|| {
            CanonicalPath::parse(black_box("/api/v1/%74asks/%c3%a4")).unwrap().as_str().len()
        });
    });
    group.bench_function("view", |b| b.iter(|| black_box(&world.by_token).view().host.len()));
    let view = world.by_token.view();
    group.bench_function("find", |b| {
        b.iter(|| world.table.find(black_box("public"), &view).unwrap().prefix_len);
    });
    let found = world.table.find("public", &view).unwrap();
    let mount = &found.route.mount;
    group.bench_function("extract/jwt", |b| {
        b.iter(|| found.route.authn.extract(black_box(&view), mount).unwrap().is_some());
    });
    let key_view = world.by_key.view();
    group.bench_function("extract/api_key", |b| {
        b.iter(|| found.route.authn.extract(black_box(&key_view), mount).unwrap().is_some());
    });
    group.bench_function("verify/hs256", |b| {
        b.iter(|| world.profile.verify(black_box(&world.token), NOW).unwrap());
    });
    group.bench_function("establish/jwt", |b| {
        b.iter(|| {
            establish_token(black_box(&world.caller), &Nothing, Duration::ZERO, NOW).unwrap()
        });
    });
    let digest = world.evidence.digest;
    group.bench_function("establish/api_key", |b| {
        let address = world.by_key.client.address;
        b.iter(|| {
            establish_key(black_box(&digest), Some(&world.evidence), mount, address, NOW).unwrap()
        });
    });
    let path = view.path.behind(found.prefix_len);
    group.bench_function("authorize/roles", |b| {
        let who = || Some(world.caller.clone());
        b.iter(|| authorize(found.route, who(), black_box(&view), path).unwrap());
    });
    group.bench_function("authorize/scopes", |b| {
        let who = || Some(world.evidence.principal.clone());
        b.iter(|| authorize(found.route, who(), black_box(&view), path).unwrap());
    });
    let permit = authorize(found.route, Some(world.caller.clone()), &view, path).unwrap();
    group.bench_function("charges", |b| {
        b.iter(|| {
            let early = quota::early_charges(found.route, black_box(&view)).len();
            let who = permit.principal().map(|who| &**who);
            early + quota::late_charges(found.route, who, view.client.address, None).len()
        });
    });
    let hop = HopFacts { scheme: "http", host: "api.example.org" };
    group.bench_function("mutate", |b| {
        let tell = |_: &Arc<Principal>| world.told.clone();
        b.iter(|| patch(black_box(&permit), &view, 0, &world.names, &hop, tell).set.len());
    });
    group.bench_function("mutate/new_caller", |b| {
        let tell = |who: &Arc<Principal>| IdentityFields::of(&world.names, who);
        b.iter(|| patch(black_box(&permit), &view, 0, &world.names, &hop, tell).set.len());
    });
    group.finish();
}

fn decisions(c: &mut Criterion) {
    let world = World::new();
    let mut group = c.benchmark_group("decision");
    for (name, request) in
        [("public", &world.public), ("jwt", &world.by_token), ("api_key", &world.by_key)]
    {
        group.bench_function(name, |b| b.iter(|| world.decide(black_box(request))));
    }
    group.finish();
}

criterion_group!(benches, stages, decisions);
criterion_main!(benches);
