//! The endpoints that are served for a contract: health, alone and for all of a place, and metrics.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    dialects::{
        App, Defaults, Dialect, Endpoint, Overlap, Served, exchange, health, tmws,
        tmws::{Tmws, wire::Shape},
    },
    identity::{self, Identity, Settings},
    limit::local::LocalLimiter,
    model::{ClientFacts, SystemClock, SystemRandom, Timestamp, hop::HopContext},
    pipeline::{Deny, Face, Reply, ReplyFacts},
    store::{Options, Store},
};

/// A contract with both shared endpoints.
#[derive(Debug)]
struct Small;

impl Face for Small {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        Tmws.render(deny, facts)
    }
}

static ENDPOINTS: [Endpoint; 2] = [Endpoint::health("/health"), Endpoint::metrics("/metrics")];

impl Dialect for Small {
    fn name(&self) -> &'static str {
        "small"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &ENDPOINTS
    }

    fn defaults(&self) -> Defaults {
        Tmws.defaults()
    }

    fn health(&self, facts: &health::HealthFacts) -> health::Members {
        vec![("status", facts.word().into()), ("service", "small".into())]
    }
}

struct Kit {
    app: App,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Kit {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Store::open(&path, Options::patient()).await.unwrap();
        let parts = identity::Parts {
            store: store.clone(),
            limiter: Arc::new(LocalLimiter::new(&crate::limit::Settings::default())),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            master_keys: vec!["a master key for the tests of shared endpoints".into()],
        };
        let identity = Identity::open(Settings::default(), parts).await.unwrap();
        let figures = Arc::new(|mount: &crate::model::MountName| format!("of {mount}\n"));
        Self {
            app: App { identity, mount: "m".into(), secure_cookies: true, figures },
            store,
            _folder: folder,
        }
    }

    async fn get(
        &self,
        router: Router,
        path: &str,
        joined: &[&str],
    ) -> (StatusCode, String, String) {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(HopContext {
            mount: "m".into(),
            client: ClientFacts {
                address: "192.0.2.1".parse().unwrap(),
                request_id: "req_1".into(),
                user_agent: None,
            },
            principal: None,
            joined: joined.iter().map(|name| (*name).to_owned()).collect(),
            offered: None,
        });
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let kind = parts.headers.get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        (parts.status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    fn small(&self) -> Router {
        exchange::complete::<Shape>(&Small, self.app.clone(), Router::new())
    }
}

#[tokio::test]
async fn health_is_one_object_for_every_contract_of_the_place() {
    let kit = Kit::open().await;
    let (status, kind, body) = kit.get(kit.small(), "/health", &[]).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"));
    assert_eq!(body, r#"{"status":"healthy","service":"small"}"#);

    // The own members first; of another contract what is missing; of an unknown one nothing.
    let (_, _, body) = kit.get(kit.small(), "/health", &["tmws", "gone"]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["service"], "small");
    assert_eq!(body["components"], json!({ "database": "healthy", "authentication": "enabled" }));

    kit.store.close().await;
    let router = tmws::routes::router(kit.app.clone());
    let (status, _, body) = kit.get(router, "/health", &[]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unhealthy")));
}

#[tokio::test]
async fn metrics_are_those_of_the_mount_in_the_text_format() {
    let kit = Kit::open().await;
    let (status, kind, body) = kit.get(kit.small(), "/metrics", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(body, "of m\n");
}

#[test]
fn shared_endpoints_are_open_and_health_may_be_claimed_by_all() {
    let [health, metrics] = &ENDPOINTS;
    assert_eq!((health.overlap, health.served), (Overlap::Union, Served::Health));
    assert_eq!((metrics.overlap, metrics.served), (Overlap::None, Served::Metrics));
    let facts =
        health::HealthFacts { store_answers: false, now: Timestamp(0), uptime: Duration::ZERO };
    assert_eq!(facts.word(), "unhealthy");
}
