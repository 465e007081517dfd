use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use serde_json::json;

use super::support::{Answer, Edge, Upstream, field, read_head};
use crate::{
    edge::testing,
    identity::{IdentityError, Lookup},
    model::{
        AuthMethod, Digest, KeyId, MountName, Principal, SessionId, SystemRandom, Timestamp,
        TokenId, api_key, secret::ExposeSecret,
    },
    pipeline::{
        Authn, Authz, CredentialKind, KeyEvidence, Limit, Mount, Per, RevocationView, Snapshot,
        Window,
        authz::RouteRule,
        jwt::{TokenProfile, VerificationKey},
    },
};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const PREFIX: &str = "tmws_key_";

fn mount() -> Mount {
    let mut mount = testing::mount("api");
    let key = VerificationKey {
        kid: "k".into(),
        algorithm: Algorithm::HS256,
        key: DecodingKey::from_secret(SECRET),
    };
    mount.realm = Some("main".into());
    mount.api_key_format = Some(PREFIX.into());
    mount.tokens = Some(TokenProfile {
        issuer: "iss".into(),
        audience: Some("aud".into()),
        token_type: None,
        standard: false,
        agent_audience: None,
        tenant_claim: Some("agent_namespace".into()),
        keys: vec![key],
        leeway: Duration::ZERO,
        mount: "api".into(),
        realm: "main".into(),
    });
    mount
}

/// Both kinds of credential, and per key or account 1000 a minute.
fn guarded() -> Snapshot {
    let mount = Arc::new(mount());
    let mut route = testing::route("guarded", &mount);
    route.authn = Authn::Required(vec![CredentialKind::Jwt, CredentialKind::ApiKey]);
    let window = Window { limit: 1000, per: Duration::from_secs(60) };
    route.late_limits = vec![Arc::new(Limit {
        name: "general".into(),
        per: vec![Per::Credential],
        windows: vec![window],
        shadow: false,
        across: crate::pipeline::quota::Across::default(),
    })];
    testing::snapshot_of(testing::table(vec![("/**", Vec::new(), route)]), vec![mount])
}

fn token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": "iss", "aud": "aud", "sub": "0190aaaa-0000-7000-8000-000000000001", "username": "ada",
        "email": "ada@example.org", "roles": ["USER"], "iat": now, "exp": now + 600, "jti": "0123456789abcdef",
        "sid": "session-1",
    });
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn bearer(edge: &Edge, token: &str) -> Answer {
    edge.ask(&format!("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"))
}

#[derive(Default)]
struct Switch(AtomicBool);

impl RevocationView for Switch {
    fn is_revoked(&self, token: Option<&TokenId>, _: Option<&SessionId>) -> bool {
        assert!(token.is_some());
        self.0.load(SeqCst)
    }
}

#[test]
fn a_token_passes_with_its_identity_and_a_revocation_holds_at_the_next_request() {
    let upstream = Upstream::ok();
    let revoked = Arc::new(Switch::default());
    let view = Arc::clone(&revoked);
    let edge = Edge::with(guarded(), &[upstream.settings()], |parts| parts.revocations = view);
    let token = token();
    for left in ["999", "998"] {
        let answer = bearer(&edge, &token);
        assert_eq!((answer.status, answer.field("x-ratelimit-remaining")), (200, Some(left)));
    }
    let head = &upstream.seen()[1].head;
    assert_eq!(field(head, "x-auth-subject"), Some("0190aaaa-0000-7000-8000-000000000001"));
    assert_eq!(field(head, "x-auth-method"), Some("jwt"));
    assert_eq!(field(head, "authorization"), None);

    let shown = edge.shared.parts.metrics.render();
    let hits = "portcullis_credential_cache_lookups_total{kind=\"token\",result=\"hit\"} 1";
    assert!(shown.contains(hits), "{shown}");
    revoked.0.store(true, SeqCst);
    assert!(bearer(&edge, &token).text().contains("token_revoked"));
}

#[test]
fn an_open_stream_ends_with_its_token() {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let upstream = Upstream::raw(move |_, tcp| {
        tcp.write_all(head.as_bytes()).unwrap();
        // Silent, until the gateway leaves.
        tcp.read(&mut [0; 1]).is_ok_and(|read| read > 0)
    });
    let revoked = Arc::new(Switch::default());
    let view = Arc::clone(&revoked);
    let edge = Edge::with(guarded(), &[upstream.settings()], |parts| parts.revocations = view);
    let mut tcp = edge.connect();
    let ask = format!("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", token());
    tcp.write_all(ask.as_bytes()).unwrap();
    let (head, _) = read_head(&mut tcp).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    revoked.0.store(true, SeqCst);
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it must not look complete");
    let mut reasons = Vec::new();
    while reasons.is_empty() {
        reasons = edge.shared.drain_refusals().iter().map(|line| line.reason).collect();
    }
    assert_eq!(reasons, ["token_revoked"]);
}

