//! The router of one mount over a real identity: every endpoint's status and shape. The edge is played by hand: it
//! would verify tokens and send the context.

mod keys;
mod sessions;
mod users;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    dialects::{Dialect, tmws::Tmws},
    identity::{
        Account, Actor, Identity, NewAccount, Parts, PasswordPolicy, Settings,
        settings::{HashSettings, MountSettings, RealmSettings},
    },
    limit::local::LocalLimiter,
    model::{
        AuthMethod, ClientFacts, MountName, Principal, RealmName, SystemClock, SystemRandom,
        hop::{self, HopContext, HopVerdict, VERDICT_HEADER},
    },
    store::{Options, Store},
};

const PASSWORD: &str = "Corr3ct-Horse-Battery";

struct Kit {
    identity: Identity,
    router: axum::Router,
    store: Store,
    _folder: tempfile::TempDir,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Reply {
    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn verdict(&self) -> HopVerdict {
        self.header(VERDICT_HEADER).and_then(hop::decode).unwrap_or_default()
    }
}

fn mount() -> MountName {
    "api".into()
}

fn realm() -> RealmName {
    "main".into()
}

impl Kit {
    async fn open() -> Self {
        let defaults = Tmws.defaults();
        let scopes = defaults.policy.scopes.iter().map(|rule| rule.scope.clone()).collect();
        let settings = Settings {
            realms: vec![RealmSettings { name: realm(), rules: defaults.realm }],
            mounts: vec![MountSettings {
                api_key_format: defaults.api_key_format,
                static_keys: Vec::new(),
                scopes,
                role_scopes: defaults.policy.role_scopes,
                ..MountSettings::new(mount(), "tmws", realm(), defaults.tokens)
            }],
            // Cheap on purpose: these tests are about shapes.
            hashing: HashSettings {
                memory_kib: 64,
                iterations: 1,
                permits: 2,
                queue: 64,
                only_when_idle: true,
            },
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Store::open(&path, Options::patient()).await.unwrap();
        let parts = Parts {
            store: store.clone(),
            limiter: Arc::new(LocalLimiter::new(&crate::limit::Settings::default())),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            master_keys: vec!["a master key for the tests of the tmws router".into()],
        };
        let identity = Identity::open(settings, parts).await.unwrap();
        let router = super::router(super::App {
            identity: identity.clone(),
            mount: mount(),
            secure_cookies: true,
            figures: Arc::new(|_| String::new()),
        });
        Self { identity, router, store, _folder: folder }
    }

    async fn account(&self, name: &str, role: &str) -> Account {
        let new = NewAccount {
            username: Some(name.into()),
            email: Some(format!("{name}@example.org")),
            password: PASSWORD.into(),
            policy: PasswordPolicy::Enforce,
            full_name: None,
            roles: Some(vec![role.into()]),
            tenant: None,
        };
        self.identity.create_account(&realm(), new, &Actor::operator()).await.unwrap()
    }

    /// Sends a request the way the edge does. An empty body goes without a content type.
    async fn ask(
        &self,
        who: Option<&Principal>,
        method: Method,
        path: &str,
        body: impl Into<String>,
    ) -> Reply {
        let body: String = body.into();
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.send(who, request.body(Body::from(body)).unwrap()).await
    }

    async fn send(&self, who: Option<&Principal>, mut request: Request<Body>) -> Reply {
        request.extensions_mut().insert(HopContext {
            mount: mount(),
            client: ClientFacts {
                address: "192.0.2.1".parse().unwrap(),
                request_id: "req_test".into(),
                user_agent: None,
            },
            principal: who.cloned(),
            joined: Vec::new(),
            offered: None,
        });
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        assert_eq!(kind, Some("application/json"), "{}", parts.status);
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(body.is_object(), "{body}");
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn login(&self, name: &str, password: &str) -> Reply {
        let body = json!({ "username": name, "password": password }).to_string();
        self.ask(None, Method::POST, "/api/v1/auth/login", body).await
    }

    async fn new_key(&self, who: &Principal, body: Value) -> Reply {
        self.ask(Some(who), Method::POST, "/api/v1/auth/api-keys", body.to_string()).await
    }
}

/// The caller that the edge would prove from a token of this account.
fn caller(account: &Account) -> Principal {
    Principal {
        subject: account.id.clone(),
        username: account.username.as_deref().map(Into::into),
        email: None,
        realm: realm(),
        mount: mount(),
        tenant: None,
        method: AuthMethod::Jwt,
        roles: account.roles.iter().map(|role| role.as_str().into()).collect(),
        scopes: None,
        session: Some("no-session".into()),
        token: Some("no-token-0123456789".into()),
        key: None,
        agent: None,
        allowed_ips: Vec::new(),
        rate_limit_per_hour: None,
        expires_at: None,
        issuer: None,
        bound: None,
    }
}

fn refused(reply: &Reply, status: u16, error: &str) {
    assert_eq!((reply.status, reply.text("error")), (status, error), "{}", reply.body);
    assert_eq!(reply.text("detail"), error);
    assert_eq!(reply.body["status_code"], status);
    assert_eq!(reply.text("request_id"), "req_test");
    assert!(reply.verdict().reason.is_some(), "the access log wants to know why");
}

#[tokio::test]
async fn every_declared_endpoint_is_served_and_no_other() {
    let kit = Kit::open().await;
    for endpoint in Tmws.endpoints() {
        let path = endpoint.path.replace("{key_id}", "tmws_key_x").replace("{id}", "7");
        let method: Method = endpoint.method.parse().unwrap();
        let reply = kit.ask(None, method, &path, "").await;
        let missed = matches!(reply.status, 404 | 405);
        assert!(!missed, "{} {}: {}", endpoint.method, endpoint.path, reply.status);
    }
    let reply = kit.ask(None, Method::GET, "/api/v1/nothing", "").await;
    refused(&reply, 404, "Not Found");
    assert_eq!(reply.text("path"), "/api/v1/nothing");
    let reply = kit.ask(None, Method::DELETE, "/api/v1/auth/login", "").await;
    refused(&reply, 405, "Method Not Allowed");
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_protected_endpoint_lets_nobody_in_without_a_caller() {
    let kit = Kit::open().await;
    for endpoint in Tmws.endpoints() {
        if matches!(endpoint.exposure, crate::dialects::Exposure::Public) {
            continue;
        }
        let path = endpoint.path.replace("{key_id}", "tmws_key_x").replace("{id}", "7");
        // Bodies that fit, so that only the missing caller is in the way.
        let body = json!({
            "name": "ci", "username": "bob", "email": "b@example.org", "password": PASSWORD,
            "current_password": "a", "new_password": "b",
        });
        let method: Method = endpoint.method.parse().unwrap();
        let reply = kit.ask(None, method, &path, body.to_string()).await;
        refused(&reply, 401, "Authentication required - missing credentials");
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_json() {
    let kit = Kit::open().await;
    let path = "/api/v1/auth/login";
    let long = json!({ "username": "a", "password": "x".repeat(70_000) }).to_string();
    refused(&kit.ask(None, Method::POST, path, long).await, 413, "Payload Too Large");
    refused(&kit.ask(None, Method::POST, path, "{").await, 422, "Validation Error");
    refused(&kit.ask(None, Method::POST, path, "").await, 422, "Validation Error");
    let form = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("username=a&password=b"))
        .unwrap();
    refused(&kit.send(None, form).await, 415, "Unsupported Media Type");
    for kind in [None, Some("application/json; charset=utf-8"), Some("Application/JSON")] {
        let mut request = Request::builder().method(Method::POST).uri(path);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let body = "{\n\"username\":\n \"nobody\", \"password\": \"x\"\n}";
        let reply = kit.send(None, request.body(Body::from(body)).unwrap()).await;
        refused(&reply, 401, "Invalid credentials");
    }
}

#[tokio::test]
async fn health_tells_the_store_and_keeps_its_shape() {
    let kit = Kit::open().await;
    let reply = kit.ask(None, Method::GET, "/health", "").await;
    assert_eq!((reply.status, reply.text("status")), (200, "healthy"));
    assert_eq!(reply.body["components"]["authentication"], "enabled");
    for name in ["timestamp", "auth_mode", "security_level"] {
        assert!(!reply.text(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503_and_never_401() {
    let kit = Kit::open().await;
    let who = caller(&kit.account("alice", "USER").await);
    kit.store.close().await;
    let health = kit.ask(None, Method::GET, "/health", "").await;
    assert_eq!((health.status, health.text("status")), (503, "unhealthy"));
    assert_eq!(health.body["components"]["authentication"], "enabled");
    let me = kit.ask(Some(&who), Method::GET, "/api/v1/auth/me", "").await;
    let refresh = json!({ "refresh_token": "a.b" }).to_string();
    for reply in [
        kit.login("alice", PASSWORD).await,
        me,
        kit.ask(Some(&who), Method::GET, "/api/v1/auth/api-keys", "").await,
        kit.ask(Some(&who), Method::POST, "/api/v1/auth/logout", refresh).await,
    ] {
        refused(&reply, 503, "Service Unavailable");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn a_request_without_context_is_our_fault() {
    let kit = Kit::open().await;
    let request = Request::get("/health").body(Body::empty()).unwrap();
    let response = kit.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
