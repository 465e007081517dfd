//! The router of one mount over a real identity: every endpoint's status and shape. The edge is played by hand: it
//! would verify tokens and send the context.

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
                name: mount(),
                dialect: "tmws",
                realm: realm(),
                tokens: defaults.tokens,
                api_key_prefix: defaults.api_key_prefix.map(Into::into),
                scopes,
                role_scopes: defaults.policy.role_scopes,
            }],
            // Cheap on purpose: these tests are about shapes.
            hashing: HashSettings { memory_kib: 64, iterations: 1, permits: 2, queue: 64 },
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Store::open(&path, Options::default()).await.unwrap();
        let parts = Parts {
            store: store.clone(),
            limiter: Arc::new(LocalLimiter::new(&crate::limit::Settings::default())),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            master_keys: vec!["a master key for the tests of the tmws router".into()],
        };
        let identity = Identity::open(settings, parts).await.unwrap();
        let router = super::router(identity.clone(), mount());
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
        allowed_ips: Vec::new(),
        rate_limit_per_hour: None,
        expires_at: None,
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
async fn login_gives_tokens_and_the_user() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    for name in ["alice", "alice@example.org"] {
        let reply = kit.login(name, PASSWORD).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.body["expires_in"], json!(3600));
        assert_eq!(reply.text("token_type"), "bearer");
        assert_eq!(reply.text("access_token").split('.').count(), 3);
        assert!(reply.text("refresh_token").contains('.'));
        assert_eq!(
            reply.body["user"],
            json!({
                "id": account.id.as_str(), "username": "alice", "email": "alice@example.org",
                "roles": ["USER"], "agent_namespace": null,
            })
        );
        assert_eq!(reply.verdict().subject.as_deref(), Some(account.id.as_str()));
    }
}

#[tokio::test]
async fn unknown_names_and_wrong_passwords_look_alike_until_the_fifth_locks() {
    let kit = Kit::open().await;
    kit.account("alice", "USER").await;
    for name in ["alice", "nobody"] {
        for _ in 0..4 {
            refused(&kit.login(name, "wrong").await, 401, "Invalid credentials");
        }
        let locked = kit.login(name, "wrong").await;
        refused(&locked, 423, "Account is locked");
        let after: u64 = locked.header("retry-after").unwrap().parse().unwrap();
        assert!((1700..=1800).contains(&after));
        // Even the right password, and the next attempt.
        refused(&kit.login(name, PASSWORD).await, 423, "Account is locked");
    }
}

#[tokio::test]
async fn a_disabled_account_is_told_only_after_the_right_password() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    let by = Actor::operator();
    kit.identity.set_enabled(&realm(), &account.id, false, &by).await.unwrap();
    refused(&kit.login("alice", "wrong").await, 401, "Invalid credentials");
    refused(&kit.login("alice", PASSWORD).await, 403, "Account is disabled");
}

