//! Fixtures for the tests of this room.

use std::sync::Arc;

use http::Method;

use crate::pipeline::{
    Authn, Authz, Deny, Face, Mount, Policy, RateHeaders, Reply, ReplyFacts, Route, RouteTable,
    Snapshot, Target,
    cors::Cors,
    mutate::IdentityHeaders,
    route::{
        HeaderRules, Overlap, PathAllowances, Place, RouteMatch, RouteTableBuilder, Timeouts,
        TrailingSlash,
    },
};

/// Renders a refusal as its reason.
#[derive(Debug)]
struct Plain;

impl Face for Plain {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        let body =
            format!("{{\"reason\":\"{}\",\"request_id\":\"{}\"}}", deny.reason(), facts.request_id);
        let headers = deny.headers("application/json");
        Reply { status: deny.status(), headers, body: body.into() }
    }
}

pub(super) fn mount(name: &str) -> Mount {
    Mount {
        name: name.into(),
        realm: None,
        dialect: "plain",
        face: &Plain,
        tokens: None,
        issued: None,
        resource_metadata: None,
        issuers: Vec::new(),
        api_key_format: None,
        session_carrier: None,
        credential_sizes: Default::default(),
        static_keys: Arc::default(),
        client_certs: Arc::default(),
        policy: Arc::new(Policy::default()),
        cors: Cors::default(),
        limits: Vec::new(),
        rate_headers: RateHeaders { legacy_always: true, policy: false, ietf: false },
        public_figures: false,
        shadow_limits: Vec::new(),
    }
}

/// A public route to the upstream `up`.
pub(super) fn route(name: &str, mount: &Arc<Mount>) -> Route {
    Route {
        name: name.into(),
        template: "".into(),
        mount: Arc::clone(mount),
        target: Target::Upstream("up".into()),
        authn: Authn::Public,
        authz: Authz::Authenticated,
        early_limits: Vec::new(),
        late_limits: Vec::new(),
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
    }
}

/// A table on the listener `public`, every path at any host.
pub(super) fn table(routes: Vec<(&str, Vec<Method>, Route)>) -> RouteTable {
    let place = Place { listener: "public".into(), hosts: Vec::new(), prefix: "".into() };
    let mut builder = RouteTableBuilder::default();
    for (path, methods, route) in routes {
        let matches =
            RouteMatch { path: path.into(), methods, owned: false, overlap: Overlap::None };
        builder.route(place.clone(), matches, Arc::new(route));
    }
    builder.build().unwrap()
}

/// A configuration without routes.
pub(super) fn snapshot() -> Snapshot {
    snapshot_of(RouteTable::default(), Vec::new())
}

pub(super) fn snapshot_of(routes: RouteTable, mounts: Vec<Arc<Mount>>) -> Snapshot {
    Snapshot {
        hash: "test".into(),
        routes,
        mounts,
        identity_headers: IdentityHeaders::default(),
        trusted_proxies: Vec::new(),
        trusted_hops: 0,
        client_certificate: None,
        failure_windows: Vec::new(),
        stranger: Arc::new(mount("stranger")),
    }
}