#[test]
fn a_bad_token_refuses_even_beside_a_good_key() {
    let upstream = Upstream::ok();
    let (key, keys) = issued(None);
    let edge = Edge::with(guarded(), &[upstream.settings()], |parts| parts.lookup = keys);
    let with = |fields: &str| edge.ask(&format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let good = with(&format!("X-API-Key: {key}\r\n"));
    assert_eq!(good.status, 200);
    assert_eq!(field(&upstream.seen()[0].head, "x-auth-method"), Some("api_key"));
    let both = with(&format!("Authorization: Bearer a.b.c\r\nX-API-Key: {key}\r\n"));
    assert_eq!(both.status, 401);
    assert_eq!(with(&format!("X-API-Key: {key}x\r\n")).status, 401);
}

#[test]
fn a_keys_own_hour_is_charged_and_shown() {
    let upstream = Upstream::ok();
    let (key, keys) = issued(Some(2));
    let edge = Edge::with(guarded(), &[upstream.settings()], |parts| parts.lookup = keys);
    let ask = || edge.ask(&format!("GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"));
    let answers = [ask(), ask(), ask()];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 200, 429]);
    let limits = answers.each_ref().map(|answer| answer.field("x-ratelimit-limit").unwrap());
    assert_eq!(limits, ["2", "2", "2"]);
}

// requirement: 40
#[test]
fn a_store_that_cannot_be_asked_is_503_and_a_panic_500() {
    for (mood, status) in [(Mood::Fails, 503), (Mood::Panics, 500)] {
        let (key, _) = issued(None);
        let edge = Edge::with(guarded(), &[], |parts| {
            parts.lookup = Arc::new(Keys { evidence: None, mood })
        });
        let answer = edge.ask(&format!("GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"));
        assert_eq!(answer.status, status);
        assert!(answer.field("x-request-id").is_some());
    }
}

/// An edge whose one route permits nobody, and a key that may ask it so often an hour.
pub(super) fn forbidden(per_hour: u32) -> (Edge, String) {
    let mount = Arc::new(mount());
    let mut route = testing::route("guarded", &mount);
    route.authn = Authn::Required(vec![CredentialKind::ApiKey]);
    route.authz =
        Authz::Rule(RouteRule { roles: vec!["NOBODY".into()], all: true, ..RouteRule::default() });
    let snapshot =
        testing::snapshot_of(testing::table(vec![("/**", Vec::new(), route)]), vec![mount]);
    let (key, keys) = issued(Some(per_hour));
    (Edge::with(snapshot, &[], |parts| parts.lookup = keys), key)
}

/// An edge that panics when it looks a key up.
pub(super) fn panicking() -> Edge {
    let keys = Arc::new(Keys { evidence: None, mood: Mood::Panics });
    Edge::with(guarded(), &[], |parts| parts.lookup = keys)
}

/// Some key.
pub(super) fn any_key() -> String {
    issued(None).0
}

#[derive(Clone, Copy)]
enum Mood {
    Knows,
    Fails,
    Panics,
}

struct Keys {
    evidence: Option<Arc<KeyEvidence>>,
    mood: Mood,
}

#[async_trait]
impl Lookup for Keys {
    async fn key(
        &self,
        _: &MountName,
        _: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        match self.mood {
            Mood::Knows => Ok(self.evidence.clone()),
            Mood::Fails => Err(IdentityError::Unavailable),
            Mood::Panics => panic!("on purpose"),
        }
    }
    fn epoch(&self) -> u64 {
        0
    }
    fn used(&self, _: &KeyId, _: Timestamp) {}
}

/// A key's text and a store that knows it.
fn issued(per_hour: Option<u32>) -> (String, Arc<Keys>) {
    let key = api_key::issue(&PREFIX.into(), &SystemRandom).unwrap();
    let principal = Principal {
        subject: "someone".into(),
        username: None,
        email: None,
        realm: "main".into(),
        mount: "api".into(),
        tenant: None,
        method: AuthMethod::ApiKey,
        roles: Vec::new(),
        scopes: None,
        session: None,
        token: None,
        key: Some(key.id.clone()),
        agent: None,
        allowed_ips: Vec::new(),
        rate_limit_per_hour: per_hour,
        expires_at: None,
        issuer: None,
        bound: None,
    };
    let digest: Digest = key.digest;
    let evidence =
        KeyEvidence { digest, principal: Arc::new(principal), expires_at: None, revoked: false };
    let keys = Keys { evidence: Some(Arc::new(evidence)), mood: Mood::Knows };
    (key.text.expose_secret().to_owned(), Arc::new(keys))
}

#[test]
fn a_token_refused_a_moment_ago_passes_once_its_key_is_there() {
    let upstream = Upstream::ok();
    let keyless = {
        let mut mount = mount();
        mount.tokens.as_mut().unwrap().keys.clear();
        let mount = Arc::new(mount);
        let mut route = testing::route("guarded", &mount);
        route.authn = Authn::Required(vec![CredentialKind::Jwt]);
        testing::snapshot_of(testing::table(vec![("/**", Vec::new(), route)]), vec![mount])
    };
    let edge = Edge::start(keyless, &[upstream.settings()]);
    let token = token();
    assert_eq!([bearer(&edge, &token).status, bearer(&edge, &token).status], [401, 401]);
    let settings = [upstream.settings()];
    let previous = edge.shared.live();
    let metrics = &edge.shared.parts.metrics;
    let next = crate::edge::Live::build(
        Arc::new(guarded()),
        &settings,
        Arc::default(),
        Some(&previous),
        metrics,
        Default::default(),
    );
    edge.shared.swap(next);
    assert_eq!(bearer(&edge, &token).status, 200);
}