#[tokio::test]
async fn refresh_rotates_and_a_dead_token_is_exactly_401() {
    let kit = Kit::open().await;
    kit.account("alice", "USER").await;
    let login = kit.login("alice", PASSWORD).await;
    let body = json!({ "refresh_token": login.text("refresh_token") }).to_string();
    let reply = kit.ask(None, Method::POST, "/api/v1/auth/refresh", body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_ne!(reply.text("refresh_token"), login.text("refresh_token"));
    assert_ne!(reply.text("access_token"), login.text("access_token"));
    assert_eq!(reply.body["expires_in"], json!(3600));
    assert!(reply.body.get("user").is_none());
    for odd in ["", "x", "a.b"] {
        let body = json!({ "refresh_token": odd }).to_string();
        let reply = kit.ask(None, Method::POST, "/api/v1/auth/refresh", body).await;
        refused(&reply, 401, "Invalid or expired refresh token");
    }
    let reply = kit.ask(None, Method::POST, "/api/v1/auth/refresh", "{}").await;
    refused(&reply, 422, "Validation Error");
}

#[tokio::test]
async fn logout_answers_with_a_body_also_for_an_unknown_refresh_token() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    let login = kit.login("alice", PASSWORD).await;
    let who = caller(&account);
    let token = login.text("refresh_token");
    for body in [String::new(), json!({ "refresh_token": "un.known" }).to_string()] {
        let reply = kit.ask(Some(&who), Method::POST, "/api/v1/auth/logout", body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(!reply.text("message").is_empty());
    }
    let body = json!({ "refresh_token": token }).to_string();
    let reply = kit.ask(Some(&who), Method::POST, "/api/v1/auth/logout", body.clone()).await;
    assert_eq!(reply.status, 200);
    let reply = kit.ask(None, Method::POST, "/api/v1/auth/refresh", body).await;
    refused(&reply, 401, "Invalid or expired refresh token");
}

#[tokio::test]
async fn a_new_key_is_told_flat_and_nested_and_then_never_again() {
    let kit = Kit::open().await;
    let who = caller(&kit.account("alice", "USER").await);
    let wish = json!({
        "name": "ci", "description": "build", "scopes": ["read", "WRITE"], "expires_days": 30,
        "allowed_ips": ["10.0.0.1", "10.1.0.0/16"], "rate_limit_per_hour": 1000, "color": "red",
    });
    let made = kit.new_key(&who, wish).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.text("key_id").to_owned();
    assert!(id.starts_with("tmws_key_") && made.text("api_key").starts_with(&format!("{id}.")));
    assert_eq!(made.body["scopes"], json!(["READ", "WRITE"]));
    assert_eq!(made.body["allowed_ips"], json!(["10.0.0.1", "10.1.0.0/16"]));
    assert_eq!(made.body["rate_limit_per_hour"], json!(1000));
    assert_eq!(made.body["is_active"], json!(true));
    assert!(made.text("expires_at").ends_with('Z') && made.text("created_at").ends_with('Z'));
    let info = made.body["key_info"].as_object().unwrap();
    for (name, value) in info {
        assert_eq!(&made.body[name], value, "{name}");
    }
    assert!(!info.contains_key("api_key"));

    let list = kit.ask(Some(&who), Method::GET, "/api/v1/auth/api-keys", "").await;
    assert_eq!((list.status, &list.body["total"]), (200, &json!(1)));
    let entry = &list.body["api_keys"][0];
    assert_eq!(entry["key_id"], id.as_str());
    assert_eq!(entry["usage_count"], entry["total_requests"]);
    assert_eq!(entry["last_used_at"], Value::Null);
    let secret = made.text("api_key").split_once('.').unwrap().1;
    assert!(!list.body.to_string().contains(secret));
}

#[tokio::test]
async fn a_key_request_beyond_the_rules_is_422_and_beyond_the_role_403() {
    let kit = Kit::open().await;
    let who = caller(&kit.account("alice", "USER").await);
    let reply = kit.new_key(&who, json!({ "name": "x", "expires_days": 1.5 })).await;
    refused(&reply, 422, "Validation Error");
    assert_eq!(reply.body["details"].as_array().unwrap().len(), 2);
    assert_eq!(reply.body["details"][0]["loc"], json!(["body", "name"]));
    let reply = kit.new_key(&who, json!({ "name": "ci", "scopes": ["NONE"] })).await;
    refused(&reply, 422, "Validation Error");
    let reply = kit.new_key(&who, json!({ "name": "ci", "allowed_ips": ["host"] })).await;
    refused(&reply, 422, "Validation Error");
    let reply = kit.new_key(&who, json!({ "name": "ci", "scopes": ["ADMIN"] })).await;
    refused(&reply, 403, "Permission required: create");
    let reply = kit.new_key(&who, json!({ "name": "ci" })).await;
    assert_eq!((reply.status, &reply.body["scopes"]), (201, &json!(["READ"])));
    assert_eq!(reply.body["expires_at"], Value::Null);
}

#[tokio::test]
async fn only_the_owner_rotates_and_ends_a_key() {
    let kit = Kit::open().await;
    let alice = caller(&kit.account("alice", "USER").await);
    let root = caller(&kit.account("root", "SUPER_ADMIN").await);
    let made = kit.new_key(&alice, json!({ "name": "ci" })).await;
    let path = format!("/api/v1/auth/api-keys/{}", made.text("key_id"));
    let rotate = format!("{path}/rotate");
    for who in [&root, &alice] {
        let own = who.subject == alice.subject;
        let wish = json!({ "overlap_seconds": 60 }).to_string();
        let reply = kit.ask(Some(who), Method::POST, &rotate, wish).await;
        if !own {
            refused(&reply, 404, "Not Found");
            refused(&kit.ask(Some(who), Method::DELETE, &path, "").await, 404, "Not Found");
            continue;
        }
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert_eq!(reply.text("replaces"), made.text("key_id"));
        assert_ne!(reply.text("key_id"), made.text("key_id"));
        assert!(reply.text("old_valid_until").ends_with('Z'));
        assert!(reply.text("api_key").contains('.') && reply.body["key_info"].is_object());
        let reply = kit.ask(Some(who), Method::DELETE, &path, "").await;
        assert_eq!((reply.status, reply.text("key_id")), (200, made.text("key_id")));
        assert!(!reply.text("message").is_empty());
    }
    let wish = json!({ "overlap_seconds": 604_801 }).to_string();
    refused(&kit.ask(Some(&alice), Method::POST, &rotate, wish).await, 422, "Validation Error");
    let unknown = "/api/v1/auth/api-keys/tmws_key_0";
    refused(&kit.ask(Some(&alice), Method::DELETE, unknown, "").await, 404, "Not Found");
}

#[tokio::test]
async fn a_key_reads_its_own_facts_and_its_owner() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    let who = caller(&account);
    for (limit, shown) in [(json!(7), json!(7)), (Value::Null, Value::Null)] {
        let wish = json!({ "name": "ci", "rate_limit_per_hour": limit });
        let made = kit.new_key(&who, wish).await;
        let key = Principal {
            method: AuthMethod::ApiKey,
            key: Some(made.text("key_id").into()),
            ..who.clone()
        };
        let path = "/api/v1/auth/api-keys/current";
        let reply = kit.ask(Some(&key), Method::GET, path, "").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.text("key_id"), made.text("key_id"));
        assert_eq!(reply.body["limit"], shown);
        assert_eq!(reply.body["remaining"], shown);
        assert_eq!(reply.body["reset"].is_i64(), !shown.is_null());
        assert_eq!(reply.body["usage_count"], json!(0));
        for path in ["/api/v1/auth/me", "/api/v1/users/me"] {
            let me = kit.ask(Some(&key), Method::GET, path, "").await;
            assert_eq!((me.status, me.text("id")), (200, account.id.as_str()));
        }
    }
    let vanished = Principal { key: Some("tmws_key_0".into()), ..who.clone() };
    let reply = kit.ask(Some(&vanished), Method::GET, "/api/v1/auth/api-keys/current", "").await;
    refused(&reply, 401, "Invalid API key");
}

