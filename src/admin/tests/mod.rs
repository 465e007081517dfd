//! The internal plane over a real identity: what the operator may do, and who gets through which door.

mod doors;
mod operator;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, header},
};
use serde_json::Value;
use tokio::sync::Notify;
use tower::ServiceExt;

use super::*;
use crate::{
    dialects::{Dialect, tmws::Tmws},
    identity::{
        self, Identity,
        settings::{HashSettings, MountSettings, RealmSettings},
    },
    limit::local::LocalLimiter,
    model::{SystemClock, SystemRandom},
    pipeline::{
        explain::{Past, Question},
        shadow::ShadowLine,
    },
    store::{Options, Store},
    telemetry::Metrics,
};

/// A process that does what the test says.
#[derive(Default)]
pub(super) struct FakeControl {
    pub(super) draining: AtomicBool,
    pub(super) broken_file: AtomicBool,
    pub(super) issuer_away: AtomicBool,
    pub(super) keys_changed: AtomicUsize,
    /// Whoever holds it lets the edge wait for the new keys.
    pub(super) gate: tokio::sync::Mutex<()>,
    pub(super) at_the_gate: Notify,
    pub(super) through_the_gate: Notify,
}

#[async_trait]
impl Control for FakeControl {
    fn readiness(&self) -> Readiness {
        let draining = self.draining.load(Ordering::SeqCst);
        if draining { Readiness::Draining } else { Readiness::Ready }
    }

    fn config(&self) -> ConfigState {
        let broken = self.broken_file.load(Ordering::SeqCst);
        ConfigState { hash: "abc123".into(), stale: broken.then(|| "line 3: no".to_owned()) }
    }

    fn troubles(&self) -> Vec<Trouble> {
        let away = self.issuer_away.load(Ordering::SeqCst);
        let told = Trouble { part: "issuer", what: "no keys of \"corp\"".to_owned() };
        away.then_some(told).into_iter().collect()
    }

    fn effective(&self) -> String {
        "listen = \"x\"\n".to_owned()
    }

    async fn reload(&self) -> ReloadOutcome {
        if self.broken_file.load(Ordering::SeqCst) {
            return ReloadOutcome::Refused { report: "line 3: no".to_owned() };
        }
        ReloadOutcome::Applied { hash: "def456".into() }
    }

    async fn explain(&self, _: Vec<Question>) -> Result<Explained, String> {
        Err("nothing runs here".into())
    }

    fn issuer_keys(&self) -> Vec<crate::issuer::KeyState> {
        Vec::new()
    }

    async fn refresh_issuer_keys(&self, _: &str) -> Option<Result<(), String>> {
        None
    }

    fn refusal(&self, _: &str) -> Option<Past> {
        None
    }

    fn shadow(&self) -> Vec<ShadowLine> {
        Vec::new()
    }

    async fn keys_changed(&self) {
        self.at_the_gate.notify_one();
        let _through = self.gate.lock().await;
        self.keys_changed.fetch_add(1, Ordering::SeqCst);
        self.through_the_gate.notify_one();
    }
}

pub(super) struct Kit {
    pub(super) router: Router,
    pub(super) control: Arc<FakeControl>,
    pub(super) folder: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub(super) fn kind(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap())
    }

    /// The stable code of a problem document.
    pub(super) fn code(&self) -> String {
        assert_eq!(self.kind(), "application/problem+json", "{}", self.text);
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

impl Kit {
    /// One realm and these mounts.
    pub(super) async fn open(mounts: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db"), Options::patient()).await.unwrap();
        let parts = identity::Parts {
            store,
            limiter: Arc::new(LocalLimiter::new(&crate::limit::Settings::default())),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            master_keys: vec!["a master key for the tests of the operator API".into()],
        };
        let identity = Identity::open(settings(mounts), parts).await.unwrap();
        let shared = Arc::new(Shared::default());
        let mounted = mounts.iter().map(|name| Mounted {
            name: (*name).into(),
            realm: "main".into(),
            router: crate::dialects::tmws::routes::router(crate::dialects::App {
                identity: identity.clone(),
                mount: (*name).into(),
                secure_cookies: true,
                figures: Arc::new(|_| String::new()),
            }),
            face: &Tmws,
        });
        shared.set_mounts(vec!["main".into()], mounted.collect());
        let control = Arc::new(FakeControl::default());
        let router = operator_router(Parts {
            identity,
            control: control.clone(),
            metrics: Metrics::new().unwrap(),
            shared,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        });
        Self { router, control, folder }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        ask(&self.router, Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        ask(&self.router, Method::POST, path, Some(body.to_string())).await
    }
}

pub(super) async fn ask(
    router: &Router,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Answer {
    let request = Request::builder().method(method).uri(path);
    send(router, request.body(Body::from(body.unwrap_or_default())).unwrap()).await
}

pub(super) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, text }
}

fn settings(mounts: &[&str]) -> identity::Settings {
    let defaults = Tmws.defaults();
    let mount = |name: &&str| MountSettings {
        api_key_format: defaults.api_key_format.clone(),
        static_keys: Vec::new(),
        scopes: defaults.policy.scopes.iter().map(|rule| rule.scope.clone()).collect(),
        role_scopes: defaults.policy.role_scopes.clone(),
        ..MountSettings::new(*name, "tmws", "main", defaults.tokens.clone())
    };
    identity::Settings {
        realms: vec![RealmSettings { name: "main".into(), rules: defaults.realm.clone() }],
        mounts: mounts.iter().map(mount).collect(),
        hashing: HashSettings {
            memory_kib: 64,
            iterations: 1,
            permits: 2,
            queue: 64,
            only_when_idle: true,
        },
    }
}
