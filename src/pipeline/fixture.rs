//! Small values for the tests of this room.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::{
    Authn, Authz, CredentialKind, Deny, Face, Mount, Policy, RateHeaders, Reply, ReplyFacts,
    RequestView, Route, Target,
    cors::Cors,
    deny::Malformed,
    mutate::HeaderPatch,
    route::{HeaderRules, PathAllowances, Timeouts, TrailingSlash},
};
use crate::model::{AuthMethod, ClientFacts, Principal, ScopeSet, Timestamp};

/// A face that says nothing.
#[derive(Debug)]
pub(super) struct Mute;

impl Face for Mute {
    fn render(&self, deny: &Deny, _: &ReplyFacts<'_>) -> Reply {
        Reply { status: deny.status(), headers: Vec::new(), body: bytes::Bytes::new() }
    }
}

pub(super) fn mount(name: &str) -> Mount {
    Mount {
        name: name.into(),
        realm: Some("main".into()),
        dialect: "problem",
        face: &Mute,
        tokens: None,
        issued: None,
        resource_metadata: None,
        issuers: Vec::new(),
        api_key_format: Some("tmws_key_".into()),
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

/// A route that takes both kinds of credential and asks for nothing more.
pub(super) fn route(name: &str) -> Route {
    Route {
        name: name.into(),
        template: "".into(),
        mount: Arc::new(mount("api")),
        target: Target::Upstream("tasks".into()),
        authn: Authn::Required(vec![CredentialKind::Jwt, CredentialKind::ApiKey]),
        authz: Authz::Authenticated,
        early_limits: Vec::new(),
        late_limits: Vec::new(),
        shadow: None,
        headers: HeaderRules::default(),
        timeouts: Timeouts::default(),
        body_limit: 1 << 20,
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

pub(super) fn principal(roles: &[&str], scopes: Option<&[&str]>) -> Principal {
    Principal {
        subject: "0190aaaa-0000-7000-8000-000000000001".into(),
        username: Some("ada".into()),
        email: None,
        realm: "main".into(),
        mount: "api".into(),
        tenant: None,
        method: if scopes.is_some() { AuthMethod::ApiKey } else { AuthMethod::Jwt },
        roles: roles.iter().map(|role| Arc::from(*role)).collect(),
        scopes: scopes.map(|names| ScopeSet::new(names.iter())),
        session: None,
        token: None,
        key: None,
        agent: None,
        allowed_ips: Vec::new(),
        rate_limit_per_hour: None,
        expires_at: Some(Timestamp::from_secs(2_000)),
        issuer: None,
        bound: None,
    }
}

/// The owned parts of a request; [`Request::view`] borrows them.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) client: ClientFacts,
}

impl Request {
    pub(super) fn new(method: &str, target: &str) -> Self {
        let client = ClientFacts {
            address: "192.0.2.7".parse().unwrap(),
            request_id: "req_1".into(),
            user_agent: None,
        };
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("api.example.org"));
        Self { method: method.parse().unwrap(), uri: target.parse().unwrap(), headers, client }
    }

    pub(super) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    pub(super) fn from(mut self, address: &str) -> Self {
        self.client.address = address.parse().unwrap();
        self
    }

    pub(super) fn try_view(&self) -> Result<RequestView<'_>, Malformed> {
        RequestView::new(&self.method, &self.uri, &self.headers, &self.client)
    }

    pub(super) fn view(&self) -> RequestView<'_> {
        self.try_view().unwrap()
    }
}

/// What a patch sets under this name; several values are told one by one.
pub(super) fn values(patch: &HeaderPatch, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    patch.each(|own, value| {
        if own == name {
            found.push(value.to_str().unwrap().to_owned());
        }
    });
    found
}