#[tokio::test]
async fn me_is_the_user_object_and_nobody_once_the_account_is_gone() {
    let kit = Kit::open().await;
    let account = kit.account("alice", "USER").await;
    let reply = kit.ask(Some(&caller(&account)), Method::GET, "/api/v1/auth/me", "").await;
    assert_eq!(reply.status, 200);
    let mut names: Vec<_> = reply.body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "agent_namespace",
            "created_at",
            "email",
            "full_name",
            "id",
            "is_active",
            "last_login",
            "roles",
            "updated_at",
            "username",
        ]
    );
    let gone =
        Principal { subject: "00000000-0000-4000-8000-000000000000".into(), ..caller(&account) };
    let reply = kit.ask(Some(&gone), Method::GET, "/api/v1/auth/me", "").await;
    refused(&reply, 401, "Could not validate credentials");
    assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"));
}

#[tokio::test]
async fn administrators_make_users_but_none_above_themselves() {
    let kit = Kit::open().await;
    let root = caller(&kit.account("root", "SUPER_ADMIN").await);
    let chief = caller(&kit.account("chief", "ADMIN").await);
    let wish = |name: &str, roles: Value| {
        let email = format!("{name}@example.org");
        json!({ "username": name, "email": email, "password": PASSWORD, "roles": roles })
            .to_string()
    };
    let path = "/api/v1/users";
    for (who, name, roles, status) in [
        (&chief, "u1", json!(["USER"]), 201),
        (&chief, "u2", json!(["admin"]), 201),
        (&chief, "u3", json!(["SUPER_ADMIN"]), 403),
        (&chief, "u3", json!(["super_admin"]), 403),
        (&chief, "u3", json!(["USER", "SUPER_ADMIN"]), 403),
        (&chief, "u3", json!(["KING"]), 422),
        (&root, "u3", json!(["SUPER_ADMIN"]), 201),
        (&root, "u4", json!(["KING"]), 422),
        (&root, "u1", json!(null), 400),
    ] {
        let reply = kit.ask(Some(who), Method::POST, path, wish(name, roles.clone())).await;
        assert_eq!(reply.status, status, "{name} {roles}: {}", reply.body);
    }
    let reply = kit.ask(Some(&root), Method::POST, path, wish("u5", json!(null))).await;
    assert_eq!((reply.status, &reply.body["roles"]), (201, &json!(["USER"])));
    assert!(!reply.body.to_string().contains("password"));
    let weak = json!({ "username": "u6", "email": "u6@example.org", "password": "short" });
    let reply = kit.ask(Some(&root), Method::POST, path, weak.to_string()).await;
    refused(&reply, 422, "Validation Error");
    assert!(!reply.body["details"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn everyone_changes_the_own_password_only() {
    let kit = Kit::open().await;
    let alice = kit.account("alice", "USER").await;
    let root = caller(&kit.account("root", "SUPER_ADMIN").await);
    let own = format!("/api/v1/users/{}/password", alice.id);
    let wish = |current: &str, new: &str| {
        json!({ "current_password": current, "new_password": new }).to_string()
    };
    let new = "An0ther-Horse-Battery";
    let reply = kit.ask(Some(&root), Method::PUT, &own, wish(PASSWORD, new)).await;
    refused(&reply, 403, "Permission required: update");
    let who = caller(&alice);
    let reply = kit.ask(Some(&who), Method::PUT, &own, wish("wrong", new)).await;
    refused(&reply, 400, "Current password is incorrect");
    let reply = kit.ask(Some(&who), Method::PUT, &own, wish(PASSWORD, "weak")).await;
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert!(reply.body["details"].is_array());
    let reply = kit.ask(Some(&who), Method::PUT, &own, wish(PASSWORD, new)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let path = "/api/v1/users/me/password";
    let reply = kit.ask(Some(&who), Method::PUT, path, wish(new, PASSWORD)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(kit.login("alice", PASSWORD).await.status, 200);
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
async fn too_many_failed_logins_are_429_with_the_limit_told_to_the_edge() {
    let kit = Kit::open().await;
    // Different names from one address: none of them locks. The limit refills while we ask, but slower than we ask.
    let mut last = kit.login("n", "x").await;
    for n in 0..1000 {
        if last.status == 429 {
            break;
        }
        last = kit.login(&format!("n{n}"), "x").await;
    }
    refused(&last, 429, "Rate limit exceeded");
    let after: u64 = last.header("retry-after").unwrap().parse().unwrap();
    assert!(after >= 1);
    assert_eq!(last.body["retry_after"], json!(after));
    let toll = last.verdict().toll.unwrap();
    assert_eq!((toll.limit, toll.remaining), (100, 0));
    assert_eq!(toll.window_ms, Duration::from_secs(60).as_millis() as u64);
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
